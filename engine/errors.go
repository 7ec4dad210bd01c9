package engine

import (
	"bytes"
	"errors"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// badRequest answers a head that cannot be read. The connection is closed
// after it; the request stands in the access log without what was not read.
func (e *Engine) badRequest(ctx *fasthttp.RequestCtx, err error) {
	status, text := fasthttp.StatusBadRequest, "bad request"
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &small):
		status, text = fasthttp.StatusRequestHeaderFieldsTooLarge, "request header too large"
	case errors.Is(err, os.ErrDeadlineExceeded):
		status, text = fasthttp.StatusRequestTimeout, "request timeout"
	}
	ctx.Response.Reset()
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(plugin.JSON)
	ctx.Response.SetBodyRaw(messageBody("error_msg", text))

	v, ok := ctx.Conn().(*view)
	if !ok {
		return
	}
	v.unread = true
	f := newFlow()
	f.e, f.snap, f.conn, f.Owner = e, e.snap.Load(), v.conn, f
	f.Info, f.Status, f.Source = &noRoute, status, "apisix"
	f.Req.Remote, f.Req.Local = addrPort(v.RemoteAddr()), addrPort(v.LocalAddr())
	f.Times.Start = time.Now()
	f.newID()
	f.Sent = int64(len(ctx.Response.Body()))
	f.finish(nil)
}

func indexByte(b []byte, c byte) int { return bytes.IndexByte(b, c) }
