package filelogger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/logfile"
)

// house is an engine as a plugin sees it.
type house struct {
	t        *testing.T
	env      plugin.Env
	metadata string
	state    map[string]any
	log      bytes.Buffer
}

func newHouse(t *testing.T, metadata string) *house {
	before := runtime.NumGoroutine()
	h := &house{t: t, metadata: metadata, state: map[string]any{}}
	h.env = plugin.Env{
		Log: slog.New(slog.NewTextHandler(&h.log, nil)), RouteID: "r1",
		Metadata: func(name string) []byte {
			if name != "file-logger" || h.metadata == "" {
				return nil
			}
			return []byte(h.metadata)
		},
		State: func(key string, make func() (any, error)) (any, error) {
			if v := h.state[key]; v != nil {
				return v, nil
			}
			v, err := make()
			if err == nil {
				h.state[key] = v
			}
			return v, err
		},
	}
	t.Cleanup(func() {
		h.close()
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("goroutines are left")
			}
		}
	})
	return h
}

func (h *house) close() {
	for _, v := range h.state {
		v.(io.Closer).Close()
	}
	clear(h.state)
}

func (h *house) bind(raw string) *plugin.Bound {
	h.t.Helper()
	b, err := Spec.Bind([]byte(raw), &h.env)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// serve lets the plugin log one request with the given query.
func serve(b *plugin.Bound, query string) {
	c := &plugin.Ctx{
		Info: &plugin.Info{RouteID: "r1"}, Status: 200,
		Req: plugin.Request{Method: []byte("GET"), URI: []byte("/?" + query), Query: []byte(query), Host: []byte("h")},
	}
	if l, ok := b.Value.(plugin.Logger); ok && b.Runs(c) {
		l.Log(c)
	}
}

// lines closes the log and returns what is in it.
func (h *house) lines(path string) (all []map[string]any) {
	h.t.Helper()
	h.close()
	raw, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil || line[len(line)-1] != '\n' {
			h.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	mine, theirs := filepath.Join(dir, "new", "mine.log"), filepath.Join(dir, "theirs.log")
	f := func(config, metadata, path string) {
		t.Helper()
		h := newHouse(t, metadata)
		serve(h.bind(config), "a=1")
		got := h.lines(path)
		if len(got) != 1 || got[0]["route_id"] != "r1" || got[0]["request"] == nil || h.log.Len() > 0 {
			t.Errorf("%s, %s: %v, %s", config, metadata, got, &h.log)
		}
		os.Remove(path)
	}
	f(`{"path":"`+mine+`"}`, ``, mine)
	f(`{"path":"`+mine+`"}`, `{"path":"`+theirs+`"}`, mine) // the plugin's own goes first
	f(`{}`, `{"path":"`+theirs+`"}`, theirs)
}

func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := func(config, metadata, want string) {
		t.Helper()
		h := newHouse(t, metadata)
		serve(h.bind(strings.Replace(config, "{", `{"path":"`+path+`",`, 1)), "a=1")
		got := h.lines(path)[0]
		delete(got, "route_id")
		if len(got) > 5 {
			got = map[string]any{"x": got["x"], "standard": true}
		}
		if b, _ := json.Marshal(got); string(b) != want || h.log.Len() > 0 {
			t.Errorf("%s, %s: %s, %s", config, metadata, b, &h.log)
		}
		os.Remove(path)
	}
	f(`{"log_format":{"x":"$arg_a"}}`, ``, `{"x":"1"}`)
	f(`{"log_format":{"x":"$arg_a"}}`, `{"log_format":{"y":"2"}}`, `{"x":"1"}`)
	f(`{"match":[[]]}`, `{"log_format":{"y":"2"}}`, `{"y":"2"}`)
	f(`{"log_format_extra":{"x":"$arg_a"}}`, ``, `{"standard":true,"x":"1"}`)
	f(`{"match":[[]]}`, `{"log_format_extra":{"x":"3"}}`, `{"standard":true,"x":"3"}`)
	f(`{"log_format_extra":{"x":"4"}}`, `{"log_format":{"y":"2"}}`, `{"y":"2"}`)
}

func TestMatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := func(match string, want ...string) {
		t.Helper()
		h := newHouse(t, "")
		b := h.bind(`{"path":"` + path + `","log_format":{"q":"$args"},"match":` + match + `}`)
		for _, query := range []string{"a=1", "a=2", "b=1", "a=1&b=1"} {
			serve(b, query)
		}
		var got []string
		for _, m := range h.lines(path) {
			got = append(got, m["q"].(string))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v", match, got)
		}
		os.Remove(path)
	}
	f(`[[["arg_a","==","1"]]]`, "a=1", "a=1&b=1")
	f(`[[["arg_a","==","1"],["arg_b","==","1"]]]`, "a=1&b=1")                 // all of one expression
	f(`[[["arg_a","==","2"]],[["arg_b","==","1"]]]`, "a=2", "b=1", "a=1&b=1") // any of them
	f(`[["OR",["arg_a","==","2"],["arg_a","==",null]]]`, "a=2", "b=1")
	f(`[[["arg_a","==","9"]]]`)
	f(`[[]]`, "a=1", "a=2", "b=1", "a=1&b=1")
}

