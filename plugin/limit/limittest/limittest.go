// Package limittest is a gateway as a plugin that limits sees it, for tests.
package limittest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/plugin"
)

// Gateway keeps the state of plugins, as one process does.
type Gateway struct {
	t        testing.TB
	Log      Log
	Metadata string            // of the plugin
	Env      map[string]string // what $env:// finds
	state    map[string]any
	made     []any
	mu       sync.Mutex
}

// Log is what plugins log.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New starts a gateway that ends with the test.
func New(t testing.TB) *Gateway {
	g := &Gateway{t: t, state: map[string]any{}, Env: map[string]string{}}
	t.Cleanup(g.Close)
	return g
}

// Close closes the state, the newest first.
func (g *Gateway) Close() {
	for i := len(g.made) - 1; i >= 0; i-- {
		if c, ok := g.made[i].(io.Closer); ok {
			c.Close()
		}
	}
	g.made, g.state = nil, map[string]any{}
}

// PluginEnv is what plugins of a source get.
func (g *Gateway) PluginEnv(source string) *plugin.Env {
	return &plugin.Env{
		Log: slog.New(slog.NewTextHandler(&g.Log, nil)), RouteID: "r1", Source: source,
		Metadata: func(string) []byte {
			if g.Metadata == "" {
				return nil
			}
			return []byte(g.Metadata)
		},
		State: func(key string, make func() (any, error)) (any, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if v := g.state[key]; v != nil {
				return v, nil
			}
			v, err := make()
			if err == nil {
				g.state[key] = v
				g.made = append(g.made, v)
			}
			return v, err
		},
		Resolve: func(ref string) (string, error) {
			v, _, err := conf.Resolve(ref, func(name string) (string, bool) { s, ok := g.Env[name]; return s, ok })
			return v, err
		},
	}
}

// Bind makes the plugin of a resource, "routes/1".
func (g *Gateway) Bind(spec *plugin.Spec, source, config string) plugin.Accessor {
	g.t.Helper()
	b, err := spec.Bind([]byte(config), g.PluginEnv(source))
	if err != nil {
		g.t.Fatal(err)
	}
	return b.Value.(plugin.Accessor)
}

// Client is who a request's Sleep asks.
type Client struct {
	Gone  bool // it leaves as soon as it has to wait
	Slept time.Duration
}

// ClientStays implements plugin.Sleeper; it does not wait.
func (c *Client) ClientStays(d time.Duration) bool {
	c.Slept += d
	return !c.Gone
}

// Request is GET /hello from 192.0.2.1 with header lines, "a: 1, b: 2".
func Request(headers string) *plugin.Ctx {
	if headers != "" {
		headers = strings.ReplaceAll(headers, ", ", "\r\n") + "\r\n"
	}
	c := &plugin.Ctx{
		HTTP: new(fasthttp.RequestCtx), Owner: new(Client), Info: &plugin.Info{RouteID: "r1"},
		Req: plugin.Request{
			Method: []byte("GET"), URI: []byte("/hello"), Path: []byte("/hello"), Host: []byte("test.com"), Headers: []byte(headers),
			Remote: netip.MustParseAddrPort("192.0.2.1:4711"),
		},
	}
	copy(c.ID[:], fmt.Sprintf("%032x", time.Now().UnixNano()))
	return c
}

// Outcome is the status and the body of a verdict in one line; 200 if the
// request passes.
func Outcome(c *plugin.Ctx, v plugin.Verdict) string {
	if v == 0 {
		return "200"
	}
	a := c.Answer()
	if len(a.Body) > 0 && a.ContentType != plugin.JSON {
		return "content type " + a.ContentType
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", v, a.Body))
}

// Header is a header of the answer, by its very spelling.
func Header(c *plugin.Ctx, name string) string {
	for k, v := range c.HTTP.Response.Header.All() {
		if string(k) == name {
			return string(v)
		}
	}
	return ""
}

// Quota is what the headers say, "limit remaining reset".
func Quota(c *plugin.Ctx, prefix string) string {
	get := func(name string) string { return Header(c, "X-"+prefix+"RateLimit-"+name) }
	return get("Limit") + " " + get("Remaining") + " " + get("Reset")
}
