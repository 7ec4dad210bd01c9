package admin

import "github.com/valyala/fasthttp"

// NewStatus serves the Status API (gateway.md 7.4). ready says why the gateway
// should get no traffic: nothing was loaded yet, or it is shutting down. server
// is the Server header; empty: none.
func NewStatus(ready func() error, server string) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		if server != "" {
			ctx.Response.Header.SetServer(server)
		}
		var err error
		switch path := string(ctx.Path()); {
		case !ctx.IsGet() && !ctx.IsHead():
			fail(ctx, 404, textNoVerb)
			return
		case path == "/status/ready":
			err = ready()
		case path != "/status":
			fail(ctx, 404, textNoVerb)
			return
		}
		if err != nil {
			reply(ctx, 503, append(appendQuoted([]byte(`{"status":"error","error":`), err.Error()), '}'))
			return
		}
		reply(ctx, 200, []byte(`{"status":"ok"}`))
	}
}
