package engine

import (
	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// serve is the handler of the traffic port: one request from its head to the
// hand-over of its answer. What happens after that is in finish.go.
func (e *Engine) serve(ctx *fasthttp.RequestCtx) {
	f := newFlow()
	f.begin(e, ctx)
	defer f.guard()
	if smuggled(&ctx.Request.Header) {
		ctx.SetConnectionClose()
		f.replyError(fasthttp.StatusBadRequest, "conflicting message framing")
		return
	}
	if f.Req.TLS && !f.snap.certificates.admits(f) {
		e.log.Error("client certificate verification is not passed", "host", string(f.Req.Host), "sni", f.conn.sni)
		f.replyBody(fasthttp.StatusBadRequest, plugin.JSON, messageBody("error_msg", "a verified client certificate for this host is required"))
		return
	}
	globals := &f.snap.globals
	c, v := f.match()
	if v != 0 {
		f.Info = &noRoute
		f.replyVerdict(v)
		return
	}
	if c == nil {
		f.Info = &noRoute
		if v := globals.runRewrite(&f.Ctx); v == 0 {
			v = globals.runAccess(&f.Ctx)
			if v != 0 {
				f.replyVerdict(v)
				return
			}
		} else {
			f.replyVerdict(v)
			return
		}
		f.replyBody(fasthttp.StatusNotFound, plugin.JSON, notFound)
		return
	}
	rt, err := e.route(f.snap, c.entry)
	if err != nil {
		e.log.Error("cannot serve route", "route_id", c.entry.id, "err", err)
		f.Info = &plugin.Info{RouteID: c.entry.id, MatchedURI: c.pattern, MatchedHost: c.host}
		f.replyVerdict(f.unusable(err))
		return
	}
	f.rt = rt
	f.Info = rt.info(c)
	if v = globals.runRewrite(&f.Ctx); v == 0 {
		v = rt.runRewrite(&f.Ctx)
	}
	if v == 0 && f.Consumer != nil {
		v = f.identified()
		rt = f.rt
	}
	if v == 0 {
		v = globals.runAccess(&f.Ctx)
	}
	if v == 0 {
		v = rt.runAccess(&f.Ctx) // the AI proxy reads the body in here, aiproxy.go
	}
	if v == 0 {
		v = rt.runProxy(&f.Ctx)
	}
	switch {
	case v != 0:
		f.replyVerdict(v)
	case f.ai != nil:
		f.attempts()
	default:
		f.proxy()
	}
}

var (
	notFound = []byte("{\"error_msg\":\"404 Route Not Found\"}\n")
	noRoute  plugin.Info
)

// guard turns a panic of one request into a 500 for that request. The flow is
// not pooled again: nobody knows what it holds.
func (f *flow) guard() {
	r := recover()
	if r == nil {
		return
	}
	f.Status = fasthttp.StatusInternalServerError
	f.bury(r)
	if ctx := f.HTTP; ctx != nil {
		ctx.Response.Reset()
		ctx.SetStatusCode(fasthttp.StatusInternalServerError)
		ctx.SetConnectionClose()
	}
}

// smuggled finds message framing that two parsers may read differently and
// that fasthttp lets pass: a length beside a transfer coding, and header
// lines folded over several (architecture.md 13, ruling 2).
func smuggled(h *fasthttp.RequestHeader) bool {
	var length, coding bool
	for lines := h.RawHeaders(); len(lines) > 0; {
		line := lines
		if i := indexByte(lines, '\n'); i >= 0 {
			line, lines = lines[:i], lines[i+1:]
		} else {
			lines = nil
		}
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case ' ', '\t':
			return true
		case 'c', 'C':
			length = length || hasName(line, "content-length")
		case 't', 'T':
			coding = coding || hasName(line, "transfer-encoding")
		}
	}
	return length && coding
}

func hasName(line []byte, lower string) bool {
	return len(line) > len(lower) && line[len(lower)] == ':' && equalFold(line[:len(lower)], lower)
}

// expect decides about "Expect: 100-continue": a request that will be refused
// whatever its body says is refused without asking for the body.
func (e *Engine) expect(ctx *fasthttp.RequestCtx) int {
	f := newFlow()
	f.begin(e, ctx)
	f.post.unsent = true
	refuse := smuggled(&ctx.Request.Header)
	if c, v := f.match(); f.post.wanted {
		// The body decides which route it is.
	} else if c == nil || v != 0 {
		refuse = true
	} else if rt, err := e.route(f.snap, c.entry); err != nil {
		refuse = true
	} else if rt.ai != nil && int64(ctx.Request.Header.ContentLength()) > rt.ai.maxBody {
		refuse = true
	} else if m := e.opts.MaxBody; m > 0 && int64(ctx.Request.Header.ContentLength()) > m {
		refuse = true
	}
	f.release()
	if !refuse {
		return fasthttp.StatusContinue
	}
	e.serve(ctx)
	if status := ctx.Response.StatusCode(); status != fasthttp.StatusContinue {
		return status
	}
	return fasthttp.StatusExpectationFailed
}
