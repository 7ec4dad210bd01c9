// Package authtest is a gateway as an auth plugin sees it, for tests.
package authtest

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/plugin"
)

// Gateway has consumers and one auth plugin.
type Gateway struct {
	t     testing.TB
	spec  *plugin.Spec
	keys  map[string]*plugin.Consumer
	names map[string]*plugin.Consumer
	Log   bytes.Buffer // of the plugin, from level info on
}

// New makes a gateway without consumers.
func New(t testing.TB, spec *plugin.Spec) *Gateway {
	return &Gateway{t: t, spec: spec, keys: map[string]*plugin.Consumer{}, names: map[string]*plugin.Consumer{}}
}

// Consumer adds a consumer with a credential for the plugin, or without one if
// config is empty.
func (g *Gateway) Consumer(name, config string) {
	g.t.Helper()
	who := &plugin.Consumer{Name: name}
	g.names[name] = who
	if config == "" {
		return
	}
	key, auth, err := g.spec.Credential.Bind([]byte(config), func(ref string) (string, error) {
		v, _, err := conf.Resolve(ref, func(string) (string, bool) { return "", true })
		return v, err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	found := *who
	found.Auth = auth
	g.keys[key] = &found
}

// ByKey implements plugin.Directory.
func (g *Gateway) ByKey(name string, key []byte) *plugin.Consumer {
	if name != g.spec.Name {
		g.t.Errorf("a consumer of %s is asked for", name)
	}
	return g.keys[string(key)]
}

// ByName implements plugin.Directory.
func (g *Gateway) ByName(name string) *plugin.Consumer { return g.names[name] }

// Bind makes the plugin of a route.
func (g *Gateway) Bind(config string) plugin.Rewriter {
	g.t.Helper()
	log := slog.New(slog.NewTextHandler(&g.Log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	b, err := g.spec.Bind([]byte(config), &plugin.Env{Log: log, RouteID: "r1"})
	if err != nil {
		g.t.Fatal(err)
	}
	return b.Value.(plugin.Rewriter)
}

// Request is GET /hello with a query and header lines, each ended by CRLF.
func (g *Gateway) Request(query, headers string) *plugin.Ctx {
	uri := "/hello"
	if query != "" {
		uri += "?" + query
	}
	return &plugin.Ctx{
		HTTP: new(fasthttp.RequestCtx), Directory: g, Info: &plugin.Info{RouteID: "r1"},
		Req: plugin.Request{
			Method: []byte("GET"), URI: []byte(uri), Path: []byte("/hello"), Query: []byte(query), Headers: []byte(headers),
		},
	}
}

// Outcome is the consumer's name, or the message of a refusal and its
// challenge in one line.
func Outcome(c *plugin.Ctx, v plugin.Verdict) string {
	if v == 0 {
		return c.ConsumerName()
	}
	a := c.Answer()
	if a.ContentType != plugin.JSON {
		return "content type " + a.ContentType
	}
	return string(fasthttp.AppendUint(nil, int(v))) + " " + string(bytes.TrimSuffix(a.Body, []byte("\n"))) +
		" " + string(c.HTTP.Response.Header.Peek("WWW-Authenticate"))
}

// Body is a request's owner that has a body for the plugin.
type Body string

// ClientBody implements plugin.BodyReader.
func (b Body) ClientBody(limit int64) ([]byte, plugin.Verdict) {
	if int64(len(b)) > limit {
		return nil, 413
	}
	return []byte(b), 0
}

var _ plugin.BodyReader = Body("")
