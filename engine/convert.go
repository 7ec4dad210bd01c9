package engine

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/sse"
)

// convert puts the body of the attempt into f.out: the client's own, or what a
// converter makes of it where the provider speaks another protocol.
func (f *flow) convert(in *instance) failure {
	if f.conv = in.Converter(f.Proto); f.conv == nil {
		f.Body.Fork(&f.out)
		return failure{}
	}
	f.cst.Reset()
	f.cst.Model, f.cst.RequestModel = f.Model, f.RequestModel
	f.cst.ID, f.cst.Start = f.ID[:], f.Times.Start
	var err error
	if f.converted, err = f.conv.Request(f.converted[:0], &f.Body, &f.cst); err == nil {
		err = f.out.Load(f.converted)
	}
	if err != nil {
		return failure{status: fasthttp.StatusBadRequest, contentType: plugin.JSON, body: driver.AppendRefusal(nil, f.conv, err)}
	}
	return failure{}
}

// convertedAnswer passes a whole answer on in the client's protocol. A body
// that the converter does not know goes as it is.
func (f *flow) convertedAnswer(a *plugin.Attempt) failure {
	ok, err := f.restate(a.Status, f.answer)
	switch {
	case err != nil:
		return failure{status: fasthttp.StatusInternalServerError, contentType: plugin.Text, body: []byte(err.Error())}
	case ok:
		f.replyUpstream(a.Status, jsonType, f.restated)
	default:
		f.replyUpstream(a.Status, f.ex.Head.ContentType, f.answer)
	}
	return failure{}
}

// restate puts a provider's whole answer in the client's protocol into
// f.restated, see driver.Converter.
func (f *flow) restate(status int, body []byte) (ok bool, err error) {
	if name := driver.ErrorHeader(f.target); name != "" {
		f.cst.ErrorClass = f.ex.Head.Get(name)
	}
	// Not into f.converted: log variables still point into the request there.
	f.restated, ok, err = f.conv.AppendResponse(f.restated[:0], body, status, &f.cst)
	return ok, err
}

// canceled lets a client that leaves end what a context stands for.
type canceled context.CancelFunc

// Cancel implements canceler.
func (c canceled) Cancel() { c() }

// bearer returns the access token of an instance that needs one. It waits only
// if there is no valid token.
func (f *flow) bearer(in *instance) ([]byte, failure) {
	if in.tokens == nil {
		return nil, failure{}
	}
	if t := in.tokens.Current(); t != nil {
		return t, failure{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.conn.onCall(canceled(cancel))
	t, err := in.tokens.Token(ctx)
	f.conn.onCall(nil)
	switch {
	case err == nil:
		return t, failure{}
	case f.conn.gone.Load():
		f.clientGone()
		return nil, failure{}
	}
	f.e.log.Error("failed to get gcp access token", "route_id", f.Info.RouteID, "instance", in.Name, "err", err)
	return nil, failure{status: fasthttp.StatusInternalServerError, contentType: plugin.JSON,
		body: messageBody("error_msg", "failed to get gcp access token: "+err.Error())}
}

// openStream begins the relay of an event stream. Where another instance could
// still be asked, the head waits for the first byte of the body: a stream that
// breaks off before it is a failed attempt like any other (ai-proxy.md 5.5).
func (f *flow) openStream(a *plugin.Attempt) failure {
	if f.target == driver.VertexPredict {
		f.freeUpstream()
		return failure{status: fasthttp.StatusInternalServerError}
	}
	f.early = f.early[:0]
	if m := f.ai.multi; m != nil && m.balancer != nil && f.ex.Buffered() == 0 && !f.HTTP.IsHead() {
		if fail, gone := f.firstBytes(a); fail.status != 0 || gone {
			return fail
		}
	}
	f.startStream(a, true)
	return failure{}
}

// firstBytes waits for the beginning of a stream and keeps it in f.early.
func (f *flow) firstBytes(a *plugin.Attempt) (fail failure, gone bool) {
	limit := f.ai.limits.MaxDuration
	if limit > 0 {
		f.ex.SetWait(min(f.ai.timeouts.Read, max(time.Millisecond, limit-time.Since(f.t0))))
		defer f.ex.SetWait(f.ai.timeouts.Read)
	}
	if cap(f.early) == 0 {
		f.early = make([]byte, 0, 4<<10)
	}
	n, err := f.ex.Read(f.early[:cap(f.early)])
	f.early = f.early[:n]
	switch {
	case err == nil || n > 0 || err == io.EOF:
		return failure{}, false
	case errors.Is(err, wire.ErrCanceled):
		a.Status = statusGone
		f.clientGone()
		return failure{}, true
	}
	f.answer = f.answer[:0]
	f.settleAttempt(a)
	f.Times.FirstToken = 0
	f.freeUpstream()
	if limit > 0 && a.Total >= limit {
		return failure{status: fasthttp.StatusGatewayTimeout, contentType: plugin.Text, body: []byte(sse.ErrDuration.Error())}, false
	}
	fail = faultOf(err)
	fail.transport = true
	return fail, false
}

// begun is an exchange whose first bytes were read ahead.
type begun struct {
	*wire.Exchange
	first *[]byte
}

// Read implements sse.Source.
func (b *begun) Read(p []byte) (int, error) {
	if len(*b.first) == 0 {
		return b.Exchange.Read(p)
	}
	n := copy(p, *b.first)
	*b.first = (*b.first)[n:]
	return n, nil
}

// Buffered implements sse.Source.
func (b *begun) Buffered() int { return len(*b.first) + b.Exchange.Buffered() }
