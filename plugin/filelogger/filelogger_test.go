package filelogger

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/plugin"
	"headrace/plugin/logentry/logtest"
	"headrace/plugin/logfile"
)

func newGateway(t *testing.T, metadata string) *logtest.Gateway {
	g := logtest.New(t, &Spec)
	g.Metadata = metadata
	return g
}

// written closes the log and returns what is in it.
func written(t *testing.T, g *logtest.Gateway, path string) (all []map[string]any) {
	t.Helper()
	g.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil || line[len(line)-1] != '\n' {
			t.Fatalf("%q: %v", line, err)
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
		g := newGateway(t, metadata)
		logtest.Serve(g.Bind(config), "a=1")
		got := written(t, g, path)
		if len(got) != 1 || got[0]["route_id"] != "r1" || got[0]["request"] == nil || g.Log.String() != "" {
			t.Errorf("%s, %s: %v, %s", config, metadata, got, &g.Log)
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
		g := newGateway(t, metadata)
		logtest.Serve(g.Bind(strings.Replace(config, "{", `{"path":"`+path+`",`, 1)), "a=1")
		got := written(t, g, path)[0]
		delete(got, "route_id")
		if len(got) > 5 {
			got = map[string]any{"x": got["x"], "standard": true}
		}
		if b, _ := json.Marshal(got); string(b) != want || g.Log.String() != "" {
			t.Errorf("%s, %s: %s, %s", config, metadata, b, &g.Log)
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
		g := newGateway(t, "")
		b := g.Bind(`{"path":"` + path + `","log_format":{"q":"$args"},"match":` + match + `}`)
		for _, query := range []string{"a=1", "a=2", "b=1", "a=1&b=1"} {
			logtest.Serve(b, query)
		}
		var got []string
		for _, m := range written(t, g, path) {
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
		g := newGateway(t, metadata)
		b := g.Bind(config)
		logtest.Serve(b, "")
		if !strings.Contains(g.Log.String(), log) || !strings.Contains(g.Log.String(), "r1") {
			t.Errorf("%s: the log has %q", config, &g.Log)
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
	g := newGateway(t, "")
	one, two := g.Bind(`{"path":"`+path+`"}`), g.Bind(`{"path":"`+path+`","match":[[]]}`)
	if len(g.Keys()) != 1 {
		t.Errorf("%d files for one path", len(g.Keys()))
	}
	logtest.Serve(one, "")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	g.Each(func(v any) {
		if err := v.(*logfile.File).Reopen(); err != nil {
			t.Fatal(err)
		}
	})
	logtest.Serve(two, "")
	if n := len(written(t, g, path)); n != 1 {
		t.Errorf("%d lines in the new file", n)
	}
	if n := len(written(t, g, path+".1")); n != 1 {
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
	g := newGateway(t, "")
	b := g.Bind(`{"path":"` + path + `","include_req_body":true,"include_resp_body":true,"max_resp_body_bytes":3}`)
	c := &plugin.Ctx{ReqBody: []byte("question"), RespBody: []byte("answer")}
	l := b.Value.(plugin.BodyLogger)
	if req, resp := l.Bodies(); req != 512<<10+4 || resp != 3+4 || !l.WantsAnswer(c) {
		t.Errorf("wants %d and %d", req, resp)
	}
	l.Log(c)
	got := written(t, g, path)[0]
	if q, a := got["request"].(map[string]any)["body"], got["response"].(map[string]any)["body"]; q != "question" || a != "ans" {
		t.Errorf("%v, %v", q, a)
	}
}
