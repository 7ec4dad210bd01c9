package engine

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"headrace/plugin/logfile"
)

func logRig(t *testing.T, format string) (*rig, func(n int) []string) {
	path := filepath.Join(t.TempDir(), "access.log")
	file, err := logfile.Open(path, logfile.Options{Buffer: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{AccessLogFormat: format, AccessLog: file})
	t.Cleanup(func() { file.Close() })
	return r, func(n int) (lines []string) {
		poll(t, "the lines are written", func() bool {
			b, _ := os.ReadFile(path)
			lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
			return len(lines) >= n && len(b) > 0
		})
		return lines
	}
}

// The format of APISIX's documentation yields its fields in that order.
func TestAccessLogOfTheDocumentation(t *testing.T) {
	r, lines := logRig(t, `$remote_addr $remote_user [$time_local] $http_host "$request_line" $status $body_bytes_sent $request_time "$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time "$upstream_scheme://$upstream_host$upstream_uri" "$apisix_request_id" "$request_type" "$llm_time_to_first_token" "$llm_model" "$llm_prompt_tokens" "$llm_completion_tokens"`)
	r.route("1", "/anything", `,"options":{"model":"gpt-4"}`)
	r.do("POST", "/anything", chat, "User-Agent", "curl/8.6.0")
	r.do("POST", "/anything", chatStream)
	r.do("POST", "/none", chat)
	got := lines(3)
	for i, want := range []string{
		`^127\.0\.0\.1 - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] 127\.0\.0\.1:\d+ "POST /anything HTTP/1\.1" 200 \d+ \d\.\d{3} "-" "curl/8\.6\.0" 127\.0\.0\.1:\d+ 200 \d\.\d{3} "http://127\.0\.0\.1/v1/chat/completions" "[0-9a-f]{32}" "ai_chat" "\d+" "gpt-4" "[1-9]\d*" "[1-9]\d*"$`,
		`"ai_stream" "\d+" "gpt-4" "[1-9]\d*" "[1-9]\d*"$`,
		`"POST /none HTTP/1\.1" 404 \d+ \d\.\d{3} "-" "Go-http-client/1\.1" - - - "http://127\.0\.0\.1:\d+" "[0-9a-f]{32}" "traditional_http" "0" "" "0" "0"$`,
	} {
		if !regexp.MustCompile(want).MatchString(got[i]) {
			t.Errorf("line %d: %s\nwant %s", i, got[i], want)
		}
	}
}

// A client that leaves before its answer is 499; secrets of the provider
// never stand in a line.
func TestAccessLogOfGoneClient(t *testing.T) {
	r, lines := logRig(t, `$status $upstream_status $http_authorization`)
	r.route("1", "/c", "")
	r.abort(post("/c", "x-mock-hang: 1\r\nAuthorization: mine\r\n", chat), "")
	if got := lines(1)[0]; got != "499 499 mine" {
		t.Errorf("line %q", got)
	}
}
