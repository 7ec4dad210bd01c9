package engine

import (
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/sse"
)

// statusGone is what nginx logs for a client that left before its answer.
const statusGone = 499

// errorBodyMax bounds the error body of a provider that is kept to be relayed
// (ai-proxy.md section 10, rule 32).
const errorBodyMax = 1 << 20

// attempts calls providers until one of them has answered the request.
func (f *flow) attempts() {
	f.conn.attach(f)
	f.attempt(f.ai.instances[0])
}

// attempt is one call of one instance: route the protocol, shape the body,
// build the head, exchange, and hand the answer on (ai-proxy.md 2.1, P1 to P10).
func (f *flow) attempt(in *instance) {
	f.t0 = time.Now()
	f.Instance = in.Instance
	if in.Broken != nil {
		f.e.log.Error("instance is not usable", "route_id", f.Info.RouteID, "instance", in.Name, "err", in.Broken)
		f.replyAI(fasthttp.StatusServiceUnavailable, plugin.JSON, messageBody("error_msg", "instance "+in.Name+" is not usable: its credentials cannot be resolved"))
		return
	}
	target, refusal := in.Route(f.Proto)
	if refusal != "" {
		f.replyAI(fasthttp.StatusBadRequest, plugin.Text, []byte(refusal))
		return
	}
	f.target = target
	f.Model = in.Model(&f.Body)
	f.Body.Fork(&f.out)
	var st driver.Shaping
	in.Shape(&f.out, f.Proto, target, &st)
	f.askedUsage = st.ClientUsage
	proto := driver.Of(target)
	f.EndUser, f.ToolCount = proto.EndUser(&f.out), proto.ToolCount(&f.out)
	f.segs = f.out.Segments(f.segs[:0])
	length := 0
	for _, s := range f.segs {
		length += len(s)
	}
	var err error
	f.head, err = in.AppendHead(f.head[:0], &driver.HeadInput{
		Method: f.Req.Method, Path: f.Req.Path, RawPath: rawPath(f.Req.URI), Query: f.Req.Query, Headers: f.Req.Headers,
		Client: f.Proto, Target: target, ContentLength: length,
	})
	if errors.Is(err, driver.ErrNoHost) {
		f.e.log.Error("failed to send request to LLM service", "route_id", f.Info.RouteID, "instance", in.Name, "err", err)
		f.replyAI(fasthttp.StatusInternalServerError, plugin.JSON, upstreamUnreachable)
		return
	}
	if err != nil {
		f.replyAI(fasthttp.StatusBadRequest, plugin.JSON, messageBody("error_msg", err.Error()))
		return
	}
	f.call(in)
}

// call exchanges the request that attempt has built and hands the answer on.
func (f *flow) call(in *instance) {
	f.Attempts = append(f.Attempts, plugin.Attempt{Instance: in.Name, Addr: in.addr})
	a := &f.Attempts[len(f.Attempts)-1]
	f.Scheme = in.scheme
	f.Upstream.Host = in.host
	f.Upstream.URI = headPath(f.head)
	f.counted = f.rt.metrics.begin(f)
	f.busy = true
	f.ex.NoBody = false
	err := in.pool.Do(&f.ex, f.ai.timeouts, f.head, f.segs...)
	a.Connect, a.Header = f.ex.Connect, f.ex.Header
	if err != nil {
		f.freeUpstream()
		a.Total = time.Since(f.t0)
		f.Times.Upstream = a.Total
		f.transportFault(in, a, err)
		return
	}
	f.Source = "upstream"
	h := &f.ex.Head
	a.Status = h.Status
	switch {
	case h.Status == fasthttp.StatusTooManyRequests || h.Status >= 500:
		f.relayError(a)
	case f.ex.Complete() && (h.Status == fasthttp.StatusNoContent || h.Status == fasthttp.StatusNotModified):
		f.freeUpstream()
		a.Total = time.Since(f.t0)
		f.Times.Upstream = a.Total
		f.replyUpstream(h.Status, h.ContentType, nil)
	case isStream(h.ContentType):
		f.startStream(a, true)
	case isJSON(h.ContentType) || f.ai.limits.MaxBytes > 0 && h.ContentLength < 0:
		f.plainAnswer(a)
	default:
		f.startStream(a, false)
	}
}

// transportFault answers for an upstream from which nothing came: 504 for a
// time-out, 500 for everything else (ai-proxy.md 2.12).
func (f *flow) transportFault(in *instance, a *plugin.Attempt, err error) {
	if errors.Is(err, wire.ErrCanceled) {
		a.Status = statusGone
		f.clientGone()
		return
	}
	a.Status = fasthttp.StatusInternalServerError
	body := upstreamUnreachable
	var te interface{ Timeout() bool }
	if errors.As(err, &te) && te.Timeout() {
		a.Status, body = fasthttp.StatusGatewayTimeout, upstreamTimeout
	}
	f.e.log.Error("failed to send request to LLM service", "route_id", f.Info.RouteID, "instance", in.Name, "err", err)
	f.replyAI(a.Status, plugin.JSON, body)
}

