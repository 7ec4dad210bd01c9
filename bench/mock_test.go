package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// startMock runs a mock until the test ends.
func startMock(t testing.TB, o Options) *Mock {
	t.Helper()
	m := New(o)
	if err := m.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

const (
	plainChat  = `{"model":"gpt-4","messages":[{"role":"system","content":"You are a mathematician"},{"role":"user","content":"What is 1+1?"}]}`
	streamChat = `{"model":"gpt-4","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"two words"}]}`
	toolsChat  = `{"model":"gpt-4","stream":%v,"messages":[{"role":"user","content":"weather?"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]},"days":{"type":"integer"}}}}}]}`
	toolsFlat  = `{"model":"m","stream":%v,"%s":"weather?","tools":[{"type":"function","name":"get_weather","parameters":{"properties":{"city":{"type":"string"}}}}]}`
	toolArgs   = `{"city":"mock city","days":7,"unit":"C"}`
)

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) decode(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return v
}

func ask1(t testing.TB, m *Mock, path, body string, headers ...string) reply {
	t.Helper()
	req, _ := http.NewRequest("POST", m.URL()+path, strings.NewReader(body))
	return send(t, http.DefaultClient, req, headers...)
}

func get(t testing.TB, m *Mock, path string) reply {
	t.Helper()
	req, _ := http.NewRequest("GET", m.URL()+path, nil)
	return send(t, http.DefaultClient, req)
}

func send(t testing.TB, c *http.Client, req *http.Request, headers ...string) reply {
	t.Helper()
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v after %q", err, b)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// event is one server-sent event, read the slow and obvious way.
type event struct {
	name string
	data string
}

func (e event) json(t testing.TB) map[string]any { return reply{body: e.data}.decode(t) }

func events(t testing.TB, body string) (list []event) {
	t.Helper()
	blocks := strings.Split(body, "\n\n")
	if last := blocks[len(blocks)-1]; last != "" {
		t.Fatalf("the stream ends with %q", last)
	}
	for _, b := range blocks[:len(blocks)-1] {
		var e event
		for line := range strings.SplitSeq(b, "\n") {
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				e.name = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				e.data += v
			}
		}
		list = append(list, e)
	}
	return list
}

// at digs in decoded JSON: at(v, "choices", 0, "delta").
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func want(t testing.TB, v any, expect any, path ...any) {
	t.Helper()
	if got := at(v, path...); !reflect.DeepEqual(got, expect) {
		t.Errorf("%v is %#v, want %#v", path, got, expect)
	}
}

func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestChatPlain(t *testing.T) {
	m := startMock(t, Options{})
	r := ask1(t, m, "/v1/chat/completions", plainChat)
	if r.status != 200 || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%+v", r)
	}
	v := r.decode(t)
	want(t, v, "chat.completion", "object")
	want(t, v, "gpt-4", "model")
	want(t, v, "1+1 equals 2.", "choices", 0, "message", "content")
	want(t, v, "assistant", "choices", 0, "message", "role")
	want(t, v, "stop", "choices", 0, "finish_reason")
	want(t, v, 7.0, "usage", "prompt_tokens")
	want(t, v, 3.0, "usage", "completion_tokens")
	want(t, v, 10.0, "usage", "total_tokens")

	// Any path with a messages body is chat.
	want(t, ask1(t, m, "/completions", plainChat).decode(t), "chat.completion", "object")
	want(t, ask1(t, m, "/anything", plainChat, "x-mock-no-usage: 1", "x-mock-model: other").decode(t), nil, "usage")
	r = ask1(t, m, "/v1/chat/completions", `{"model":`)
	if want(t, r.decode(t), "invalid_request_error", "error", "type"); r.status != 400 {
		t.Error(r)
	}
}

