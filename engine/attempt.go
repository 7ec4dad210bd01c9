package engine

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/driver/wire"
	"headrace/plugin"
)

// statusGone is what nginx logs for a client that left before its answer.
const statusGone = 499

// failure is an attempt that did not answer the request. The zero value means
// that it did.
type failure struct {
	status      int
	contentType string
	body        []byte
	relayed     bool // status, body and content type are the provider's
	transport   bool // no answer came at all
	final       bool // another instance would not help
}

// attempts calls providers until one of them has answered the request.
func (f *flow) attempts() {
	for in := f.picked; ; f.again() {
		f.conn.attach(f)
		n := len(f.Attempts)
		fail := f.attempt(in)
		if fail.status == 0 {
			return // f may serve another request already
		}
		if len(f.Attempts) > n {
			in.counts[outcomeOf(&fail)].Inc()
		}
		next := f.fallBack(in, &fail)
		if next == nil {
			f.sendFailure(&fail)
			return
		}
		in = next
	}
}

// again makes f ready for another attempt, which starts from the client's own
// request; nothing of the failed one shows in it.
func (f *flow) again() {
	f.ex.Reset()
	f.Capture.Reset()
	f.Capture.WantText = f.ai.payloads
	f.Times.FirstToken, f.Times.Upstream = 0, 0
	f.Source = "apisix"
}

// sendFailure gives the client the failure of the last attempt.
func (f *flow) sendFailure(fail *failure) {
	if fail.relayed && f.ai.bound.ErrorResponse() == nil {
		if driver.IsExtension(f.conv) && isJSON(f.ex.Head.ContentType) {
			if ok, _ := f.restate(fail.status, fail.body); ok {
				f.replyUpstream(fail.status, jsonType, f.restated)
				return
			}
		}
		f.replyUpstream(fail.status, f.ex.Head.ContentType, fail.body)
		return
	}
	f.replyAI(fail.status, fail.contentType, fail.body)
}

// attempt is one call of one instance: route the protocol, shape the body,
// build the head, exchange, and hand the answer on (ai-proxy.md 2.1, P1 to P10).
func (f *flow) attempt(in *instance) failure {
	f.t0 = time.Now()
	f.Instance = in.Instance
	if in.Broken != nil {
		f.e.log.Error("instance is not usable", "route_id", f.Info.RouteID, "instance", in.Name, "err", in.Broken)
		return failure{status: fasthttp.StatusServiceUnavailable, contentType: plugin.JSON,
			body: messageBody("error_msg", "instance "+in.Name+" is not usable: its credentials cannot be resolved")}
	}
	target, refusal := in.Route(f.Proto)
	if refusal != "" {
		return failure{status: fasthttp.StatusBadRequest, contentType: plugin.Text, body: []byte(refusal), final: true}
	}
	f.target = target
	if f.Model = in.Model(&f.Body); len(f.Model) == 0 {
		f.Model = driver.PathModel(f.Proto, f.Req.Path)
	}
	if fail := f.convert(in); fail.status != 0 {
		return fail
	}
	var st driver.Shaping
	in.Shape(&f.out, f.Proto, target, &st)
	f.askedUsage = st.ClientUsage
	proto, body := driver.Of(target), &f.out
	if driver.IsExtension(f.conv) {
		proto, body = driver.Of(f.Proto), &f.Body // the provider's may have no word for them
	}
	f.EndUser, f.ToolCount = proto.EndUser(body), proto.ToolCount(body)
	f.segs = f.out.Segments(f.segs[:0])
	length := 0
	for _, s := range f.segs {
		length += len(s)
	}
	bearer, fail := f.bearer(in)
	if fail.status != 0 || f.conn.cut.Load() {
		return fail
	}
	var err error
	f.head, err = in.AppendHead(f.head[:0], &driver.HeadInput{
		Method: f.Req.Method, Path: f.Req.Path, RawPath: rawPath(f.Req.URI), Query: f.Req.Query, Headers: f.Req.Headers,
		Client: f.Proto, Target: target, ContentLength: length, Model: f.Model, Stream: f.Stream, Bearer: bearer,
	})
	if err == nil && in.signer != nil {
		if f.head, err = in.signer.Sign(f.head, f.segs, time.Now()); err != nil {
			return failure{status: fasthttp.StatusInternalServerError, contentType: plugin.JSON, body: messageBody("error_msg", err.Error())}
		}
	}
	switch {
	case errors.Is(err, driver.ErrNoHost):
		f.e.log.Error("failed to send request to LLM service", "route_id", f.Info.RouteID, "instance", in.Name, "err", err)
		return failure{status: fasthttp.StatusInternalServerError, contentType: plugin.JSON, body: upstreamUnreachable, transport: true}
	case err != nil:
		return failure{status: fasthttp.StatusBadRequest, contentType: plugin.JSON, body: messageBody("error_msg", err.Error())}
	}
	return f.call(in)
}