// TestSilent holds that a log which cannot be written takes no route down.
func TestSilent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(config, metadata, log string) *plugin.Bound {
		t.Helper()
		h := newHouse(t, metadata)
		b := h.bind(config)
		serve(b, "")
		if !strings.Contains(h.log.String(), log) || !strings.Contains(h.log.String(), "r1") {
			t.Errorf("%s: the log has %q", config, &h.log)
		}
		return b
	}
	f(`{"path":"`+file+`/a.log"}`, ``, "cannot create log folder")
	f(`{"path":"`+dir+`"}`, ``, "cannot open log file")
	f(`{}`, ``, "no path in the plugin or in its metadata")
	f(`{}`, `{"log_format":{"a":1}}`, "no path in the plugin or in its metadata")

	good := filepath.Join(dir, "a.log")
	deep := strings.Repeat(`{"a":`, 6) + "1" + strings.Repeat("}", 6)
	for _, metadata := range []string{`{"log_format":` + deep + `}`, `{"log_format":3,"path":4}`, `{`} {
		b := f(`{"path":"`+good+`"}`, metadata, "file-logger goes without its metadata")
		if _, ok := b.Value.(plugin.Logger); !ok {
			t.Errorf("with %s nothing is written", metadata)
		}
	}
}

func TestSharedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	h := newHouse(t, "")
	one, two := h.bind(`{"path":"`+path+`"}`), h.bind(`{"path":"`+path+`","match":[[]]}`)
	if len(h.state) != 1 {
		t.Errorf("%d files for one path", len(h.state))
	}
	serve(one, "")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	for _, v := range h.state {
		if err := v.(*logfile.File).Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	serve(two, "")
	if n := len(h.lines(path)); n != 1 {
		t.Errorf("%d lines in the new file", n)
	}
	if n := len(h.lines(path + ".1")); n != 1 {
		t.Errorf("%d lines in the old one", n)
	}
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Validate([]byte(raw))
		if err == nil {
			err = errors.New("")
		}
		if err.Error() != want {
			t.Errorf("%s: %v", raw, err)
		}
	}
	f(`{}`, "")
	f(`{"path":"logs/a.log","log_format":{"a":"$b"},"log_format_extra":{},"match":[[["a","==","b"]]],"max_req_body_bytes":1}`, "")
	f(`{"include_req_body":false,"include_resp_body":false}`, "")
	f(`{"path":""}`, `property "path" validation failed: string too short, expected at least 1, got 0`)
	f(`{"path":1}`, `property "path" validation failed: wrong type: expected string, got number`)
	f(`{"match":[]}`, `property "match" validation failed: expect array to have at least 1 items`)
	f(`{"match":[["a","==","b"]]}`, "failed to validate the 'match' expression: rule should be wrapped inside brackets")
	f(`{"match":[[["a","=","b"]]]}`, "failed to validate the 'match' expression: invalid operator '='")
	f(`{"log_format":{"a":{"a":{"a":{"a":{"a":{}}}}}}}`, "log_format: a: a: a: a: a: nested deeper than 5")
	f(`{"include_req_body":true,"include_req_body_expr":[["a","==","b"]],"include_resp_body":true,"max_resp_body_bytes":1}`, "")
	f(`{"include_resp_body_expr":[["a","=","b"]]}`, "failed to validate the 'include_resp_body_expr' expression: invalid operator '='")
	f(`{"max_resp_body_bytes":0}`, `property "max_resp_body_bytes" validation failed: expected 0 to be at least 1`)
}

func TestBodies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	h := newHouse(t, "")
	b := h.bind(`{"path":"` + path + `","include_req_body":true,"include_resp_body":true,"max_resp_body_bytes":3}`)
	c := &plugin.Ctx{ReqBody: []byte("question"), RespBody: []byte("answer")}
	l := b.Value.(plugin.BodyLogger)
	if req, resp := l.Bodies(); req != 512<<10+4 || resp != 3+4 || !l.WantsAnswer(c) {
		t.Errorf("wants %d and %d", req, resp)
	}
	l.Log(c)
	got := h.lines(path)[0]
	if q, a := got["request"].(map[string]any)["body"], got["response"].(map[string]any)["body"]; q != "question" || a != "ans" {
		t.Errorf("%v, %v", q, a)
	}
}
