package logentry

import (
	"errors"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"headrace/conf/expr"
	"headrace/driver"
	"headrace/plugin"
)

// bodies says which bodies an entry shows and how much of them.
type bodies struct {
	maxReq, maxResp int  // bytes
	req, resp       bool // shown by the default entry
	reqVar          bool // $request_body is somewhere in the format
	reqIf, respIf   *expr.Expr
}

// maxShown bounds what a configuration may ask for.
const maxShown = 1 << 30

// Bodies implements plugin.BodyLogger. A few bytes more than are shown tell
// whether the cut is within a character.
func (f *Format) Bodies() (request, answer int) {
	b := &f.bodies
	if b.req || b.reqVar {
		request = b.maxReq + utf8.UTFMax
	}
	if b.resp {
		answer = b.maxResp + utf8.UTFMax
	}
	return request, answer
}

// WantsAnswer implements plugin.BodyLogger.
func (f *Format) WantsAnswer(c *plugin.Ctx) bool { return f.bodies.resp && f.bodies.respIf.Eval(c) }

// members are what the default entry has more of for the bodies' sake.
func (b *bodies) members() (request, response object) {
	if b.req {
		show := b.request()
		request = object{{key("body"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
			if !b.reqIf.Eval(c) {
				return dst, false
			}
			return show(dst, c)
		}}}
	}
	if b.resp {
		response = object{{key("body"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
			if len(c.RespBody) == 0 || !b.respIf.Eval(c) {
				return dst, false
			}
			return driver.AppendString(dst, plain(c, b.maxResp)), true
		}}}
	}
	return request, response
}

// variable is $request_body.
func (b *bodies) variable() value {
	b.reqVar = true
	return b.request()
}

// request is the client's body; an empty one has no value.
func (b *bodies) request() value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		if len(c.ReqBody) == 0 {
			return dst, false
		}
		return driver.AppendString(dst, clip(c.ReqBody, b.maxReq)), true
	}
}

// clip cuts b at max bytes or, if that is within a character, before it.
func clip(b []byte, max int) []byte {
	if len(b) <= max {
		return b
	}
	n := max
	for n > 0 && n > max-utf8.UTFMax && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}

// plain is the answer's body as text: APISIX, too, unpacks gzip and brotli. As
// much comes out as there is, since what was kept of a body may be its
// beginning; a body that cannot be unpacked at all stays as it is.
func plain(c *plugin.Ctx, max int) []byte {
	packed := c.RespBody
	head := plugin.Request{Headers: c.SentHeaders()}
	out := bounded{max: max + utf8.UTFMax}
	switch string(head.Header("content-encoding")) {
	case "gzip":
		fasthttp.WriteGunzip(&out, packed)
	case "br":
		fasthttp.WriteUnbrotli(&out, packed)
	}
	if len(out.b) == 0 {
		return clip(packed, max)
	}
	return clip(out.b, max)
}

// bounded takes bytes until it is full.
type bounded struct {
	b   []byte
	max int
}

var errFull = errors.New("full")

// Write implements io.Writer.
func (w *bounded) Write(p []byte) (int, error) {
	n := min(len(p), w.max-len(w.b))
	w.b = append(w.b, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}
