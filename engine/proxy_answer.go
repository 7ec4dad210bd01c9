package engine

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/sse"
)

// relayAnswer hands an answer of the upstream on: whole if it is small, else
// as it arrives.
func (f *flow) relayAnswer(a *plugin.Attempt, tm wire.Timeouts) {
	f.Source = "upstream"
	h := &f.ex.Head
	a.Status = h.Status
	empty := f.ex.NoBody || h.Status == fasthttp.StatusNoContent || h.Status == fasthttp.StatusNotModified
	switch {
	case h.Status == fasthttp.StatusSwitchingProtocols:
		f.startTunnel(a, tm)
	case empty && (!f.HTTP.IsHead() || h.ContentLength >= 0), f.HTTP.IsHead() && !f.ex.NoBody:
		f.relayWhole(a, nil)
	case !empty && f.short():
		switch err := f.readAnswer(bodyInMemory); {
		case err == nil:
			f.relayWhole(a, f.answer)
		case errors.Is(err, wire.ErrCanceled):
			f.freeUpstream()
			f.clientGone()
		default:
			f.e.log.Error("failed to read the answer of an upstream", "route_id", f.Info.RouteID, "node", a.Addr, "err", err)
			f.settleProxy(a, int64(len(f.answer)))
			f.freeUpstream()
			status := fasthttp.StatusBadGateway
			if isTimeout(err) {
				status = fasthttp.StatusGatewayTimeout
			}
			f.failProxy(status)
		}
	default:
		f.relayStream()
	}
}

// short says whether the body of the answer may be read whole before the client
// gets any of it.
func (f *flow) short() bool {
	h := &f.ex.Head
	return h.ContentLength >= 0 && h.ContentLength <= bodyInMemory && !plugin.IsStream(h.ContentType) ||
		f.ex.Arrived() && f.ex.Buffered() <= bodyInMemory
}

func (f *flow) relayWhole(a *plugin.Attempt, body []byte) {
	h := &f.ex.Head
	f.settleProxy(a, int64(len(body)))
	f.copyHead()
	length, head := h.ContentLength, f.HTTP.IsHead()
	status := h.Status
	if head && !f.ex.NoBody { // a plugin has changed the method: there is a body that nobody wants
		f.freeUpstream()
	} else {
		f.busy = false
		f.ex.Done(true)
	}
	f.respond(status, body)
	if !head {
		return
	}
	if f.filtersBody() {
		length = -1 // nobody knows it without the body
	}
	f.HTTP.Response.Header.SetContentLength(int(max(length, -1)))
}

// settleProxy notes what an attempt took that is over.
func (f *flow) settleProxy(a *plugin.Attempt, length int64) {
	a.Total, a.Length = time.Since(f.t0), length
	f.Times.Upstream = a.Total
}

// relayStream begins an answer that is relayed as it arrives. Of HEAD there is
// only the head.
func (f *flow) relayStream() {
	h := &f.ex.Head
	f.copyHead()
	f.settleBody()
	f.startAnswer(h.Status)
	f.tr.start(f, false)
	f.relay.Start(f, f.tr.orNil(), sse.Limits{}, f.t0, false, false)
	f.keepAnswer()
	f.relay.MayBeEmpty()
	switch {
	case f.ex.NoBody:
		f.leaveServer(sse.Length, 0, -1)
	case h.ContentLength >= 0 && f.tr.orNil() == nil:
		f.leaveServer(sse.Length, h.ContentLength, int(h.ContentLength))
	default:
		f.leaveServer(sse.Chunked, 0, -1)
	}
}