// call exchanges the request that attempt has built and hands the answer on.
func (f *flow) call(in *instance) failure {
	pool, addr := in.way(f.e)
	f.Attempts = append(f.Attempts, plugin.Attempt{Instance: in.Name, Addr: addr})
	a := &f.Attempts[len(f.Attempts)-1]
	f.Scheme = in.scheme
	f.Upstream.Host = in.host
	f.Upstream.URI = headPath(f.head)
	f.counted = f.rt.metrics.begin(f)
	f.busy = true
	f.ex.NoBody = false
	err := pool.Do(&f.ex, f.ai.timeouts, f.head, f.segs...)
	a.Connect, a.Header = f.ex.Connect, f.ex.Header
	if err != nil {
		f.freeUpstream()
		a.Total = time.Since(f.t0)
		f.Times.Upstream = a.Total
		return f.transportFault(in, a, err)
	}
	f.Source = "upstream"
	f.noteUpstreamID()
	h := &f.ex.Head
	a.Status = h.Status
	if h.Status == fasthttp.StatusUnauthorized || h.Status == fasthttp.StatusForbidden {
		f.e.refused(f.rt)
	}
	bad := f.ai.isFault(h.Status)
	if !bad {
		in.counts[outcomeAnswered].Inc()
	}
	switch {
	case bad:
		return f.relayError(a)
	case f.ai.isRequest(h.Status):
		return f.plainAnswer(a)
	case f.ex.Complete() && (h.Status == fasthttp.StatusNoContent || h.Status == fasthttp.StatusNotModified):
		f.answer = f.answer[:0]
		f.settleAttempt(a)
		f.freeUpstream()
		f.replyUpstream(h.Status, h.ContentType, nil)
	case plugin.IsStream(h.ContentType):
		return f.openStream(a)
	case isJSON(h.ContentType) || f.ai.limits.MaxBytes > 0 && h.ContentLength < 0:
		return f.plainAnswer(a)
	default:
		f.startStream(a, false)
	}
	return failure{}
}

// isFault says which statuses of a provider are failures: their bodies are
// read whole, and another instance may be asked (ai-proxy.md 5.2).
func (a *aiRoute) isFault(status int) bool {
	return status == fasthttp.StatusTooManyRequests || status >= 500 || a.multi != nil && a.multi.statuses.has(status)
}

// isRequest says whether a model's answer is not the client's but the body of
// a request to the route's own upstream: passthrough of ai-proxy-multi's first
// release (ai-proxy.md 1.6.1).
func (a *aiRoute) isRequest(status int) bool {
	return a.multi != nil && a.multi.old != nil && a.multi.old.Passthrough && status < 300
}

// transportFault is an upstream from which nothing came: 504 for a time-out,
// 500 for everything else (ai-proxy.md 2.12).
func (f *flow) transportFault(in *instance, a *plugin.Attempt, err error) failure {
	if errors.Is(err, wire.ErrCanceled) {
		a.Status = statusGone
		in.counts[outcomeGone].Inc()
		f.clientGone()
		return failure{}
	}
	f.e.log.Error("failed to send request to LLM service", "route_id", f.Info.RouteID, "instance", in.Name, "err", err)
	fail := faultOf(err)
	fail.transport = true
	a.Status = fail.status
	return fail
}

// faultOf is the failure that an error of the exchange means.
func faultOf(err error) failure {
	var te interface{ Timeout() bool }
	if errors.As(err, &te) && te.Timeout() {
		return failure{status: fasthttp.StatusGatewayTimeout, contentType: plugin.JSON, body: upstreamTimeout}
	}
	return failure{status: fasthttp.StatusInternalServerError, contentType: plugin.JSON, body: upstreamUnreachable}
}

var (
	upstreamUnreachable = []byte(`{"error":{"message":"failed to reach the upstream LLM service","type":"upstream_error","code":"upstream_unreachable"}}` + "\n")
	upstreamTimeout     = []byte(`{"error":{"message":"the upstream LLM service did not answer in time","type":"upstream_error","code":"upstream_timeout"}}` + "\n")
)

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
