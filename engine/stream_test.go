package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// stream posts a streaming chat and returns the body and how it ended.
func (r *rig) stream(headers string) (status int, body string, err error) {
	r.t.Helper()
	c, derr := net.Dial("tcp", r.addr)
	if derr != nil {
		r.t.Fatal(derr)
	}
	defer c.Close()
	io.WriteString(c, post("/c", headers, chatStream))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// How a stream ends: architecture.md section 5 and ruling 8.
func TestStreamEnds(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"timeout":1500`)
	f := func(name, headers string, whole bool, suffix string) {
		t.Helper()
		status, body, err := r.stream(headers)
		if status != 200 || (err == nil) != whole || !strings.HasSuffix(body, suffix) {
			tail := body[max(0, len(body)-200):]
			t.Errorf("%s: status %d, err %v, ends %q; want whole=%v and %q", name, status, err, tail, whole, suffix)
		}
		if n := strings.Count(body, "upstream_stream"); !whole && n != 1 {
			t.Errorf("%s: %d error events", name, n)
		}
	}
	done := "data: [DONE]\n\n"
	f("complete", "", true, done)
	f("split at every byte", "x-mock-split: 1\r\nx-mock-tokens: 3\r\n", true, done)
	f("CRLF", "x-mock-crlf: 1\r\n", true, "data: [DONE]\r\n\r\n")
	f("by length", "x-mock-framing: length\r\n", true, done)
	f("until close", "x-mock-framing: close\r\n", true, done)
	f("lingering upstream", "x-mock-linger: 5s\r\n", true, done)
	f("big event", "x-mock-big-event: 4194304\r\n", true, done)
	f("no terminator, framed", "x-mock-no-done: 1\r\n", true, "}\n\n")
	f("no terminator, until close", "x-mock-no-done: 1\r\nx-mock-framing: close\r\n", false, "\"upstream_stream_truncated\"}}\n\n")
	f("cut", "x-mock-cut: 3\r\n", false, "\"upstream_stream_truncated\"}}\n\n")
	f("reset", "x-mock-reset: 3\r\n", false, "\"upstream_stream_truncated\"}}\n\n")
	f("stall", "x-mock-stall: 3\r\n", false, "\"upstream_stream_timeout\"}}\n\n")
	f("bad chunk", "x-mock-garbage: chunk:3\r\n", false, "\"upstream_stream_truncated\"}}\n\n")
	poll(t, "every upstream connection is idle or closed", func() bool { return r.e.Streams() == 0 })
}

// The first event does not wait for the second.
func TestFirstByteNotHeld(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	c, _ := net.Dial("tcp", r.addr)
	defer c.Close()
	io.WriteString(c, post("/c", "x-mock-stall: 2\r\n", chatStream))
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	br := bufio.NewReader(c)
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatalf("the first event did not come: %v", err)
		}
		if strings.HasPrefix(line, "data: ") {
			return
		}
	}
}

func TestStreamLimits(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"max_stream_duration_ms":300,"max_response_bytes":2000`)
	status, body, err := r.stream("x-mock-tokens: 1000\r\nx-mock-bytes: 100\r\n")
	if status != 200 || err != nil || strings.Contains(body, "[DONE]") || len(body) < 2000 {
		t.Errorf("bytes: %d %v, %d bytes", status, err, len(body))
	}
	start := time.Now()
	status, body, err = r.stream("x-mock-stall: 2\r\n") // silence: the timer ends it
	if status != 200 || err != nil || strings.Contains(body, "error") || time.Since(start) > 2*time.Second {
		t.Errorf("duration: %d %v %q after %v", status, err, body, time.Since(start))
	}
}

