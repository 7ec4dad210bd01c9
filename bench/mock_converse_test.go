package bench

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// frameRead is one frame, read the slow and obvious way.
type frameRead struct {
	headers map[string]string
	payload string
}

// readFrames reads frames up to the first that is not whole or not sound.
func readFrames(s string) (list []frameRead, rest string) {
	for len(s) >= 16 {
		total, head := int(binary.BigEndian.Uint32([]byte(s))), int(binary.BigEndian.Uint32([]byte(s[4:])))
		if total > len(s) || crc32.ChecksumIEEE([]byte(s[:8])) != binary.BigEndian.Uint32([]byte(s[8:])) ||
			crc32.ChecksumIEEE([]byte(s[:total-4])) != binary.BigEndian.Uint32([]byte(s[total-4:])) {
			break
		}
		f := frameRead{map[string]string{}, s[12+head : total-4]}
		for h := s[12 : 12+head]; h != ""; {
			n := 1 + int(h[0])
			size := int(binary.BigEndian.Uint16([]byte(h[n+1:])))
			f.headers[h[1:n]] = h[n+3 : n+3+size]
			h = h[n+3+size:]
		}
		list, s = append(list, f), s[total:]
	}
	return list, s
}

func (f frameRead) json(t testing.TB) map[string]any { return reply{body: f.payload}.decode(t) }

const (
	plainConverse = `{"system":[{"text":"Be brief"}],"messages":[{"role":"user","content":[{"text":"two words"},{"image":{"format":"png","source":{"bytes":"AA=="}}}]}]}`
	toolConverse  = `{"messages":[{"role":"user","content":[{"text":"weather?"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]},"days":{"type":"integer"}}}}}}]%s}}`
)

func TestConversePlain(t *testing.T) {
	m := startMock(t, Options{Tokens: 3})
	r := ask1(t, m, "/model/m%3A1/converse", plainConverse)
	v := r.decode(t)
	if r.status != 200 || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", r)
	}
	want(t, v, "assistant", "output", "message", "role")
	want(t, v, "end_turn", "stopReason")
	want(t, v, 4.0, "usage", "inputTokens")
	want(t, v, 3.0, "usage", "outputTokens")
	want(t, v, 7.0, "usage", "totalTokens")
	if at(v, "output", "message", "content", 0, "text") == nil || at(v, "metrics", "latencyMs") == nil {
		t.Error(r.body)
	}
	// "stream" in the body asks for nothing here, and no usage is none.
	v = ask1(t, m, "/model/m/converse", strings.Replace(plainConverse, "{", `{"stream":true,`, 1), "x-mock-no-usage: 1").decode(t)
	want(t, v, nil, "usage")

	for _, choice := range []string{"", `,"toolChoice":{"any":{}}`, `,"toolChoice":{"tool":{"name":"get_weather"}}`} {
		header := "x-mock-tokens: 3"
		if choice == "" {
			header = "x-mock-tool: get_weather"
		}
		v := ask1(t, m, "/model/m/converse", fmt.Sprintf(toolConverse, choice), header).decode(t)
		want(t, v, "tool_use", "stopReason")
		want(t, v, "get_weather", "output", "message", "content", 0, "toolUse", "name")
		want(t, v, map[string]any{"city": "mock city", "days": 7.0, "unit": "C"}, "output", "message", "content", 0, "toolUse", "input")
	}
	want(t, ask1(t, m, "/model/m/converse", fmt.Sprintf(toolConverse, `,"toolChoice":{"auto":{}}`)).decode(t), "end_turn", "stopReason")
}

func TestConverseErrors(t *testing.T) {
	m := startMock(t, Options{})
	f := func(header, class string) {
		t.Helper()
		for _, path := range []string{"/model/m/converse", "/model/m/converse-stream"} {
			r := ask1(t, m, path, plainConverse, header)
			if r.header.Get("x-amzn-errortype") != class || at(r.decode(t), "message") == nil || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %+v", header, r)
			}
		}
	}
	for status, class := range map[string]string{"400": "ValidationException", "403": "AccessDeniedException", "404": "ResourceNotFoundException", "408": "ModelTimeoutException",
		"424": "ModelErrorException", "429": "ThrottlingException", "500": "InternalServerException", "503": "ServiceUnavailableException", "529": "InternalServerException"} {
		f("x-mock-status: "+status, class)
	}
	f("x-mock-zork: 1", "mock_script_error")
	if r := ask1(t, m, "/model/m/converse", "{", "x-mock-error-type: X"); r.status != 400 || r.header.Get("x-amzn-errortype") == "" {
		t.Error(r)
	}
}