func TestChatStream(t *testing.T) {
	m := startMock(t, Options{Tokens: 5})
	r := ask1(t, m, "/v1/chat/completions", streamChat)
	if r.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Error(r.header)
	}
	list := events(t, r.body)
	if len(list) != 1+5+1+1+1 || list[8].data != "[DONE]" {
		t.Fatalf("%d events: %v", len(list), list)
	}
	want(t, list[0].json(t), "assistant", "choices", 0, "delta", "role")
	seen, text := map[string]bool{}, ""
	for _, e := range list[1:6] {
		v := e.json(t)
		want(t, v, "chat.completion.chunk", "object")
		want(t, v, nil, "usage")
		want(t, v, nil, "choices", 0, "finish_reason")
		c := at(v, "choices", 0, "delta", "content").(string)
		if seen[c] {
			t.Errorf("%q comes twice", c)
		}
		seen[c] = true
		text += c
	}
	want(t, list[6].json(t), "stop", "choices", 0, "finish_reason")
	want(t, list[6].json(t), map[string]any{}, "choices", 0, "delta")
	want(t, list[7].json(t), []any{}, "choices")
	want(t, list[7].json(t), 5.0, "usage", "completion_tokens")
	want(t, list[7].json(t), 2.0, "usage", "prompt_tokens")

	// The plain answer says the same; without include_usage there is none.
	plain := ask1(t, m, "/v1/chat/completions", strings.Replace(streamChat, `"stream":true,`, "", 1))
	want(t, plain.decode(t), text, "choices", 0, "message", "content")
	r = ask1(t, m, "/v1/chat/completions", strings.Replace(streamChat, `"include_usage":true`, "", 1))
	if strings.Contains(r.body, "usage") || len(events(t, r.body)) != 8 {
		t.Error(r.body)
	}
}

func TestToolCalls(t *testing.T) {
	m := startMock(t, Options{})
	v := ask1(t, m, "/v1/chat/completions", fmt.Sprintf(toolsChat, false), "x-mock-tool: get_weather").decode(t)
	want(t, v, "tool_calls", "choices", 0, "finish_reason")
	want(t, v, nil, "choices", 0, "message", "content")
	want(t, v, toolArgs, "choices", 0, "message", "tool_calls", 0, "function", "arguments")
	want(t, v, "get_weather", "choices", 0, "message", "tool_calls", 0, "function", "name")

	args, list := "", events(t, ask1(t, m, "/v1/chat/completions", fmt.Sprintf(toolsChat, true), "x-mock-tool: get_weather").body)
	for _, e := range list[:len(list)-1] {
		s, _ := at(e.json(t), "choices", 0, "delta", "tool_calls", 0, "function", "arguments").(string)
		args += s
	}
	if args != toolArgs || len(list) < 6 {
		t.Errorf("%q in %d events", args, len(list))
	}
	// tool_choice alone is enough, "auto" is not.
	forced := strings.Replace(fmt.Sprintf(toolsChat, false), `"tools"`, `"tool_choice":"required","tools"`, 1)
	want(t, ask1(t, m, "/v1/chat/completions", forced).decode(t), "tool_calls", "choices", 0, "finish_reason")
	auto := strings.Replace(forced, "required", "auto", 1)
	want(t, ask1(t, m, "/v1/chat/completions", auto).decode(t), "stop", "choices", 0, "finish_reason")

	v = ask1(t, m, "/v1/responses", fmt.Sprintf(toolsFlat, false, "input"), "x-mock-tool: get_weather").decode(t)
	want(t, v, "function_call", "output", 0, "type")
	want(t, v, `{"city":"mock city"}`, "output", 0, "arguments")
	list = events(t, ask1(t, m, "/v1/responses", fmt.Sprintf(toolsFlat, true, "input"), "x-mock-tool: get_weather").body)
	want(t, list[len(list)-1].json(t), `{"city":"mock city"}`, "response", "output", 0, "arguments")

	anthropic := `{"model":"m","max_tokens":9,"stream":%v,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"get_weather","input_schema":{"properties":{"city":{}}}}],"tool_choice":{"type":"tool","name":"get_weather"}}`
	v = ask1(t, m, "/v1/messages", fmt.Sprintf(anthropic, false)).decode(t)
	want(t, v, "tool_use", "stop_reason")
	want(t, v, "mock city", "content", 0, "input", "city")
	args = ""
	for _, e := range events(t, ask1(t, m, "/v1/messages", fmt.Sprintf(anthropic, true)).body) {
		s, _ := at(e.json(t), "delta", "partial_json").(string)
		args += s
	}
	if args != `{"city":"mock city"}` {
		t.Error(args)
	}
}