func TestHideUsage(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"stream_usage":"hide"`)
	_, shown, _ := r.stream("x-mock-split: 7\r\n")
	if strings.Contains(shown, `"choices":[]`) || !strings.HasSuffix(shown, "data: [DONE]\n\n") {
		t.Errorf("the usage chunk shows: %q", shown)
	}
	asked := strings.Replace(chatStream, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
	_, body := r.do("POST", "/c", asked)
	if !strings.Contains(body, `"choices":[]`) {
		t.Errorf("the usage chunk that the client asked for is hidden: %q", body)
	}
}

// upper is a filter of the kind that guards and moderation will be: it holds
// text back and lets it go in other pieces.
type upper struct{}

func (upper) FilterChunk(_ *plugin.Ctx, dst, chunk []byte, last bool) []byte {
	dst = append(dst, bytes.ToUpper(chunk)...)
	if last {
		dst = append(dst, ": end\n\n"...)
	}
	return dst
}

func (upper) FilterHeader(c *plugin.Ctx) { c.HTTP.Response.Header.Set("X-Filtered", "yes") }

func TestFilters(t *testing.T) {
	spec := plugin.Spec{Name: "upper", Priority: 1, Schema: schema.MustCompile("upper", `{"type":"object"}`), New: func([]byte, *plugin.Env) (any, error) { return upper{}, nil }}
	r := newRigWith(t, Options{}, spec)
	r.src.put(conf.Routes, "1", fmt.Sprintf(`{"id":"1","uri":"/c","plugins":{"upper":{},"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, r.mock.URL()))
	status, body, err := r.stream("x-mock-tokens: 2\r\n")
	if status != 200 || err != nil || strings.Contains(body, "data:") || !strings.HasSuffix(body, "DATA: [DONE]\n\n: end\n\n") {
		t.Errorf("stream: %d %v %q", status, err, body)
	}
	resp, body := r.do("POST", "/c", chat)
	if resp.Header.Get("X-Filtered") != "yes" || !strings.Contains(body, "1+1 EQUALS 2.") {
		t.Errorf("plain: %v %q", resp.Header, body)
	}
}

// failing panics in one phase of a request.
type failing string

func (f failing) FilterHeader(*plugin.Ctx) {
	if f == "header" {
		panic("before the answer")
	}
}

func (f failing) FilterChunk(_ *plugin.Ctx, dst, chunk []byte, last bool) []byte {
	if f == "chunk" {
		panic("within the answer")
	}
	return append(dst, chunk...)
}

func (f failing) Log(*plugin.Ctx) {
	if f == "log" {
		panic("after the answer")
	}
}

// A plugin that panics harms its own request at most, and the request counts.
func TestPanic(t *testing.T) {
	spec := plugin.Spec{Name: "failing", Priority: 1, Schema: schema.MustCompile("failing", `{"type":"object"}`), New: func(conf []byte, _ *plugin.Env) (any, error) {
		return failing(bytes.Split(conf, []byte{'"'})[3]), nil
	}}
	r := newRigWith(t, Options{}, spec)
	for _, phase := range []string{"header", "chunk", "log"} {
		r.src.put(conf.Routes, "1", fmt.Sprintf(`{"id":"1","uri":"/c","plugins":{"failing":{"in":%q},"prometheus":{},"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, phase, r.mock.URL()))
		stream := r.talk(post("/c", "Connection: close\r\n", chatStream))
		whole := strings.HasPrefix(stream, "HTTP/1.1 200") && strings.HasSuffix(stream, "data: [DONE]\n\n\r\n0\r\n\r\n")
		resp, plain := r.do("POST", "/c", chat)
		if phase == "log" {
			if !whole || resp.StatusCode != 200 || !strings.Contains(plain, "1+1 equals 2.") {
				t.Errorf("log: %q, %d %q", stream, resp.StatusCode, plain)
			}
		} else if whole || resp.StatusCode != 500 || plain != "" {
			t.Errorf("%s: %q, %d %q", phase, stream, resp.StatusCode, plain)
		}
	}
	poll(t, "six requests are counted", func() bool { return strings.Contains(r.scrape(), "apisix_http_requests_total 6") })
	for line := range strings.Lines(r.scrape()) {
		if strings.HasPrefix(line, "apisix_llm_active_connections{") && !strings.HasSuffix(line, " 0\n") {
			t.Error("left active: ", line)
		}
	}
}

// A route that changes 50 times under streams loses none of them.
func TestReloadUnderStreams(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	ends := make(chan error, 20)
	for range cap(ends) {
		go func() {
			_, body, err := r.stream("x-mock-gap: 10ms\r\nx-mock-tokens: 30\r\n")
			if err == nil && !strings.HasSuffix(body, "data: [DONE]\n\n") {
				err = fmt.Errorf("ends %q", body[max(0, len(body)-50):])
			}
			ends <- err
		}()
	}
	for i := range 50 {
		r.route("1", "/c", fmt.Sprintf(`,"timeout":%d`, 5000+i))
		if _, body := r.do("POST", "/c", chat); !strings.Contains(body, "equals 2") {
			t.Fatal(body)
		}
	}
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
}

// Everything works with the route cache off.
func TestCacheOff(t *testing.T) {
	r := newRig(t, Options{RouteCacheBytes: -1})
	r.route("1", "/c", "")
	for range 3 {
		if _, body := r.do("POST", "/c", chat); !strings.Contains(body, "equals 2") {
			t.Fatal(body)
		}
	}
}

// A bad item changes nothing, not even its own last good version.
func TestBadItem(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/c","plugins":{"ai-proxy":{"provider":"nobody","auth":{}}}}`)
	r.src.put(conf.Routes, "2", `{"id":"2","uri":"/d","plugins":{"no-such-plugin":{}}}`)
	r.src.put(conf.Routes, "3", `{"id":"3","uri":"/e","plugins":{"jwt-auth":{}}}`)
	for path, want := range map[string]int{"/c": 200, "/d": 404, "/e": 503} {
		if resp, body := r.do("POST", path, chat); resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	r.src.put(conf.Routes, "1", "")
	if resp, _ := r.do("POST", "/c", chat); resp.StatusCode != 404 {
		t.Errorf("deleted route: %d", resp.StatusCode)
	}
}

// Shutdown lets streams finish and refuses new clients.
func TestShutdownLetsStreamsFinish(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	const n = 100
	end := make(chan error, n)
	for range n {
		go func() {
			_, body, err := r.stream("x-mock-gap: 50ms\r\nx-mock-tokens: 20\r\n")
			if err == nil && !strings.HasSuffix(body, "data: [DONE]\n\n") {
				err = fmt.Errorf("ends %q", body)
			}
			end <- err
		}()
	}
	poll(t, "the streams run", func() bool { return r.e.Streams() == n })
	idle, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	ctx, cancel := contextWithTimeout(5 * time.Second)
	defer cancel()
	if err := r.e.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	for range n {
		if err := <-end; err != nil {
			t.Errorf("a stream was cut: %v", err)
		}
	}
}

// How a stream ended stands in the log and is counted.
func TestStreamEndings(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"timeout":300,"max_stream_duration_ms":1500`)
	for _, tt := range []struct{ headers, want string }{
		{"", "complete"},
		{"x-mock-cut: 3\r\n", "upstream_truncated"},
		{"x-mock-stall: 3\r\n", "stall"},
		{"x-mock-tokens: 1000\r\nx-mock-gap: 20ms\r\n", "limit"},
	} {
		r.stream(tt.headers)
		r.counts(t, `headrace_streams_ended_total{route="1",node="ai-proxy-openai",reason="`+tt.want+`"} 1`)
	}
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, post("/c", "x-mock-tokens: 1000\r\nx-mock-gap: 20ms\r\n", chatStream))
	if _, err := bufio.NewReader(c).ReadString('}'); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.counts(t, `headrace_streams_ended_total{route="1",node="ai-proxy-openai",reason="client_gone"} 1`)
	r.src.put(conf.Routes, "1", "")
	if got := r.scrape(); strings.Contains(got, "headrace_streams_ended_total") {
		t.Error("counters outlive their route")
	}
}

// counts waits for a line among the metrics.
func (r *rig) counts(t *testing.T, line string) {
	t.Helper()
	poll(t, line, func() bool { return strings.Contains(r.scrape(), line+"\n") })
}

// An operator sees the open streams and can end one: its client learns it.
func TestOpenStreams(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	got := make(chan string, 1)
	go func() {
		_, body, err := r.stream("x-mock-tokens: 1000\r\nx-mock-gap: 20ms\r\n")
		got <- fmt.Sprint(body, " ", err)
	}()
	var s Stream
	poll(t, "the stream is seen", func() bool {
		list := r.e.OpenStreams()
		if len(list) == 1 {
			s = list[0]
		}
		return len(list) == 1 && s.Events > 3
	})
	if s.Route != "1" || s.Instance != "ai-proxy-openai" || s.Model != "m" || s.Phase != "streaming" || s.Bytes == 0 || s.AgeMS <= 0 || s.Client != "127.0.0.1" || len(s.ID) != 32 {
		t.Errorf("%+v", s)
	}
	if r.e.EndStream("nobody") || !r.e.EndStream(s.ID) {
		t.Error("EndStream finds the wrong one")
	}
	if body := <-got; !strings.Contains(body, `"code":"stream_ended"`) || !strings.Contains(body, "unexpected EOF") || strings.Contains(body, "[DONE]") {
		t.Errorf("the client got %s", body[max(0, len(body)-300):])
	}
	poll(t, "none is open", func() bool { return len(r.e.OpenStreams()) == 0 })
	r.counts(t, `headrace_streams_ended_total{route="1",node="ai-proxy-openai",reason="ended"} 1`)
}
