package engine

import (
	"bytes"
	"io"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/plugin"
)

// replyVerdict ends the request with what a phase decided.
func (f *flow) replyVerdict(v plugin.Verdict) {
	r := f.Answer()
	if v == plugin.Gone && f.conn.gone.Load() { // else a status that somebody has configured
		f.clientGone()
		return
	}
	f.replyBody(int(v), r.ContentType, r.Body)
}

// replyError ends the request with a JSON error of the gateway's own.
func (f *flow) replyError(status int, text string) {
	f.replyBody(status, plugin.JSON, messageBody("error_msg", text))
}

// replyAI ends the request with an answer made by the AI proxy;
// _meta.error_response of the plugin replaces its body (ai-proxy.md 8).
func (f *flow) replyAI(status int, contentType string, body []byte) {
	if r := f.ai.bound.ErrorResponse(); r != nil && status >= 400 {
		contentType, body = r.ContentType, r.Body
	}
	f.replyBody(status, contentType, body)
}

func (f *flow) replyBody(status int, contentType string, body []byte) {
	h := &f.HTTP.Response.Header
	if contentType != "" && len(body) > 0 {
		h.SetContentType(contentType)
	}
	f.respond(status, body)
}

// replyUpstream passes a whole answer of the provider on; of its headers only
// the content type crosses (5.1), and what startAnswer lets through.
func (f *flow) replyUpstream(status int, contentType, body []byte) {
	if len(contentType) > 0 {
		f.HTTP.Response.Header.SetContentTypeBytes(contentType)
	}
	f.respond(status, body)
}

// respond hands a complete answer to the server. f is finished when the
// server has written it.
func (f *flow) respond(status int, body []byte) {
	f.settleBody()
	f.startAnswer(status)
	if f.e.draining.Load() {
		f.HTTP.SetConnectionClose()
	}
	body = f.filterWhole(body)
	f.settle()
	f.plain.body = body
	if f.gave = f.gave[:0]; !f.HTTP.IsHead() {
		f.RespBody = body
	}
	f.HTTP.Response.SetBodyStream(&f.plain, len(body))
}

// startAnswer sets the status and runs the header filters.
func (f *flow) startAnswer(status int) {
	resp := &f.HTTP.Response
	resp.SetStatusCode(status)
	if f.Source != "apisix" && (status >= 500 || f.e.opts.ShowUpstreamStatus) {
		f.line, _ = upstreamStatus(&f.Ctx, f.line[:0])
		resp.Header.SetCanonical(upstreamStatusName, f.line)
	}
	if f.Source == "upstream" && !f.proxied {
		for _, name := range f.e.opts.PassHeaders {
			f.passHeader(name)
		}
		if name := driver.ErrorHeader(f.Proto); name != "" && !f.e.opts.Strict {
			f.passHeader(name)
		}
	}
	f.Status = status
	f.snap.globals.runHeader(&f.Ctx)
	if f.rt != nil {
		f.rt.runHeader(&f.Ctx)
	}
	f.Status = resp.StatusCode()
}

// passHeader gives the client a header of the provider's answer.
func (f *flow) passHeader(name string) {
	if v := f.ex.Head.Get(name); v != nil {
		f.HTTP.Response.Header.SetBytesV(name, v)
	}
}

var upstreamStatusName = []byte("X-APISIX-Upstream-Status")

var upstreamStatus, _ = plugin.LookupVar("upstream_status")

// filterWhole runs the chunk filters over a body that is complete.
func (f *flow) filterWhole(body []byte) []byte {
	body = f.snap.globals.runChunk(&f.Ctx, body)
	if f.rt != nil {
		body = f.rt.runChunk(&f.Ctx, body)
	}
	return body
}

// filtersBody tells whether a plugin may change the body of the answer.
func (f *flow) filtersBody() bool {
	return len(f.snap.globals.chunk) > 0 || f.rt != nil && len(f.rt.chunk) > 0
}

// clientGone ends a request whose client has left: nothing is written, the
// connection is closed, the log says 499.
func (f *flow) clientGone() {
	f.freeUpstream()
	f.Status = statusGone
	f.conn.cut.Store(true)
	f.HTTP.SetConnectionClose()
	f.settle()
	f.plain.body = nil
	f.HTTP.Response.SetBodyStream(&f.plain, 0)
}

// plainBody is the body of an answer that is complete in memory. The server
// calls CloseWithError when it has written it, or given up: that is where the
// request ends.
type plainBody struct {
	f    *flow
	body []byte
}

// Read is there for the server's interface; WriteTo is what it uses.
func (b *plainBody) Read(p []byte) (int, error) {
	if len(b.body) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.body)
	b.body = b.body[n:]
	b.f.Sent += int64(n)
	return n, nil
}

// WriteTo writes the whole body.
func (b *plainBody) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.body)
	b.f.Sent += int64(n)
	b.body = nil
	return int64(n), err
}

// SupportsBodyWriteTo lets the server use WriteTo.
func (b *plainBody) SupportsBodyWriteTo() bool { return true }

// CloseWithError ends the request. There is no Close on purpose: the server
// would call both.
func (b *plainBody) CloseWithError(err error) error {
	b.body = nil
	b.f.finish(err)
	return nil
}

var _ fasthttp.BodyWriterTo = (*plainBody)(nil)

// isJSON says whether a body is worth parsing. A missing type counts: some
// providers forget it.
func isJSON(contentType []byte) bool {
	return len(contentType) == 0 || bytes.Contains(contentType, []byte("json"))
}
