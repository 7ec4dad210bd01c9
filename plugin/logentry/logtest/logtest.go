// Package logtest is a gateway as a logger plugin sees it, for tests.
package logtest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/conf"
	"headrace/driver/wire"
	"headrace/plugin"
)

// Gateway has one logger plugin on its routes. When its test ends it is shut
// down, and no goroutine may be left of it.
type Gateway struct {
	Env      plugin.Env
	Log      Buffer // the error log
	Metadata string // of the plugin; empty: none
	Vars     map[string]string

	t     testing.TB
	spec  *plugin.Spec
	mu    sync.Mutex
	state map[string]any
}

// Buffer is a text that several goroutines write.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// New makes a gateway for the route "r1".
func New(t testing.TB, spec *plugin.Spec) *Gateway {
	before := runtime.NumGoroutine()
	g := &Gateway{t: t, spec: spec, state: map[string]any{}, Vars: map[string]string{}}
	client := wire.NewClient(wire.Options{})
	g.Env = plugin.Env{
		Log: slog.New(slog.NewTextHandler(&g.Log, nil)), RouteID: "r1", Source: "routes/r1", Wire: client,
		Metadata: func(name string) []byte {
			if name != spec.Name || g.Metadata == "" {
				return nil
			}
			return []byte(g.Metadata)
		},
		State: g.hold,
		Resolve: func(ref string) (string, error) {
			v, _, err := conf.Resolve(ref, func(name string) (string, bool) { v, ok := g.Vars[name]; return v, ok })
			return v, err
		},
	}
	t.Cleanup(func() {
		g.Close()
		client.Close()
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				buf := make([]byte, 1<<20)
				t.Errorf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
	return g
}

func (g *Gateway) hold(key string, make func() (any, error)) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.state[key]; v != nil {
		return v, nil
	}
	v, err := make()
	if err == nil {
		g.state[key] = v
	}
	return v, err
}

// Keys are the names of what the plugin keeps.
func (g *Gateway) Keys() (keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k := range g.state {
		keys = append(keys, k)
	}
	return keys
}

// Each calls f with everything that the plugin keeps.
func (g *Gateway) Each(f func(v any)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.state {
		f(v)
	}
}

// Close ends what the plugin keeps, as the gateway does when nothing refers to
// it and when it shuts down.
func (g *Gateway) Close() {
	g.mu.Lock()
	state := g.state
	g.state = map[string]any{}
	g.mu.Unlock()
	var all sync.WaitGroup
	for _, v := range state {
		if c, ok := v.(io.Closer); ok {
			all.Go(func() { c.Close() })
		}
	}
	all.Wait()
}

// Bind makes the plugin of a route.
func (g *Gateway) Bind(config string) *plugin.Bound {
	g.t.Helper()
	b, err := g.spec.Bind([]byte(config), &g.Env)
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// Request is GET /?query of the route, answered with 200.
func Request(query string) *plugin.Ctx {
	return &plugin.Ctx{
		Info: &plugin.Info{RouteID: "r1"}, Status: 200,
		Req: plugin.Request{
			Method: []byte("GET"), URI: []byte("/?" + query), Path: []byte("/"), Query: []byte(query), Host: []byte("h"), Protocol: []byte("HTTP/1.1"),
			Headers: []byte("Host: h\r\nAuthorization: Bearer sk-client\r\n"),
		},
	}
}

// Serve lets the plugin log one request with the given query.
func Serve(b *plugin.Bound, query string) {
	c := Request(query)
	if l, ok := b.Value.(plugin.Logger); ok && b.Runs(c) {
		l.Log(c)
	}
}

// Metrics is the metrics page.
func (g *Gateway) Metrics() string {
	var b bytes.Buffer
	g.Each(func(v any) {
		if m, ok := v.(plugin.Measured); ok {
			m.WriteMetrics(&b, "apisix_")
		}
	})
	return b.String()
}

// Counts waits until the plugin's entries have ended as wanted: "3 0 0" is
// delivered, failed and dropped.
func (g *Gateway) Counts(want string) {
	g.t.Helper()
	var got string
	Await(g.t, func() bool {
		n := map[string]string{}
		for line := range strings.Lines(g.Metrics()) {
			if _, rest, ok := strings.Cut(line, `outcome="`); ok {
				outcome, value, _ := strings.Cut(strings.TrimSpace(rest), `"} `)
				n[outcome] = value
			}
		}
		got = fmt.Sprint(n["delivered"], " ", n["failed"], " ", n["dropped"])
		return got == want
	}, func() string { return fmt.Sprintf("entries end as %s, want %s\n%s", got, want, &g.Log) })
}

// Await waits until ok, or fails the test with what why says.
func Await(t testing.TB, ok func() bool, why func() string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(why())
		}
	}
}