func TestResponses(t *testing.T) {
	m := startMock(t, Options{Tokens: 2})
	v := ask1(t, m, "/v1/responses", `{"model":"m","input":"three small words"}`).decode(t)
	want(t, v, "response", "object")
	want(t, v, "completed", "status")
	want(t, v, "output_text", "output", 0, "content", 0, "type")
	want(t, v, 3.0, "usage", "input_tokens")
	want(t, v, 2.0, "usage", "output_tokens")
	want(t, v, 5.0, "usage", "total_tokens")
	text := at(v, "output", 0, "content", 0, "text").(string)

	list := events(t, ask1(t, m, "/v1/responses", `{"model":"m","stream":true,"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}`).body)
	var names []string
	got := ""
	for i, e := range list {
		names = append(names, strings.TrimPrefix(e.name, "response."))
		want(t, e.json(t), e.name, "type")
		want(t, e.json(t), float64(i), "sequence_number")
		if e.name == "response.output_text.delta" {
			got += at(e.json(t), "delta").(string)
		}
	}
	expect := "created in_progress output_item.added content_part.added output_text.delta output_text.delta " +
		"output_text.done content_part.done output_item.done completed"
	if strings.Join(names, " ") != expect || got != text {
		t.Errorf("%v, %q and %q", names, got, text)
	}
	want(t, list[9].json(t), 1.0, "response", "usage", "input_tokens")
	want(t, list[9].json(t), text, "response", "output", 0, "content", 0, "text")
	want(t, list[0].json(t), nil, "response", "usage")
}

func TestMessages(t *testing.T) {
	m := startMock(t, Options{Tokens: 2})
	v := ask1(t, m, "/anthropic/v1/messages", `{"model":"claude","max_tokens":5,"system":"be brief","messages":[{"role":"user","content":"hello you"}]}`).decode(t)
	want(t, v, "message", "type")
	want(t, v, "text", "content", 0, "type")
	want(t, v, "end_turn", "stop_reason")
	want(t, v, 4.0, "usage", "input_tokens")
	want(t, v, 2.0, "usage", "output_tokens")

	list := events(t, ask1(t, m, "/v1/messages", `{"model":"claude","stream":true,"messages":[{"role":"user","content":"hi"}]}`).body)
	var names []string
	for _, e := range list {
		names = append(names, e.name)
		want(t, e.json(t), e.name, "type")
	}
	if got := strings.Join(names, " "); got != "message_start content_block_start ping content_block_delta content_block_delta content_block_stop message_delta message_stop" {
		t.Error(got)
	}
	want(t, list[0].json(t), 1.0, "message", "usage", "input_tokens")
	want(t, list[3].json(t), "text_delta", "delta", "type")
	want(t, list[6].json(t), 2.0, "usage", "output_tokens")

	r := ask1(t, m, "/v1/messages", `{"messages":[]}`, "x-mock-status: 529")
	want(t, r.decode(t), "overloaded_error", "error", "type")
	want(t, r.decode(t), "error", "type")
}

