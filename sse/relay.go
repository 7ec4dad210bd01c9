package sse

import (
	"bytes"
	"errors"
	"time"
)

const (
	rawCarry       = 1 << 20  // an event beyond this is not accounted for, but still relayed
	transformCarry = 16 << 20 // an event beyond this ends a transformed stream
	maxEvents      = 1024     // longest list of events that survives into the next stream
)

// Relay decides what a client gets for the bytes of one upstream stream: it
// counts and times them, shows the events to its owner's Hooks, applies the
// Transform and watches the Limits (ai-proxy.md section 5.5). It moves no
// bytes itself: Pump does, or a body reader that calls
//
//	Start, Step for each read, End once
//
// Its zero value is ready for Start, after End it can be started again; its
// buffers are kept, so a pooled Relay allocates nothing. A Relay belongs to
// the goroutine that runs it and must not be copied after Start.
type Relay struct {
	hooks    Hooks
	tr       Transform
	lim      Limits
	t0       time.Time
	st       Stats
	sc       Scanner
	fr       Frames
	events   []Event
	out      []byte
	cause    error
	known    bool
	scan     bool
	framed   bool // the stream is one of AWS frames
	mid      bool // the transform's output so far ends inside an event
	needDone bool
	mayEmpty bool
	headSent bool
	ended    bool
	copy     *[]byte // nil: nothing is copied
	copyMax  int
}

// Start begins a stream. tr is nil where bytes pass as they are. Durations
// count from t0. known says that the client reads a known SSE protocol, so
// that Hooks.AppendFault may be used; scan is false for bodies that are not
// SSE: they have no events, neither for h nor for tr.
func (r *Relay) Start(h Hooks, tr Transform, lim Limits, t0 time.Time, known, scan bool) {
	limit := rawCarry
	if tr != nil {
		limit = transformCarry
	}
	r.sc.Init(limit)
	r.hooks, r.tr, r.lim, r.t0, r.known, r.scan, r.framed = h, tr, lim, t0, known, scan, false
	r.st, r.cause, r.out, r.copy = Stats{}, nil, kept(r.out), nil
	r.mid, r.needDone, r.mayEmpty, r.headSent, r.ended = false, false, false, false, false
	if cap(r.events) > maxEvents {
		r.events = nil
	}
}

// StartFrames is Start for a stream of AWS event-stream frames: its events are
// the frames. Without a Transform the client gets no fault event, since it does
// not read server-sent events; with one, known speaks of what that makes.
func (r *Relay) StartFrames(h Hooks, tr Transform, lim Limits, t0 time.Time, known bool) {
	r.Start(h, tr, lim, t0, known, false)
	r.fr.Init()
	r.framed = true
}

// NeedDone says that the upstream's body is framed by nothing but the close
// of its connection: an end without a Done mark is then a truncation, if the
// protocol is known (architecture.md section 13, ruling 9). Call it after Start.
func (r *Relay) NeedDone() { r.needDone = true }

// MayBeEmpty says that a Transform may make nothing of a whole body: it does
// not convert, it leaves out. Call it after Start.
func (r *Relay) MayBeEmpty() { r.mayEmpty = true }

// Copy has the relay append what the client gets to *dst, until that is max
// bytes long. Call it after Start; dst is not used any more after End.
func (r *Relay) Copy(dst *[]byte, max int) { r.copy, r.copyMax = dst, max }

// keep copies output.
func (r *Relay) keep(out []byte) {
	if r.copy != nil {
		*r.copy = append(*r.copy, out[:min(len(out), max(0, r.copyMax-len(*r.copy)))]...)
	}
}

// HeadSent says that the client has got the head of its answer. Before that,
// and before any output, no fault event is made: the cause that End returns
// can still become a status.
func (r *Relay) HeadSent() { r.headSent = true }

// Step takes the next bytes of the upstream and returns what the client gets
// for them: raw itself without a Transform, else bytes of the relay's own
// buffer, possibly none. Both are valid until the next Step, also while End
// is called.
//
// An error (ErrDuration, ErrBytes, ErrTooLarge, ErrCorrupt or the Transform's own) ends
// the stream: send out, give the error to End, stop reading.
func (r *Relay) Step(raw []byte) (out []byte, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	now := max(time.Since(r.t0), 1) // 0 means that nothing came
	r.st.BytesIn += int64(len(raw))
	r.st.LastByte = now
	if r.st.FirstByte == 0 {
		r.st.FirstByte = now
	}
	r.events = r.events[:0]
	switch {
	case r.scan:
		r.sc.Reset(raw)
		for r.sc.Next() {
			r.observe(r.sc.ev, now)
		}
	case r.framed:
		r.fr.Reset(raw)
		for r.fr.Next() {
			r.observe(r.fr.ev, now)
		}
	}
	out = raw
	if r.tr != nil {
		r.out, err = r.tr.AppendChunk(r.out[:0], raw, r.events)
		out = r.out
		r.mid = within(out, r.mid)
		switch {
		case err != nil:
		case r.sc.Overflowed():
			err = ErrTooLarge
		case r.Corrupt():
			err = ErrCorrupt
		}
	}
	r.st.BytesOut += int64(len(out))
	r.keep(out)
	switch {
	case err != nil:
	case r.lim.MaxDuration > 0 && now >= r.lim.MaxDuration:
		err = ErrDuration
	case r.lim.MaxBytes > 0 && r.st.BytesIn > r.lim.MaxBytes:
		err = ErrBytes
	}
	return out, err
}