func TestConverseStream(t *testing.T) {
	m := startMock(t, Options{Tokens: 3})
	f := func(name, body, header, want string) []frameRead {
		t.Helper()
		var headers []string
		if header != "" {
			headers = []string{header}
		}
		r := ask1(t, m, "/model/m/converse-stream", body, headers...)
		list, rest := readFrames(r.body)
		var got []string
		for _, f := range list {
			kind := f.headers[":event-type"] + f.headers[":exception-type"]
			if f.headers[":message-type"] == "exception" {
				kind = "!" + kind
			}
			if !json.Valid([]byte(f.payload)) || f.headers[":content-type"] != "application/json" {
				t.Errorf("%s: %s", name, f.payload)
			}
			got = append(got, kind)
		}
		if rest != "" {
			got = append(got, "rest")
		}
		if all := strings.Join(got, " "); all != want || r.header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
			t.Errorf("%s: %s, want %s", name, all, want)
		}
		return list
	}
	const d = " contentBlockDelta"
	const whole = "messageStart" + d + d + d + " contentBlockStop messageStop metadata"
	list := f("plain", plainConverse, "", whole)
	text := ""
	for _, e := range list[1:4] {
		text += at(e.json(t), "delta", "text").(string)
	}
	want(t, ask1(t, m, "/model/m/converse", plainConverse).decode(t), text, "output", "message", "content", 0, "text")
	want(t, list[5].json(t), "end_turn", "stopReason")
	want(t, list[6].json(t), 4.0, "usage", "inputTokens")
	want(t, list[6].json(t), 3.0, "usage", "outputTokens")
	if list[1].json(t)["p"] == nil {
		t.Error("no padding")
	}

	list = f("tool", fmt.Sprintf(toolConverse, ""), "x-mock-tool: get_weather", "messageStart contentBlockStart"+strings.Repeat(d, 6)+" contentBlockStop messageStop metadata")
	want(t, list[1].json(t), "get_weather", "start", "toolUse", "name")
	args := ""
	for _, e := range list[2:8] {
		args += at(e.json(t), "delta", "toolUse", "input").(string)
	}
	if args != toolArgs {
		t.Error(args)
	}
	want(t, list[9].json(t), "tool_use", "stopReason")

	list = f("error event", plainConverse, "x-mock-error-event: 3", "messageStart"+d+" !internalServerException")
	if at(list[2].json(t), "message") == nil {
		t.Error(list[2].payload)
	}
	f("error type", plainConverse, "x-mock-error-event: 1", "!internalServerException")
	f("no done", plainConverse, "x-mock-no-done: 1", strings.TrimSuffix(whole, " messageStop metadata"))
	if list = f("no usage", plainConverse, "x-mock-no-usage: 1", whole); list[6].json(t)["usage"] != nil {
		t.Error(list[6].payload)
	}
	f("garbage", plainConverse, "x-mock-garbage: event:3", "messageStart"+d+" rest")
	for _, header := range []string{"x-mock-split: 1", "x-mock-chunk-size: 7", "x-mock-framing: length", "x-mock-framing: close", "x-mock-crlf: 1", "x-mock-comments: 2", "x-mock-bom: 1", "x-mock-stamp: 1", "x-mock-batch: 4"} {
		f(header, plainConverse, header, whole)
	}
}

func TestConverseCut(t *testing.T) {
	m := startMock(t, Options{Tokens: 3})
	for _, fault := range []string{"cut", "reset"} {
		c := dial(t, m)
		c.post("/model/m/converse-stream", "x-mock-"+fault+": 2\r\n", plainConverse)
		b, err := io.ReadAll(c.response().Body)
		if list, rest := readFrames(string(b)); err == nil || fault == "cut" && (len(list) != 2 || rest != "") {
			t.Errorf("%s: %v, %d frames and %q", fault, err, len(list), rest)
		}
	}
}