func TestEmbeddings(t *testing.T) {
	m := startMock(t, Options{})
	v := ask1(t, m, "/v1/embeddings", `{"model":"e","input":["the red fox jumps","the red fox runs","invoice"],"dimensions":64}`).decode(t)
	want(t, v, "list", "object")
	want(t, v, 9.0, "usage", "prompt_tokens")
	vec := func(i int) (f []float64) {
		want(t, v, float64(i), "data", i, "index")
		for _, x := range at(v, "data", i, "embedding").([]any) {
			f = append(f, x.(float64))
		}
		return f
	}
	dot := func(a, b []float64) (s float64) {
		for i := range a {
			s += a[i] * b[i]
		}
		return s
	}
	a, b, c := vec(0), vec(1), vec(2)
	if len(a) != 64 || math.Abs(dot(a, a)-1) > 1e-3 || dot(a, b) < 0.5 || dot(a, c) > 0.5 {
		t.Errorf("%d: %v %v %v", len(a), dot(a, a), dot(a, b), dot(a, c))
	}
	s := at(ask1(t, m, "/v1/embeddings", `{"input":"the red fox jumps","dimensions":64,"encoding_format":"base64"}`).decode(t), "data", 0, "embedding").(string)
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) != 4*64 || math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))-a[0]) > 1e-6 {
		t.Error(err, len(raw))
	}
	want(t, ask1(t, m, "/v1/embeddings", `{"input":[[1,2,3],[4]]}`).decode(t), 4.0, "usage", "prompt_tokens")
}

func TestEchoModelsAndLast(t *testing.T) {
	m := startMock(t, Options{Keep: 2})
	want(t, get(t, m, "/v1/models").decode(t), "model", "data", 0, "object")
	v := ask1(t, m, "/some/path?a=1&b=x%20y", `{"q":[1]}`, "X-Twice: 1", "X-Twice: 2").decode(t)
	want(t, v, "/some/path", "path")
	want(t, v, "a=1&b=x%20y", "query")
	want(t, v, "1, 2", "headers", "x-twice")
	want(t, v, `{"q":[1]}`, "body")
	want(t, v, 1.0, "json", "q", 0)
	ask1(t, m, "/bin", "\xff\x00")

	var last []map[string]any
	if err := json.Unmarshal([]byte(get(t, m, "/mock/last").body), &last); err != nil || len(last) != 2 {
		t.Fatal(err, last)
	}
	want(t, last[0], "/bin", "path")
	want(t, last[0], "/wA=", "body_base64")
	want(t, last[1], "/some/path", "path")
	want(t, last[1], "completed", "end")
	if r := get(t, m, "/mock/last/body"); r.body != "\xff\x00" {
		t.Errorf("%q", r.body)
	}
	req, _ := http.NewRequest("DELETE", m.URL()+"/mock/last", nil)
	send(t, http.DefaultClient, req)
	if r := get(t, m, "/mock/last?n=1"); strings.TrimSpace(r.body) != "[]" {
		t.Error(r.body)
	}
	if r := get(t, m, "/mock/nothing"); r.status != 404 {
		t.Error(r)
	}
	want(t, get(t, m, "/mock/stats").decode(t), 3.0, "requests", "completed")
}

func TestErrorsByScript(t *testing.T) {
	m := startMock(t, Options{Script: map[string]string{"status": "500"}})
	want(t, ask1(t, m, "/v1/chat/completions", plainChat).decode(t), "server_error", "error", "type")
	r := ask1(t, m, "/v1/chat/completions?mock-status=503", plainChat, "x-mock-status: 429", "x-mock-retry-after: 2", "x-mock-header: X-Extra: yes")
	if r.status != 429 || r.header.Get("Retry-After") != "2" || r.header.Get("X-Extra") != "yes" {
		t.Error(r)
	}
	want(t, r.decode(t), "rate_limit_exceeded", "error", "code")
	if r = ask1(t, m, "/v1/chat/completions?mock-status=503&mock-error-type=odd", streamChat); r.status != 503 {
		t.Error(r)
	}
	want(t, r.decode(t), "odd", "error", "type")
	r = ask1(t, m, "/x", "", "x-mock-status: 200", "x-mock-body: <p>", "x-mock-content-type: text/html")
	if r.body != "<p>" || r.header.Get("Content-Type") != "text/html" {
		t.Error(r)
	}
	if r = ask1(t, m, "/x", "", "x-mock-status: 204"); r.status != 204 || r.body != "" {
		t.Error(r)
	}
	for _, h := range []string{"x-mock-nonsense: 1", "x-mock-gap: soon", "x-mock-framing: none", "x-mock-header: noColon", "x-mock-hang: maybe", "x-mock-split: -1"} {
		if r = ask1(t, m, "/v1/chat/completions", plainChat, h); r.status != 400 {
			t.Errorf("%s: %+v", h, r)
		}
	}
}