var (
	upstreamUnreachable = []byte(`{"error":{"message":"failed to reach the upstream LLM service","type":"upstream_error","code":"upstream_unreachable"}}` + "\n")
	upstreamTimeout     = []byte(`{"error":{"message":"the upstream LLM service did not answer in time","type":"upstream_error","code":"upstream_timeout"}}` + "\n")
)

// relayError passes on status and body of an answer that is an error of the
// provider: not converted, not parsed, its connection not used again (5.2).
func (f *flow) relayError(a *plugin.Attempt) {
	err := f.readAnswer(errorBodyMax)
	f.settleAttempt(a)
	f.freeUpstream()
	if errors.Is(err, wire.ErrCanceled) {
		f.clientGone()
		return
	}
	f.replyUpstream(a.Status, f.ex.Head.ContentType, f.answer)
}

// plainAnswer reads a whole answer, takes usage and text out of it and passes
// it on (5.3).
func (f *flow) plainAnswer(a *plugin.Attempt) {
	limit := f.ai.limits.MaxBytes
	if limit > 0 && f.ex.Head.ContentLength > limit {
		f.settleAttempt(a)
		f.freeUpstream()
		f.replyAI(fasthttp.StatusBadGateway, plugin.Text, []byte(sse.ErrBytes.Error()))
		return
	}
	if limit <= 0 {
		limit = plainMax
	}
	err := f.readAnswer(limit)
	f.settleAttempt(a)
	switch {
	case err == nil:
		f.busy = false
		f.ex.Done(true)
	case errors.Is(err, wire.ErrCanceled):
		f.freeUpstream()
		f.clientGone()
		return
	case errors.Is(err, sse.ErrBytes):
		f.freeUpstream()
		f.replyAI(fasthttp.StatusBadGateway, plugin.Text, []byte(err.Error()))
		return
	default:
		f.freeUpstream()
		f.readFault(err)
		return
	}
	if isJSON(f.ex.Head.ContentType) {
		driver.Of(f.target).Response(&f.Capture, f.answer)
	}
	f.replyUpstream(a.Status, f.ex.Head.ContentType, f.answer)
}

// plainMax is the largest answer that is held in memory to be parsed.
const plainMax = 256 << 20

// readFault answers for a plain body that broke off while it was read.
func (f *flow) readFault(err error) {
	f.e.log.Error("failed to read response from LLM service", "route_id", f.Info.RouteID, "err", err)
	var te interface{ Timeout() bool }
	if errors.As(err, &te) && te.Timeout() {
		f.replyAI(fasthttp.StatusGatewayTimeout, plugin.JSON, upstreamTimeout)
		return
	}
	f.replyAI(fasthttp.StatusInternalServerError, plugin.Text, []byte(readReason(err)))
}

func readReason(err error) string {
	if errors.Is(err, wire.ErrTruncated) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "upstream closed the connection before the response was complete"
	}
	return "failed to read the upstream's response"
}

// readAnswer reads the upstream's body into f.answer; sse.ErrBytes if it is
// longer than limit.
func (f *flow) readAnswer(limit int64) error {
	f.answer = f.answer[:0]
	if n := f.ex.Head.ContentLength; n > 0 && int64(cap(f.answer)) < n {
		f.answer = make([]byte, 0, min(n, limit, 1<<20)+1)
	} else if cap(f.answer) == 0 {
		f.answer = make([]byte, 0, 4<<10)
	}
	for {
		if len(f.answer) == cap(f.answer) {
			f.answer = append(f.answer, 0)[:len(f.answer)]
		}
		n, err := f.ex.Read(f.answer[len(f.answer):cap(f.answer)])
		f.answer = f.answer[:len(f.answer)+n]
		if int64(len(f.answer)) > limit {
			return sse.ErrBytes
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// settleAttempt notes what a completely read answer took: for answers that are
// no stream the first token is the whole body (5.7).
func (f *flow) settleAttempt(a *plugin.Attempt) {
	a.Total = time.Since(f.t0)
	a.Length = int64(len(f.answer))
	f.Times.FirstToken, f.Times.Upstream = a.Total, a.Total
}

// freeUpstream closes the upstream connection if the flow still holds one.
func (f *flow) freeUpstream() {
	if f.busy {
		f.busy = false
		f.ex.Done(false)
	}
}

// headPath is the path of a request head, without the query.
func headPath(head []byte) []byte {
	i := indexByte(head, ' ')
	if i < 0 {
		return nil
	}
	p := head[i+1:]
	for j, c := range p {
		if c == ' ' || c == '?' {
			return p[:j]
		}
	}
	return nil
}

// rawPath is the path of a request target as the client wrote it.
func rawPath(uri []byte) []byte {
	if i := indexByte(uri, '?'); i >= 0 {
		return uri[:i]
	}
	return uri
}
