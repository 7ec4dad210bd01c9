package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/bench"
	"headrace/conf"
	"headrace/plugin"
)

// rig is an engine on a loopback port with the mock provider behind it.
type rig struct {
	t    *testing.T
	e    *Engine
	url  string
	addr string
	mock *bench.Mock
	src  *memory
}

// memory is a source that tests write.
type memory struct {
	mu    sync.Mutex
	rev   int64
	items []conf.Item
	apply func([]conf.Change, int64)
}

func (m *memory) Load(context.Context) ([]conf.Item, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items, m.rev, nil
}

func (m *memory) Watch(ctx context.Context, _ int64, apply func([]conf.Change, int64)) error {
	m.mu.Lock()
	m.apply = apply
	m.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (m *memory) put(kind conf.Kind, id, raw string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rev++
	ch := conf.Change{Item: conf.Item{Kind: kind, ID: id, Raw: []byte(raw), Rev: m.rev, Created: m.rev}}
	if raw == "" {
		ch.Raw, ch.Deleted = nil, true
	}
	m.apply([]conf.Change{ch}, m.rev)
}

func newRig(t *testing.T, o Options) *rig { return newRigWith(t, o) }

func newRigWith(t *testing.T, o Options, specs ...plugin.Spec) *rig {
	t.Helper()
	if o.RouteCacheBytes == 0 {
		o.RouteCacheBytes = 1 << 20
	}
	before := goroutines()
	e, err := New(o, specs)
	if err != nil {
		t.Fatal(err)
	}
	mock := bench.New(bench.Options{})
	if err := mock.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	src := &memory{rev: 1}
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() { e.Follow(ctx, src, nil); close(followed) }()
	go e.Serve(ln)
	r := &rig{t: t, e: e, addr: ln.Addr().String(), url: "http://" + ln.Addr().String(), mock: mock, src: src}
	poll(t, "the source is watched", func() bool { src.mu.Lock(); defer src.mu.Unlock(); return src.apply != nil })
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		sctx, c := context.WithTimeout(context.Background(), 5*time.Second)
		defer c()
		if err := e.Shutdown(sctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		cancel()
		<-followed
		e.Close()
		mock.Close()
		poll(t, "no goroutine is left", func() bool { return len(goroutines()) <= len(before) })
		if n := e.conns.len(); n != 0 {
			t.Errorf("%d client connections are left", n)
		}
	})
	return r
}

// route stores an ai-proxy route; extra goes into the plugin's configuration.
func (r *rig) route(id, uri, extra string) {
	r.src.put(conf.Routes, id, fmt.Sprintf(`{"id":%q,"uri":%q,"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}},"override":{"endpoint":%q}%s}}}`,
		id, uri, r.mock.URL(), extra))
}

func (r *rig) do(method, path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Host = req.Header.Get("Host")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		b = append(b, []byte(" !"+err.Error())...)
	}
	return resp, string(b)
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

const chat = `{"model":"m","messages":[{"role":"user","content":"What is 1+1?"}]}`
const chatStream = `{"model":"m","stream":true,"messages":[{"role":"user","content":"What is 1+1?"}]}`

func TestPlainAndStream(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/v1/chat/completions", "")
	resp, body := r.do("POST", "/v1/chat/completions", chat)
	if resp.StatusCode != 200 || !strings.Contains(body, "1+1 equals 2.") || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("plain: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	for range 3 { // the connection is kept after a stream
		resp, body = r.do("POST", "/v1/chat/completions", chatStream)
		if resp.StatusCode != 200 || !strings.HasSuffix(body, "data: [DONE]\n\n") || !strings.Contains(body, `"usage"`) {
			t.Fatalf("stream: %d %v %s", resp.StatusCode, resp.Header, body)
		}
	}
	resp, body = r.do("POST", "/nothing", chat)
	if resp.StatusCode != 404 || body != "{\"error_msg\":\"404 Route Not Found\"}\n" {
		t.Fatalf("unmatched: %d %s", resp.StatusCode, body)
	}
	if n := r.e.conns.len(); n > 2 {
		t.Errorf("%d connections for sequential requests", n)
	}
}

func TestClientGone(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/v1/chat/completions", "")
	f := func(what, text, first string) {
		t.Helper()
		start := time.Now()
		r.abort(text, first)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: upstream freed only after %v", what, d)
		}
	}
	f("waiting for the head", post("/v1/chat/completions", "x-mock-hang: 1\r\n", chat), "")
	f("between tokens", post("/v1/chat/completions", "x-mock-stall: 3\r\n", chatStream), "200")
	f("a plain answer", post("/v1/chat/completions", "x-mock-stall: 20\r\n", chat), "")
}

// abort sends a request, waits until the upstream has it (and for the first
// line of the answer where one is named), leaves, and waits until the
// upstream's connection is gone.
func (r *rig) abort(text, first string) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	io.WriteString(c, text)
	poll(r.t, "the upstream is reached", func() bool { return r.mock.Connections() > 0 })
	if first != "" {
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, first) {
			r.t.Fatalf("%q %v", line, err)
		}
	}
	c.Close()
	poll(r.t, "the upstream is free", func() bool { return r.mock.Connections() == 0 })
}

// goroutines lists the stacks of all goroutines but those that the server
// library keeps for a while, or for ever, on its own account.
func goroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	for _, s := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(s, "fasthttp.(*workerPool).Start") && !strings.Contains(s, "fasthttp.updateServerDate") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

func contextWithTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