func TestFixtures(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "openai"), 0o755)
	sse := "data: {\"model\":\"{{model}}\"}\r\n\r\n: c\n\ndata: [DONE]"
	os.WriteFile(filepath.Join(dir, "openai", "a.sse"), []byte(sse), 0o644)
	os.WriteFile(filepath.Join(dir, "openai", "a.json"), []byte(`{"m":"{{model}}"}`), 0o644)
	os.WriteFile(filepath.Join(filepath.Dir(dir), "secret.json"), []byte(`{}`), 0o644)
	os.Symlink(filepath.Join(filepath.Dir(dir), "secret.json"), filepath.Join(dir, "link.json"))
	m := startMock(t, Options{Fixtures: dir})
	r := ask1(t, m, "/v1/chat/completions", plainChat, "X-AI-Fixture: openai/a.sse")
	if r.body != strings.ReplaceAll(sse, "{{model}}", "gpt-4") || r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%+v", r)
	}
	r = ask1(t, m, "/v1/chat/completions", plainChat, "X-AI-Fixture: openai/a.json", "X-AI-Fixture-Status: 418")
	if r.status != 418 || r.body != `{"m":"gpt-4"}` {
		t.Errorf("%+v", r)
	}
	for name, status := range map[string]int{"../secret.json": 400, "/etc/passwd": 400, "openai/../../secret.json": 400, "link.json": 404, "none.json": 404} {
		if r = ask1(t, m, "/v1/chat/completions", plainChat, "X-AI-Fixture: "+name); r.status != status {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r = ask1(t, startMock(t, Options{}), "/v1/chat/completions", plainChat, "X-AI-Fixture: openai/a.json"); r.status != 400 {
		t.Error(r)
	}
}

func TestTLS(t *testing.T) {
	m := startMock(t, Options{TLS: true})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(m.CA()) {
		t.Fatal("no certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequest("POST", m.URL()+"/v1/chat/completions", strings.NewReader(streamChat))
	r := send(t, &http.Client{Transport: tr}, req, "x-mock-gap: 2ms", "x-mock-first: 3ms")
	if list := events(t, r.body); len(list) != 20 {
		t.Error(len(list))
	}
	if _, err := New(Options{TLSCert: "x"}).Listen("127.0.0.1:0"); err == nil {
		t.Error("a certificate without a key")
	}
}

func TestKeepAlive(t *testing.T) {
	m := startMock(t, Options{Tokens: 2})
	c := dial(t, m)
	for i, h := range []string{"", "x-mock-gap: 1ms\r\n", "x-mock-framing: length\r\n", "x-mock-status: 500\r\n", "x-mock-linger: 1ms\r\n", "x-mock-error-event: 2\r\n"} {
		c.post("/v1/chat/completions", h, streamChat)
		res := c.response()
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	// Pipelined requests wait for each other, also through pauses.
	c.post("/v1/chat/completions", "x-mock-gap: 2ms\r\n", streamChat)
	c.post("/after", "", "x")
	if b, err := io.ReadAll(c.response().Body); err != nil || !bytes.HasSuffix(b, []byte("[DONE]\n\n")) {
		t.Errorf("%v %q", err, b)
	}
	var v map[string]any
	if err := json.NewDecoder(c.response().Body).Decode(&v); err != nil || v["path"] != "/after" {
		t.Error(err, v)
	}
	s := get(t, m, "/mock/stats").decode(t)
	want(t, s, 8.0, "requests", "completed")
	want(t, s, 2.0, "connections", "total")
}

func TestRequestBodies(t *testing.T) {
	m := startMock(t, Options{})
	c := dial(t, m)
	c.write("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")
	var v map[string]any
	if json.NewDecoder(c.response().Body).Decode(&v); v["body"] != "abcde" {
		t.Error(v)
	}
	c.write("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if line := c.line(); line != "HTTP/1.1 100 Continue" {
		t.Error(line)
	}
	c.line()
	c.write("ok")
	if json.NewDecoder(c.response().Body).Decode(&v); v["body"] != "ok" {
		t.Error(v)
	}
	big := strings.Repeat("x", 3<<20)
	if r := ask1(t, m, "/big", big); r.decode(t)["body"] != big {
		t.Error("large body")
	}
	for _, bad := range []string{
		"nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		c := dial(t, m)
		c.write(bad)
		if res := c.response(); res.StatusCode != 400 {
			t.Errorf("%q: %d", bad, res.StatusCode)
		}
		c.gone()
	}
}

func TestServeAndShutdown(t *testing.T) {
	m := New(Options{Gap: 5 * time.Millisecond, Tokens: 20})
	ln, err := m.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}).Listen(ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") || strings.Count(err.Error(), ln.Addr().String()) != 1 {
		t.Error(err)
	}
	served := make(chan error, 1)
	go func() { served <- m.Serve(ln) }()
	c, idle := dial(t, m), dial(t, m)
	idle.post("/x", "", "")
	io.Copy(io.Discard, idle.response().Body)
	c.post("/v1/chat/completions", "", streamChat)
	res := c.response()
	if err := m.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), "[DONE]") {
		t.Errorf("%v %q", err, b)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for _, o := range []Options{{Usage: "sometimes"}, {Script: map[string]string{"gap": "x"}}, {Script: map[string]string{"x": "x"}}, {Fixtures: "/nonexistent"}} {
		if _, err := New(o).Listen("127.0.0.1:0"); err == nil {
			t.Errorf("%+v is fine", o)
		}
	}
	m = startMock(t, Options{Script: map[string]string{"hang": "1"}})
	dial(t, m).post("/v1/chat/completions", "", plainChat)
	poll(t, "the request does not arrive", func() bool { return m.stats.requests.open.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := m.Shutdown(ctx); err == nil {
		t.Error("a hanging request was waited for")
	}
}

func TestKeysAreDocumented(t *testing.T) {
	var names []string
	for _, k := range Keys {
		if k.Name == "" || k.Arg == "" || k.Help == "" || k.set == nil {
			t.Errorf("%+v", k)
		}
		names = append(names, k.Name)
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(Keys) {
		t.Error("a key comes twice")
	}
}

// rawConn is a client that sees the bytes.
type rawConn struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func dial(t testing.TB, m *Mock) *rawConn {
	t.Helper()
	nc, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return &rawConn{nc, t, bufio.NewReader(nc)}
}

func (c *rawConn) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawConn) post(path, headers, body string) {
	c.t.Helper()
	c.write(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body))
}

func (c *rawConn) response() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.br, &http.Request{Method: "POST"})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

func (c *rawConn) line() string {
	c.t.Helper()
	s, err := c.br.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

// rest reads to the end of the connection.
func (c *rawConn) rest() (string, error) {
	b, err := io.ReadAll(c.br)
	return string(b), err
}

func (c *rawConn) gone() {
	c.t.Helper()
	if _, err := c.rest(); err != nil {
		c.t.Error(err)
	}
}
