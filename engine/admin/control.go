package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/pprof"
	"runtime"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"github.com/valyala/fasthttp/pprofhandler"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/engine"
)

// ControlOptions of the Control API.
type ControlOptions struct {
	Registry *engine.Registry
	Snapshot func() *engine.Snapshot // the configuration in force
	Health   func() []engine.Health  // the state of what is checked; nil: nothing is
	// Source tells how the source of the configuration is doing, as JSON; Accept
	// puts in force what it holds back, and returns the revision and how many
	// items that changed. Both are nil for sources that never hold anything.
	Source func() any
	Accept func(ctx context.Context) (rev int64, changes int, err error)
	// Streams lists the open streams and EndStream ends one by its id; both nil: none.
	Streams   func() []engine.Stream
	EndStream func(id string) bool
	Log       *slog.Logger // nil: no log
	Server    string       // the Server header; empty: none
}

// Control serves the Control API (gateway.md 7.3) and profiles. It asks for
// no key, so secrets are masked, and profiles are for loopback only.
type Control struct{ ControlOptions }

// NewControl makes a Control API.
func NewControl(o ControlOptions) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Control{o}
}

const profiles = "/debug/pprof/"

var profileIndex = fasthttpadaptor.NewFastHTTPHandlerFunc(pprof.Index)

// Handler answers one request.
func (c *Control) Handler(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	if c.Server != "" {
		ctx.Response.Header.SetServer(c.Server)
	}
	path := string(ctx.Path())
	if strings.HasPrefix(path, profiles) {
		if !peer(ctx).IsLoopback() {
			c.Log.Warn("control API: profiles are for loopback only", "client", peer(ctx).String())
			fail(ctx, 403, "profiles are for loopback only")
			return
		}
		if path == profiles {
			profileIndex(ctx) // the handler below does not know it with its slash
			return
		}
		pprofhandler.PprofHandler(ctx)
		return
	}
	segs := segments(path)
	if len(segs) < 2 || segs[0] != "v1" {
		fail(ctx, 404, textNoVerb)
		return
	}
	switch string(ctx.Method()) + " " + strings.Join(segs[1:], "/") {
	case "GET schema":
		reply(ctx, 200, c.appendSchemas(nil))
	case "GET healthcheck":
		c.allHealth(ctx)
	case "GET routes":
		c.items(ctx, conf.Routes)
	case "GET upstreams":
		c.items(ctx, conf.Upstreams)
	case "GET services":
		c.items(ctx, conf.Services)
	case "GET plugin_metadatas":
		b := []byte{'['}
		for i, it := range c.Snapshot().Items(conf.PluginMetadata) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, c.show(it)...)
		}
		reply(ctx, 200, append(b, ']'))
	case "GET streams":
		c.streams(ctx)
	case "GET config":
		c.source(ctx)
	case "PUT config/accept":
		c.accept(ctx)
	case "PUT plugins/reload":
		ctx.SetBodyString("done") // plugins are part of the program
	case "POST gc":
		runtime.GC()
	default:
		if len(segs) == 3 && segs[1] == "streams" && ctx.IsDelete() {
			c.endStream(ctx, segs[2])
			return
		}
		c.one(ctx, segs[1:])
	}
}

func (c *Control) streams(ctx *fasthttp.RequestCtx) {
	list := []engine.Stream{}
	if c.Streams != nil {
		list = append(list, c.Streams()...)
	}
	replyJSON(ctx, map[string]any{"total": len(list), "list": list})
}

func (c *Control) endStream(ctx *fasthttp.RequestCtx, id string) {
	if c.EndStream == nil || !c.EndStream(id) {
		fail(ctx, 404, "stream["+id+"] not found")
		return
	}
	c.Log.Warn("a stream was ended by an operator", "id", id, "client", peer(ctx).String())
	replyJSON(ctx, map[string]string{"ended": id})
}

// acceptWait bounds how long a source may take to read everything.
const acceptWait = 30 * time.Second

func (c *Control) source(ctx *fasthttp.RequestCtx) {
	if c.Source == nil {
		fail(ctx, 404, textNoVerb)
		return
	}
	replyJSON(ctx, c.Source())
}

func (c *Control) accept(ctx *fasthttp.RequestCtx) {
	if c.Accept == nil {
		fail(ctx, 404, textNoVerb)
		return
	}
	wait, cancel := context.WithTimeout(context.Background(), acceptWait)
	defer cancel()
	rev, changes, err := c.Accept(wait)
	switch {
	case errors.Is(err, conf.ErrNotHeld):
		fail(ctx, 409, err.Error())
		return
	case err != nil:
		fail(ctx, 503, err.Error())
		return
	}
	c.Log.Warn("control API: configuration accepted", "client", peer(ctx).String(), "revision", rev, "changes", changes)
	reply(ctx, 200, fmt.Appendf(nil, `{"revision":%d,"changes":%d}`, rev, changes))
}

// one answers the paths that end in an id.
func (c *Control) one(ctx *fasthttp.RequestCtx, segs []string) {
	if !ctx.IsGet() || len(segs) < 2 {
		fail(ctx, 404, textNoVerb)
		return
	}
	id := segs[len(segs)-1]
	switch sort := segs[0]; {
	case sort == "healthcheck" && len(segs) == 3:
		c.health(ctx, segs[1], id)
	case len(segs) != 2:
		fail(ctx, 404, textNoVerb)
	case sort == "route" || sort == "service" || sort == "upstream":
		res := resourceByName(sort + "s")
		it, ok := c.Snapshot().Item(res.kind, id)
		if !ok {
			fail(ctx, 404, sort+"["+id+"] not found")
			return
		}
		reply(ctx, 200, appendItem(nil, keyPrefix, res, it, c.show(it)))
	case sort == "plugin_metadata":
		it, ok := c.Snapshot().Item(conf.PluginMetadata, id)
		if !ok {
			fail(ctx, 404, "plugin metadata["+id+"] not found")
			return
		}
		reply(ctx, 200, c.show(it))
	default:
		fail(ctx, 404, textNoVerb)
	}
}

func (c *Control) items(ctx *fasthttp.RequestCtx, kind conf.Kind) {
	res := resourceByName(kind.String())
	b := []byte{'['}
	for i, it := range c.Snapshot().Items(kind) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, keyPrefix, res, it, c.show(it))
	}
	reply(ctx, 200, append(b, ']'))
}

func (c *Control) show(it conf.Item) []byte {
	return maskItem(c.Registry, it)
}

func (c *Control) appendSchemas(dst []byte) []byte {
	dst = append(dst, `{"main":{`...)
	for i, name := range schema.Names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = append(dst, schema.Resource(name).JSON()...)
	}
	dst = appendPlugins(append(dst, `},"plugins":`...), c.Registry)
	return append(dst, `,"stream_plugins":{}}`...)
}
