package engine

import (
	"net"
	"sync"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/plugin"
	"headrace/sse"
)

// startStream begins an answer whose body is relayed as it arrives: an event
// stream, or bytes that nobody needs to look into. The client's connection
// leaves the server here: fasthttp's buffers and request object (some 25 KiB)
// go back to their pools and a goroutine of our own does the rest, see run.
func (f *flow) startStream(a *plugin.Attempt, events bool) {
	ctx, h := f.HTTP, &f.ex.Head
	if f.HTTP.IsHead() {
		f.settleAttempt(a)
		f.freeUpstream()
		f.replyUpstream(h.Status, h.ContentType, nil)
		return
	}
	framed := events && f.target == driver.BedrockConverse
	switch {
	case framed && f.conv != nil:
		ctx.Response.Header.SetContentType("text/event-stream")
	case len(h.ContentType) > 0:
		ctx.Response.Header.SetContentTypeBytes(h.ContentType)
	}
	f.settleBody()
	f.startAnswer(h.Status)
	f.tr.start(f, events)
	known := events && f.Proto != driver.Passthrough
	if framed {
		f.relay.StartFrames(f, f.tr.orNil(), f.ai.limits, f.t0, known)
	} else {
		f.relay.Start(f, f.tr.orNil(), f.ai.limits, f.t0, known, events)
	}
	if !events {
		f.relay.MayBeEmpty()
	}
	if known && f.ex.UntilClose() && terminated(f.target) {
		f.relay.NeedDone()
	}
	f.keepAnswer()

	if !events && h.ContentLength >= 0 && f.tr.orNil() == nil {
		f.leaveServer(sse.Length, h.ContentLength, int(h.ContentLength))
	} else {
		f.leaveServer(sse.Chunked, 0, -1)
	}
}

// leaveServer finishes the head of an answer, whose body is framed as framing
// and length say and whose Content-Length is declared (-1: chunked, -2: none),
// and has the server hand the client's connection over.
func (f *flow) leaveServer(framing sse.Framing, length int64, declared int) {
	ctx := f.HTTP
	f.framing, f.length = framing, length
	req, resp := &ctx.Request.Header, &ctx.Response.Header
	f.keep = !req.ConnectionClose() && !resp.ConnectionClose() && !f.e.draining.Load()
	if !req.IsHTTP11() && declared == -1 {
		f.keep, declared = false, -2
		if framing == sse.Chunked {
			f.framing = sse.UntilClose
		}
	}
	resp.SetContentLength(declared)
	if !f.keep {
		resp.SetConnectionClose()
	} else if !req.IsHTTP11() {
		resp.Set(fasthttp.HeaderConnection, "keep-alive")
	}
	f.resp = resp.AppendBytes(f.resp[:0])
	f.leave()
}

// leave has the server hand the client's connection over when its handler has
// returned, without a word of its own.
func (f *flow) leave() {
	ctx := f.HTTP
	f.Head = f.resp
	f.keepRequest()
	f.e.streams.Add(1)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(f.handOver)
}

// takeOver is called by the server on a goroutine of its own: it collects
// what the client has sent ahead, cuts the server's view off and returns, so
// that the server's clean-up runs while the stream goes on.
func (f *flow) takeOver(server net.Conn) {
	c := f.conn
	c.dry = true
	buf := carries.Get().(*[]byte)
	n, err := server.Read(*buf)
	for err == nil {
		// The server's reader may hold more than one buffer of ours.
		c.ahead = append(c.ahead, (*buf)[:n]...)
		n, err = server.Read(*buf)
	}
	carries.Put(buf)
	c.dry = false
	if h, ok := server.(interface{ UnsafeConn() net.Conn }); ok {
		h.UnsafeConn().(*view).left.Store(true)
	}
	go f.run()
}

// carries are buffers for the first bytes of a request on a kept connection.
var carries = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}

// run relays the stream to its end and then waits for the client's next
// request, if there is to be one.
func (f *flow) run() {
	e, c := f.e, f.conn
	keep := false
	if f.tunnel != nil {
		f.runTunnel()
	} else {
		keep = f.relayAll()
	}
	e.streams.Add(-1)
	if !keep {
		c.close()
		return
	}
	e.serveNext(c)
}

// relayAll moves the stream and finishes f. It returns whether the client's
// connection can serve another request.
func (f *flow) relayAll() (keep bool) {
	defer f.guardStream()
	if !f.proxied {
		f.show()
	}
	var src sse.Source = &f.ex
	if len(f.early) > 0 {
		src = &f.begun
	}
	f.err = f.pump.Run(&f.relay, src, f.conn, f.resp, f.framing, f.length, f.isGone)
	f.busy = false
	if f.err != nil && !f.pump.Sent() && f.err != sse.ErrClientGone {
		f.err = f.lateFault(f.err)
	}
	keep = f.keep && f.err == nil
	if f.conn.tls != nil && f.framing == sse.UntilClose && sse.Broken(f.err) {
		f.conn.tls.NetConn().Close() // without the goodbye that would make it look whole
	}
	f.finish(f.err)
	return keep
}

