package engine

import (
	"errors"
	"strconv"

	"github.com/VictoriaMetrics/metrics"

	"headrace/sse"
)

// ending is how a stream ended: the label of headrace_streams_ended_total and
// the variable llm_end_reason.
type ending uint8

const (
	endComplete ending = iota
	endClientGone
	endTruncated // the provider broke off, or sent what cannot be relayed
	endStalled
	endLimit
	endShutdown
	endOperator
	endings
)

var endingNames = [endings]string{"complete", "client_gone", "upstream_truncated", "stall", "limit", "shutdown", "ended"}

// endingOf classes the cause that a relay ended with.
func (f *flow) endingOf(cause error) ending {
	switch {
	case cause == nil:
		return endComplete
	case f.open.ended.Load():
		return endOperator
	case errors.Is(cause, sse.ErrClientGone):
		if f.e.cutting.Load() && !f.conn.gone.Load() {
			return endShutdown
		}
		return endClientGone
	case errors.Is(cause, sse.ErrStalled):
		return endStalled
	case errors.Is(cause, sse.ErrDuration), errors.Is(cause, sse.ErrBytes), errors.Is(cause, sse.ErrTooLarge):
		return endLimit
	}
	return endTruncated
}

// endStream notes how the stream of an AI request ended.
func (f *flow) endStream(cause error) {
	end := f.endingOf(cause)
	f.EndReason = endingNames[end]
	f.e.metrics.ended(f.Info.RouteID, f.Instance.Name, end).Inc()
}

// ended returns the counter of streams of one instance of a route that ended so.
func (g *gatewayMetrics) ended(route, instance string, end ending) *metrics.Counter {
	key := endKey{route, instance, end}
	if c, ok := g.ends.Load(key); ok {
		return c.(*metrics.Counter)
	}
	name := "headrace_streams_ended_total{route=" + strconv.Quote(route) + ",node=" + strconv.Quote(instance) +
		",reason=" + strconv.Quote(endingNames[end]) + "}"
	c := g.set.GetOrCreateCounter(name)
	g.own(route, name)
	g.ends.Store(key, c)
	return c
}

type endKey struct {
	route, instance string
	end             ending
}

// own notes a counter that goes with its route.
func (g *gatewayMetrics) own(route, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tries[route] == nil {
		g.tries[route] = map[string]struct{}{}
	}
	g.tries[route][name] = struct{}{}
}

// requestIDs are the headers in which providers name a request.
var requestIDs = [...]string{"x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"}

// noteUpstreamID keeps the provider's own name of the request, for the log.
func (f *flow) noteUpstreamID() {
	f.UpstreamID = f.UpstreamID[:0]
	for name, value := range f.ex.Head.All {
		for _, id := range requestIDs {
			if len(name) == len(id) && equalFold(name, id) && len(value) <= 256 {
				f.UpstreamID = append(f.UpstreamID[:0], value...)
				return
			}
		}
	}
}
