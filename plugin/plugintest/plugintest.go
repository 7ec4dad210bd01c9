// Package plugintest is a gateway as a plugin sees it, for the tests of plugins.
package plugintest

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// Gateway has one plugin. It is the Owner of the requests that it makes.
type Gateway struct {
	Metadata string        // of the plugin
	Gone     bool          // the client leaves when a plugin waits
	Slept    time.Duration // what plugins have waited
	Log      bytes.Buffer  // of the plugin, from level info on

	t    testing.TB
	spec *plugin.Spec
}

// New makes a gateway.
func New(t testing.TB, spec *plugin.Spec) *Gateway { return &Gateway{t: t, spec: spec} }

// Bind makes the plugin of a route.
func (g *Gateway) Bind(config string) any {
	g.t.Helper()
	b, err := g.TryBind(config)
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// TryBind is Bind for a configuration that may be wrong. The reference
// $env://X stands for nothing, all others for what is behind "://".
func (g *Gateway) TryBind(config string) (any, error) {
	b, err := g.spec.Bind([]byte(config), &plugin.Env{
		Log:     slog.New(slog.NewTextHandler(&g.Log, &slog.HandlerOptions{Level: slog.LevelInfo})),
		RouteID: "r1", Source: "routes/r1",
		Metadata: func(name string) []byte {
			if name != g.spec.Name || g.Metadata == "" {
				return nil
			}
			return []byte(g.Metadata)
		},
		Resolve: func(ref string) (string, error) {
			_, value, _ := strings.Cut(ref, "://")
			if value == "X" {
				return "", fmt.Errorf("cannot resolve %q", ref)
			}
			return value, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return b.Value, nil
}

// Check compares the verdict on a configuration with an error text, "" for none.
func (g *Gateway) Check(config, want string) {
	g.t.Helper()
	got := ""
	if _, _, err := g.spec.Validate([]byte(config)); err != nil {
		got = err.Error()
	}
	if got != want {
		g.t.Errorf("%s: %q, want %q", config, got, want)
	}
}

// Request is a request from 127.0.0.1, port 4000. target is its path and
// query, headers are lines that end with a line feed.
func (g *Gateway) Request(method, target, headers string) *plugin.Ctx {
	ctx := new(fasthttp.RequestCtx)
	h := &ctx.Request.Header
	h.SetMethod(method)
	h.SetRequestURI(target)
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		h.Add(name, strings.TrimSpace(value))
	}
	ctx.Response.Header.SetNoDefaultContentType(true)
	path, query, _ := strings.Cut(target, "?")
	decoded := plugin.AppendUnescaped(nil, []byte(strings.ReplaceAll(path, "+", "%2B")))
	return &plugin.Ctx{
		HTTP: ctx, Owner: g, Info: &plugin.Info{RouteID: "r1"},
		Req: plugin.Request{
			Method: []byte(method), URI: []byte(target), Path: decoded, Query: []byte(query), Host: []byte("gateway"),
			Headers: []byte(strings.ReplaceAll(headers, "\n", "\r\n")),
			Remote:  netip.MustParseAddrPort("127.0.0.1:4000"), Local: netip.MustParseAddrPort("127.0.0.1:9080"),
		},
	}
}

// ClientStays implements plugin.Sleeper without waiting.
func (g *Gateway) ClientStays(d time.Duration) bool {
	g.Slept += d
	return !g.Gone
}

// Head is the headers of the answer to c, without status line and date, each
// line ended by a line feed.
func Head(c *plugin.Ctx) string {
	var b strings.Builder
	for i, line := range strings.Split(string(c.HTTP.Response.Header.Header()), "\r\n") {
		if i > 0 && line != "" && !strings.HasPrefix(line, "Date:") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// Answer is an answer that a plugin has made: status, content type and body.
func Answer(c *plugin.Ctx, v plugin.Verdict) string {
	if v == 0 {
		return ""
	}
	a := c.Answer()
	return strings.TrimSpace(fmt.Sprintf("%d %s", v, a.ContentType)) + "\n" + string(a.Body)
}

var _ plugin.Sleeper = (*Gateway)(nil)