// terminated says whether streams of a protocol end with an event of their own.
func terminated(p driver.Proto) bool {
	switch p {
	case driver.OpenAIChat, driver.OpenAIResponses, driver.AnthropicMessages, driver.BedrockConverse:
		return true
	}
	return false
}

// lateFault answers a stream that ended before anything of it was sent, so
// that the client learns the status (ai-proxy.md 5.5 and 8, rows 14, 22, 24).
func (f *flow) lateFault(cause error) error {
	status, body := fasthttp.StatusInternalServerError, upstreamUnreachable
	contentType := plugin.JSON
	switch cause {
	case sse.ErrStalled:
		status, body = fasthttp.StatusGatewayTimeout, upstreamTimeout
	case sse.ErrDuration:
		status, contentType, body = fasthttp.StatusGatewayTimeout, plugin.Text, []byte(cause.Error())
	case sse.ErrBytes:
		status, contentType, body = fasthttp.StatusBadGateway, plugin.Text, []byte(cause.Error())
	case sse.ErrCorrupt:
		status = fasthttp.StatusBadGateway
	case sse.ErrNoOutput:
		status, contentType, body = fasthttp.StatusBadGateway, plugin.Text, noOutput
	}
	if f.proxied {
		f.Source, contentType = "nginx", plugin.JSON
		if status, body = fasthttp.StatusBadGateway, badGateway; cause == sse.ErrStalled {
			status, body = fasthttp.StatusGatewayTimeout, gatewayTimeout
		}
	} else if r := f.ai.bound.ErrorResponse(); r != nil {
		contentType, body = r.ContentType, r.Body
	}
	var resp fasthttp.Response
	resp.SetStatusCode(status)
	resp.Header.SetServer(f.e.server.Name)
	resp.Header.SetContentType(contentType)
	resp.Header.SetContentLength(len(body))
	if !f.keep {
		resp.SetConnectionClose()
	}
	f.Status, f.Sent = status, int64(len(body))
	f.RespBody, f.gave = body, f.gave[:0]
	_, err := f.conn.Write(append(resp.Header.Header(), body...))
	return err
}

var noOutput = []byte("streaming response completed without producing any output; the upstream likely returned a different stream format than the converter expects")

// serveNext gives a connection back to the server as soon as the client's
// next request begins to arrive; while it is idle it holds no buffer but this.
func (e *Engine) serveNext(c *conn) {
	c.carry, c.ahead = c.ahead, nil
	if len(c.carry) == 0 {
		buf := carries.Get().(*[]byte)
		n, err := c.Read(*buf)
		if n == 0 || err != nil {
			carries.Put(buf)
			c.close()
			return
		}
		c.carry, c.lent = (*buf)[:n], buf
	}
	e.server.ServeConn(&view{conn: c})
}

// Tap implements sse.Hooks.
func (f *flow) Tap(ev sse.Event) sse.Mark {
	m := driver.Of(f.target).Event(&f.Capture, ev)
	f.tr.note(m)
	f.open.progress(f.relay.Stats())
	if m&sse.UsageSeen != 0 {
		f.open.prompt.Store(f.Capture.Usage.Prompt)
		f.open.completion.Store(f.Capture.Usage.Completion)
	}
	return m
}

// AppendFault implements sse.Hooks: the error event that ends a stream which
// the provider broke off.
func (f *flow) AppendFault(dst []byte, cause error) []byte {
	if f.conv != nil && f.cst.Ended() {
		return dst // the client has the end of its message already
	}
	code, text := f.faultOfStream(cause)
	if c, ok := f.conv.(driver.Faulter); ok {
		return c.AppendFault(dst, code, text, &f.cst)
	}
	return driver.Of(f.Proto).AppendFault(dst, code, text)
}

// Settle implements sse.Hooks: from here on nothing more is produced.
func (f *flow) Settle(st *sse.Stats, cause error) {
	f.Sent = st.BytesOut
	a := &f.Attempts[len(f.Attempts)-1]
	if f.proxied {
		f.settleProxy(a, st.BytesIn)
	} else {
		f.endStream(cause)
		f.Times.FirstToken, f.Times.Upstream = st.FirstByte, st.LastByte
		a.Length, a.Total = st.BytesIn, st.LastByte
	}
	f.settle()
}

var _ sse.Hooks = (*flow)(nil)
