package admin

import (
	"io"

	"github.com/valyala/fasthttp"
)

// Metrics serves what write prints, in Prometheus' text format, under exactly
// the path uri (plugin_attr.prometheus.export_uri).
func Metrics(uri string, write func(io.Writer)) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) != uri || !ctx.IsGet() && !ctx.IsHead() {
			fail(ctx, 404, textNoVerb)
			return
		}
		ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
		write(ctx.Response.BodyWriter())
	}
}