// observe shows an event to the hooks and, with a Transform, collects it.
func (r *Relay) observe(ev Event, now time.Duration) {
	if ev.Data != nil {
		r.st.Events++
		m := r.hooks.Tap(ev)
		r.st.Seen |= m
		if m&Content != 0 && r.st.FirstToken == 0 {
			r.st.FirstToken = now
		}
	}
	if r.tr != nil {
		r.events = append(r.events, ev)
	}
}

// End finishes the stream: the Transform flushes, a fault event is added
// where there is reason and room for one, and the hooks settle. It returns
// the client's last bytes, valid until the next Start, and the cause of the
// end as it was given to Hooks.Settle. Further calls return only that.
//
// cause is nil for a body that the upstream ended, ErrTruncated or ErrStalled
// for one that broke off, what Step returned, or ErrClientGone. It may come
// back as
//   - nil, if it was truncated, stalled or corrupt after a Done mark: the answer is complete;
//   - ErrTruncated, see NeedDone;
//   - the Transform's own error, after an end without a cause;
//   - ErrNoOutput, if the Transform made nothing of a whole body, see MayBeEmpty.
//
// See Broken for what to do with it.
func (r *Relay) End(cause error) ([]byte, error) {
	if r.ended {
		return nil, r.cause
	}
	r.ended = true
	switch {
	case (cause == ErrTruncated || cause == ErrStalled || cause == ErrCorrupt) && r.Done():
		cause = nil
	case cause == nil && r.needDone && r.known && !r.Done():
		cause = ErrTruncated
	}
	// What Step returned may not be sent yet: go on behind it.
	from := 0
	if r.tr != nil {
		from = len(r.out)
		var err error
		r.out, err = r.tr.AppendEnd(r.out, r.rest(), cause)
		r.mid = within(r.out[from:], r.mid)
		if cause == nil {
			cause = err
		}
	}
	silent := r.st.BytesOut == 0 && len(r.out) == from
	switch cause {
	case nil:
		if r.tr != nil && silent && !r.mayEmpty {
			cause = ErrNoOutput
		}
	case ErrClientGone:
		r.out = r.out[:from]
	case ErrTruncated, ErrStalled, ErrCorrupt:
		boundary := r.scan && r.sc.AtBoundary()
		if r.tr != nil {
			boundary = !r.mid
		}
		if r.known && boundary && (r.headSent || !silent) {
			r.out = r.hooks.AppendFault(r.out, cause)
		}
	}
	r.st.BytesOut += int64(len(r.out) - from)
	r.keep(r.out[from:])
	r.cause = cause
	r.hooks.Settle(&r.st, cause)

	// A pooled relay must not hold on to the buffers and objects of its last stream.
	clear(r.events[:cap(r.events)])
	r.sc.in, r.sc.pos, r.sc.ev = nil, 0, Event{}
	r.fr.in, r.fr.pos, r.fr.ev = nil, 0, Event{}
	r.hooks, r.tr, r.copy = nil, nil, nil
	return r.out[from:], cause
}

// Stats is what was seen so far; it is the relay's own and valid until the next Start.
func (r *Relay) Stats() *Stats { return &r.st }

// rest is the unfinished event.
func (r *Relay) rest() []byte {
	if r.framed {
		return r.fr.Rest()
	}
	return r.sc.Rest()
}

// Done reports whether the answer is complete: an event was marked Done or Stopped.
func (r *Relay) Done() bool { return r.st.Seen&(Done|Stopped) != 0 }

// Output is the number of body bytes made for the client so far.
func (r *Relay) Output() int64 { return r.st.BytesOut }

// Overflowed reports whether an event was too large to be accounted for; it
// is worth a warning.
func (r *Relay) Overflowed() bool { return r.sc.Overflowed() }

// Corrupt reports whether AWS frames were damaged and not accounted for; it
// is worth a warning too.
func (r *Relay) Corrupt() bool { return r.framed && r.fr.Corrupt() }

// Expired reports whether Limits.MaxDuration is over at now.
func (r *Relay) Expired(now time.Time) bool {
	return r.lim.MaxDuration > 0 && now.Sub(r.t0) >= r.lim.MaxDuration
}

// within reports whether output that ends with out stops inside an event; was
// is the answer before out. Converters write whole events, byte filters may not.
func within(out []byte, was bool) bool {
	if len(out) == 0 {
		return was
	}
	return !bytes.HasSuffix(out, []byte("\n\n")) && !bytes.HasSuffix(out, []byte("\r\n\r\n"))
}

// Broken reports whether a stream that ended with cause must reach the client
// as an unfinished body: no last chunk, connection closed. Limits and errors
// of a Transform are decisions and end the body as it should end.
func Broken(cause error) bool {
	return cause != nil && (errors.Is(cause, ErrTruncated) || errors.Is(cause, ErrStalled) ||
		errors.Is(cause, ErrTooLarge) || errors.Is(cause, ErrCorrupt) || errors.Is(cause, ErrNoOutput) || errors.Is(cause, ErrClientGone))
}
