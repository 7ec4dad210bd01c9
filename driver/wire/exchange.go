package wire

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Exchange is one request to an upstream and its answer. It is meant to be a
// value inside a pooled object: the zero value is ready, Reset makes it ready
// again. After Pool.Do come any number of Read (and Wait, SetWait), then Done.
//
// One goroutine uses an exchange; only Cancel, CancelUse and Interrupt may be
// called from others, at any time.
type Exchange struct {
	// NoBody says that the request's method is HEAD. Set it after Reset and
	// before Do.
	NoBody bool
	// Upgrade says that the request asks for another protocol: a 101 is then
	// a good answer, whose connection Tunnel hands over. Set it like NoBody.
	Upgrade bool

	// Set by Do.
	Head    Head
	Reused  bool          // on a pooled connection
	Connect time.Duration // from Do's start until a fresh connection was ready; 0: reused
	Header  time.Duration // from Do's start to the head's first byte
	Peer    string        // the upstream's "ip:port"

	pool  *Pool
	shelf *shelf
	start int64 // of Do, mono

	mu         sync.Mutex
	c          *conn              // changed under mu by the exchange's goroutine, which reads it without
	cancelDial context.CancelFunc // set while c is being made
	over       bool               // Done, or Do failed: Cancel comes too late
	use        uint64
	flags      atomic.Uint32 // set under mu

	buf      []byte // the head and what was read behind it
	seen     int    // while the head is read: end is what came, seen of it were looked at
	interims int
	began    bool   // a byte of the answer came
	headed   bool   // the final head came
	unsent   bool   // it came before the whole request was sent
	ahead    []byte // what was read behind a 101
	pos, end int    // body bytes among it that Read has not given yet
	framing  uint8
	left     int64 // sized: bytes to come
	chunks   chunker
	err      error // what Read returns once the buffer is empty; io.EOF: the body is complete
	dirty    bool  // bytes came behind the body
	wait     time.Duration

	vec [][]byte    // a request's pieces for writev
	out net.Buffers // vec while it is being written
}

// Reset prepares the exchange for the next Do and forgets an earlier Cancel. An
// exchange that was not Done is ended. Call it before each Do but the first,
// and look after it whether a Cancel that came before still matters.
func (x *Exchange) Reset() {
	x.Done(false)
	x.mu.Lock()
	x.over = false
	x.use++
	x.flags.Store(0)
	x.mu.Unlock()
	x.NoBody, x.Upgrade = false, false
	x.pool, x.shelf = nil, nil
	x.clear()
	if cap(x.buf) > keepBuf {
		x.buf = nil
	}
}

func (x *Exchange) clear() {
	x.Head = Head{ContentLength: -1}
	x.Reused, x.Connect, x.Header, x.Peer = false, 0, 0, ""
	x.ahead = nil
	x.seen, x.interims, x.began, x.headed, x.unsent = 0, 0, false, false, false
	x.pos, x.end, x.framing, x.left = 0, 0, framedNone, 0
	x.chunks, x.err, x.dirty = chunker{}, nil, false
}

func (x *Exchange) begin(p *Pool, s *shelf, start int64, tm Timeouts) {
	if x.c != nil {
		panic("BUG: Do on an exchange that runs")
	}
	x.mu.Lock()
	x.over = false
	x.mu.Unlock()
	x.clear()
	x.pool, x.shelf, x.start, x.wait = p, s, start, tm.Read
	if x.buf == nil {
		x.buf = make([]byte, firstBuf)
	}
}

func (x *Exchange) detach() {
	x.mu.Lock()
	c := x.c
	x.c = nil
	x.mu.Unlock()
	if c != nil {
		c.drop()
	}
}

// abandon ends an exchange whose Do failed.
func (x *Exchange) abandon() {
	x.mu.Lock()
	c := x.c
	x.c, x.cancelDial, x.over = nil, nil, true
	x.mu.Unlock()
	if c != nil {
		c.drop()
	}
	x.pos, x.end, x.err = 0, 0, errFinished
	x.shelf.inUse.Add(-1)
}

// Buffered returns how many body bytes Read has at hand in memory: what came
// with the head. What the system or TLS holds is not counted.
func (x *Exchange) Buffered() int { return x.end - x.pos }

// Complete reports whether the body has been read to its proper end.
func (x *Exchange) Complete() bool { return x.err == io.EOF && x.pos == x.end }

// Arrived reports whether what is left of the body is in memory, up to its
// proper end: Read will not wait.
func (x *Exchange) Arrived() bool { return x.err == io.EOF }

// UntilClose reports whether the body has no framing of its own and ends with
// the connection: its end says nothing about completeness.
func (x *Exchange) UntilClose() bool { return x.framing == framedClose }

// SetWait changes the read timeout for the following Reads; 0: none.
func (x *Exchange) SetWait(d time.Duration) { x.wait = d }

// Done ends the exchange; further calls do nothing. The connection goes back to
// its pool if reuse is set, the target keeps connections and the answer was
// complete and clean: all of it read, nothing behind it, and neither side wants
// to close. Otherwise it is closed.
func (x *Exchange) Done(reuse bool) {
	x.mu.Lock()
	c := x.c
	if c == nil {
		x.mu.Unlock()
		return
	}
	x.c, x.over = nil, true
	x.mu.Unlock()

	complete := x.err == io.EOF
	if x.err == nil || x.pos < x.end {
		x.err = errFinished
	}
	x.pos, x.end = 0, 0
	x.shelf.inUse.Add(-1)
	switch {
	case !complete || x.unsent:
		c.drop()
	case reuse && !x.dirty && !x.Head.Close && x.framing != framedClose && x.flags.Load() == 0 &&
		x.pool.target.KeepAlive && c.spotless():
		x.shelf.put(c, mono(), x.pool.target.IdleFor)
	default:
		c.close()
	}
}
