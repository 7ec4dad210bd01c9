package engine

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"headrace/sse"
)

// Stream is an open stream as the Control API lists it.
type Stream struct {
	ID         string `json:"id"` // the request's, $apisix_request_id
	Route      string `json:"route"`
	Instance   string `json:"instance"`
	Consumer   string `json:"consumer"`
	Model      string `json:"model"`
	Client     string `json:"client"`
	Phase      string `json:"phase"` // "waiting" for the first byte, "streaming"
	AgeMS      int64  `json:"age_ms"`
	FirstByte  int64  `json:"first_byte_ms"` // 0: none came
	SilentMS   int64  `json:"silent_ms"`     // since the latest byte, or since the start
	Events     int64  `json:"events"`
	Bytes      int64  `json:"bytes"` // of the provider's body
	Prompt     int64  `json:"prompt_tokens"`
	Completion int64  `json:"completion_tokens"` // 0 until the provider reports them
}

// openStream is what a running stream shows of itself. What does not change is
// set before shown is; the rest is written by the stream's goroutine only.
type openStream struct {
	shown atomic.Bool
	ended atomic.Bool // by an operator
	since time.Time

	first, latest      atomic.Int64 // since the start of the attempt, in nanoseconds
	events, bytes      atomic.Int64
	prompt, completion atomic.Int64
}

// show makes the stream of f visible. Nothing of what OpenStreams reads may change
// until hide.
func (f *flow) show() {
	o := &f.open
	o.ended.Store(false)
	for _, n := range [...]*atomic.Int64{&o.first, &o.latest, &o.events, &o.bytes, &o.prompt, &o.completion} {
		n.Store(0)
	}
	o.since = f.t0
	o.shown.Store(true)
}

// progress notes how far the stream has come.
func (o *openStream) progress(st *sse.Stats) {
	o.latest.Store(int64(st.LastByte))
	o.bytes.Store(st.BytesIn)
	o.events.Store(int64(st.Events))
	if o.first.Load() == 0 {
		o.first.Store(int64(st.FirstByte))
	}
}

// OpenStreams lists the streams that are being relayed, the oldest first.
func (e *Engine) OpenStreams() []Stream {
	var list []Stream
	now := time.Now()
	e.conns.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		f := c.flow
		if f == nil || !f.open.shown.Load() {
			return
		}
		o := &f.open
		s := Stream{
			ID: string(f.ID[:]), Route: f.Info.RouteID, Consumer: f.ConsumerName(), Model: string(f.Model), Client: f.Req.Remote.Addr().String(),
			Phase: "waiting", AgeMS: now.Sub(o.since).Milliseconds(), Events: o.events.Load(), Bytes: o.bytes.Load(),
			Prompt: o.prompt.Load(), Completion: o.completion.Load(), FirstByte: time.Duration(o.first.Load()).Milliseconds(),
		}
		if f.Instance != nil {
			s.Instance = f.Instance.Name
		}
		s.SilentMS = max(0, (now.Sub(o.since) - time.Duration(o.latest.Load())).Milliseconds())
		if s.Bytes > 0 {
			s.Phase = "streaming"
		}
		list = append(list, s)
	})
	slices.SortFunc(list, func(a, b Stream) int { return cmp.Or(cmp.Compare(b.AgeMS, a.AgeMS), cmp.Compare(a.ID, b.ID)) })
	return list
}

// EndStream ends an open stream by its id: the client gets an error event and
// an unfinished body, the provider's connection is closed. It returns false if
// there is no such stream.
func (e *Engine) EndStream(id string) (found bool) {
	e.conns.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if f := c.flow; f != nil && f.open.shown.Load() && string(f.ID[:]) == id {
			found = true
			f.open.ended.Store(true)
			f.ex.Interrupt()
		}
	})
	return found
}

// faultOfStream is code and text of the error event that ends a stream.
func (f *flow) faultOfStream(cause error) (code, text string) {
	switch {
	case f.open.ended.Load():
		return "stream_ended", "the stream was ended by an operator"
	case cause == sse.ErrStalled:
		return "upstream_stream_timeout", "the upstream stopped sending before the stream was complete"
	}
	return "upstream_stream_truncated", "the upstream closed the stream before it was complete"
}
