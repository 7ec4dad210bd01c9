package sse

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// lingerWait is how long a pump waits for the upstream's own end after the
// protocol's terminator has been seen (architecture.md section 13, ruling 8).
const lingerWait = 50 * time.Millisecond

// Source is the body of an upstream's answer. Read and SetWait are called by
// the goroutine that runs the pump only, Interrupt from any.
type Source interface {
	// Read fills p with what is at hand and waits for the first byte only.
	// io.EOF: the body is complete. A net.Error whose Timeout is true: the
	// upstream stalled or the wait was interrupted. Any other error: the body
	// broke off. An error may come together with bytes; a Source that can tell
	// without waiting that the body ends with them should return io.EOF at
	// once, so that they share one write with the end of the client's body.
	Read(p []byte) (int, error)
	// Buffered is the number of body bytes that are here already.
	Buffered() int
	// SetWait sets the longest wait of the Reads that follow.
	SetWait(d time.Duration)
	// Interrupt makes the Read that waits now, or else the next one, return a
	// timeout error at once. After Done it must do nothing: whoever watches the
	// client may be late. The pump itself calls nothing after Done.
	Interrupt()
	// Done gives the connection back, or closes it unless reuse. It is called once.
	Done(reuse bool)
}

// Waiter is a Source that can wait without a buffer. Wait returns nil when a
// Read would not wait, also at the end of the body, and otherwise the error
// that the Read would have returned.
type Waiter interface{ Wait() error }

// Framing says how the client finds the end of its body.
type Framing uint8

// The framings: Chunked writes a chunk per read; Length passes a body of a
// known number of bytes as it is, so it takes no Transform; UntilClose writes
// bytes without framing, and the caller closes the connection in every case.
const (
	Chunked Framing = iota
	Length
	UntilClose
)

// Pump moves one stream from a Source to a client on the calling goroutine.
//
// The zero value is ready. A Pump may be used for one stream after the other,
// not for two at a time, and must not be copied after its first use; it keeps
// its timer, everything else comes from a pool while a stream runs, so that a
// stream allocates nothing.
type Pump struct {
	r     *Relay
	src   Source
	w     io.Writer
	buf   *buffer
	head  []byte
	left  int64 // Length: bytes still to come
	fr    Framing
	sent  bool // the head is written, or an attempt failed
	freed bool // src.Done was called
	timer *time.Timer

	mu    sync.Mutex // guards what the timer's goroutine reads
	armed Source     // nil: the timer has nothing to interrupt
	due   time.Time
}

// Run relays the whole body of src through r, which has been started, to w:
// head (the finished head of the answer, blank line included) and then the
// body, framed as fr says; length is the body's size for Length only. Each
// read becomes at most one Write, which it shares with the head if it is the
// first and with the last chunk if it is the last. An empty head is one that
// the caller has sent. gone, if not nil, reports
// that the client has left; whoever makes it true calls src.Interrupt.
//
// The head goes out alone and at once if no body byte is here yet. Under a
// Transform it waits for the first output instead, because a stream that
// never has any is answered by a status: see Sent.
//
// Run calls r.End and src.Done in every case, both before the end of the body
// is written: what the client's next request must see is final, and the
// connection that it could use is in the pool. It returns nil if the body was
// ended as it should be (also by a limit), so that the client's connection
// can be kept; otherwise the cause, and the connection must be closed. Nothing
// of w, head or src is kept.
func (p *Pump) Run(r *Relay, src Source, w io.Writer, head []byte, fr Framing, length int64, gone func() bool) (err error) {
	p.r, p.src, p.w, p.head, p.fr, p.left = r, src, w, head, fr, length
	p.sent, p.freed = false, false
	if len(head) == 0 {
		p.sent = true
		r.HeadSent()
	}
	p.buf = buffers.Get().(*buffer)
	defer p.release()
	p.arm()

	if fr == Length && length <= 0 {
		return p.complete(nil, nil)
	}
	if !p.sent && r.tr == nil && src.Buffered() == 0 {
		if p.send(nil, nil, false) != nil {
			return p.finish(nil, ErrClientGone, false)
		}
	}
	waiter, _ := src.(Waiter)
	var linger time.Time // end of the wait for the upstream's end
	for drained := true; ; {
		n, rerr := 0, error(nil)
		if drained && waiter != nil && src.Buffered() == 0 {
			rerr = p.idle(waiter)
		}
		if rerr == nil {
			n, rerr = src.Read(p.buf.mem[roomFront : roomFront+roomData])
		}
		drained = n < roomData
		if gone != nil && gone() {
			return p.abandon()
		}
		out, serr := r.Step(p.buf.mem[roomFront : roomFront+n])
		if fr == Length && int64(len(out)) >= p.left {
			return p.complete(out, rerr)
		}
		if serr != nil {
			return p.finish(out, serr, false)
		}
		if rerr != nil {
			cause := p.cause(rerr)
			return p.finish(out, cause, rerr == io.EOF && cause == nil && !r.needDone)
		}
		if len(out) > 0 && p.send(out, nil, false) != nil {
			return p.finish(nil, ErrClientGone, false)
		}
		if r.st.Seen&Done == 0 {
			continue
		}
		if linger.IsZero() {
			if src.Buffered() > 0 {
				continue
			}
			linger = time.Now().Add(lingerWait)
		}
		wait := time.Until(linger)
		if wait <= 0 {
			return p.finish(nil, nil, false)
		}
		src.SetWait(wait)
	}
}

