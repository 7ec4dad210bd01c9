package engine

import (
	"errors"
	"headrace/driver"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/sse"
	"io"

	"github.com/valyala/fasthttp"
)

// errorBodyMax bounds the error body of a provider that is kept to be relayed
// (ai-proxy.md section 10, rule 32).
const errorBodyMax = 1 << 20

// relayError reads an answer that is an error of the provider: not converted,
// not parsed, its connection not used again (5.2).
func (f *flow) relayError(a *plugin.Attempt) failure {
	err := f.readAnswer(errorBodyMax)
	f.settleAttempt(a)
	f.freeUpstream()
	if errors.Is(err, wire.ErrCanceled) {
		f.clientGone()
		return failure{}
	}
	return failure{status: a.Status, body: f.answer, relayed: true}
}

// plainAnswer reads a whole answer, takes usage and text out of it and passes
// it on (5.3).
func (f *flow) plainAnswer(a *plugin.Attempt) failure {
	limit := f.ai.limits.MaxBytes
	if limit <= 0 {
		limit = plainMax
	}
	f.answer = f.answer[:0]
	err := error(sse.ErrBytes)
	if f.ex.Head.ContentLength <= limit {
		err = f.readAnswer(limit)
	}
	f.settleAttempt(a)
	switch {
	case err == nil:
		f.busy = false
		f.ex.Done(true)
	case errors.Is(err, wire.ErrCanceled):
		f.freeUpstream()
		f.clientGone()
		return failure{}
	case errors.Is(err, sse.ErrBytes):
		f.freeUpstream()
		return failure{status: fasthttp.StatusBadGateway, contentType: plugin.Text, body: []byte(err.Error())}
	default:
		f.freeUpstream()
		return f.readFault(err)
	}
	if isJSON(f.ex.Head.ContentType) {
		driver.Of(f.target).Response(&f.Capture, f.answer)
	}
	if f.conv != nil {
		return f.convertedAnswer(a)
	}
	if f.ai.isRequest(a.Status) {
		f.proxyBody(f.answer)
		return failure{}
	}
	f.replyUpstream(a.Status, f.ex.Head.ContentType, f.answer)
	return failure{}
}

// plainMax is the largest answer that is held in memory to be parsed.
const plainMax = 256 << 20

// readFault is a plain body that broke off while it was read.
func (f *flow) readFault(err error) failure {
	f.e.log.Error("failed to read response from LLM service", "route_id", f.Info.RouteID, "err", err)
	fail := faultOf(err)
	if fail.status == fasthttp.StatusInternalServerError {
		fail.contentType, fail.body = plugin.Text, []byte(readReason(err))
	}
	return fail
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