// idle waits for the next bytes without a buffer: most streams are idle most
// of the time, and the buffer is most of what they hold.
func (p *Pump) idle(w Waiter) error {
	p.buf.big = kept(p.buf.big)
	buffers.Put(p.buf)
	p.buf = nil
	err := w.Wait()
	p.buf = buffers.Get().(*buffer)
	return err
}

// Sent reports whether the client has got the head, or a part of it. If not, and
// the last Run returned an error other than ErrClientGone, the caller can still give
// an answer of its own on this connection.
func (p *Pump) Sent() bool { return p.sent }

// cause says what a read error means for the stream.
func (p *Pump) cause(err error) error {
	if err == io.EOF {
		if p.fr == Length { // complete would have caught a whole body
			return ErrTruncated
		}
		return nil
	}
	ne, ok := errors.AsType[net.Error](err)
	switch {
	case !ok || !ne.Timeout():
		return ErrTruncated
	case p.r.Done():
		return nil
	case p.r.Expired(time.Now()):
		return ErrDuration
	}
	return ErrStalled
}

// complete ends a body of known length with its last bytes, out. Those are the
// end of the body, so everything else comes first: the upstream's end too,
// which is due without waiting.
func (p *Pump) complete(out []byte, rerr error) error {
	more := int64(len(out)) > max(p.left, 0)
	if more {
		out = out[:p.left]
	}
	if rerr == nil && !more {
		var n int
		p.src.SetWait(lingerWait)
		n, rerr = p.src.Read(p.buf.spare[:])
		more = n > 0
	}
	return p.finish(out, nil, rerr == io.EOF && !more)
}

// abandon ends a stream whose client has left. One that left after the
// protocol's terminator had its whole answer.
func (p *Pump) abandon() error {
	cause := ErrClientGone
	if p.r.Done() {
		cause = nil
	}
	p.free(false)
	p.r.End(cause)
	return ErrClientGone
}

// finish ends the stream: it frees the upstream, settles, and writes out, what
// End adds and the end of the body.
func (p *Pump) finish(out []byte, cause error, reuse bool) error {
	p.free(reuse)
	tail, cause := p.r.End(cause)
	if cause == ErrClientGone || cause != nil && !p.sent && len(out)+len(tail) == 0 {
		return cause
	}
	ended := !Broken(cause)
	if p.fr == Length {
		tail = nil // the length is of the body as it is
		if ended = int64(len(out)) == max(p.left, 0); !ended && cause == nil {
			cause = ErrTruncated
		}
	}
	if p.send(out, tail, ended) != nil {
		return ErrClientGone
	}
	if ended {
		return nil
	}
	return cause
}

// free is the last use of the source; the timer must not reach it any more.
func (p *Pump) free(reuse bool) {
	p.disarm()
	p.freed = true
	p.src.Done(reuse)
}

// release leaves the pump ready for the next stream, also after a panic.
func (p *Pump) release() {
	if !p.freed {
		p.free(false)
	}
	if p.buf != nil {
		p.buf.big = kept(p.buf.big)
		buffers.Put(p.buf)
	}
	p.r, p.src, p.w, p.head, p.buf = nil, nil, nil, nil, nil
}

// arm starts the timer for the longest duration: an upstream that says nothing
// would not notice otherwise.
func (p *Pump) arm() {
	if p.r.lim.MaxDuration <= 0 {
		return
	}
	due := p.r.t0.Add(p.r.lim.MaxDuration)
	p.mu.Lock()
	p.armed, p.due = p.src, due
	p.mu.Unlock()
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(due), p.fire)
	} else {
		p.timer.Reset(time.Until(due))
	}
}

// disarm returns when the timer is not using the source and never will again.
func (p *Pump) disarm() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Lock()
	p.armed = nil
	p.mu.Unlock()
}

// fire runs on the timer's goroutine, possibly late: Stop does not wait. Then
// it meets the next stream, whose time has not come.
func (p *Pump) fire() {
	p.mu.Lock()
	if p.armed != nil && !time.Now().Before(p.due) {
		p.armed.Interrupt()
	}
	p.mu.Unlock()
}
