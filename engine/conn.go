package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"headrace/driver/wire"
)

// conn is one client connection for as long as it is open. It keeps the
// deadlines (idle, head, body, send), knows when the client has gone and whom
// to tell, and survives the hand-over of a stream from the server to a
// goroutine of our own. fasthttp sees it through views.
type conn struct {
	net.Conn
	e     *Engine
	watch wire.Token
	times *clientTimes
	since time.Time // when it was accepted

	tls      *tls.Conn // nil: plain; Conn otherwise
	shaken   bool      // the handshake is done
	sni      string    // lower case
	verified bool      // the client has shown a good certificate

	// Reading; owned by whoever reads at the time.
	phase   phase
	carry   []byte    // bytes of the next request that are here already
	lent    *[]byte   // the pooled buffer that carry is in, if it is
	ahead   []byte    // what the client sent behind the request of a stream
	dry     bool      // reads return only what is at hand, see view.drain
	headBy  time.Time // when the head must be complete
	armed   time.Time // read deadline in force
	unread  bool      // closing leaves bytes of the request unread
	written time.Time // write deadline in force

	gone atomic.Bool
	cut  atomic.Bool // nothing more is written: the client has left
	idle atomic.Bool // no request is under way; a drain may close it

	mu   sync.Mutex
	flow *flow       // the request whose upstream a vanished client frees
	call canceler    // a call beside it that ends as well
	side *tunnelSide // of a tunnel; told instead of a flow
}

// clientTimes are the limits of slow clients, as nginx has them.
type clientTimes struct {
	idle, head, body, send time.Duration
}

type phase uint8

const (
	phaseIdle phase = iota // nothing of the next request has arrived
	phaseHead
	phaseBody
)

var errDry = errors.New("nothing at hand")

// PeerClosed is called by the watch when the client closed its side, if only
// half: such a client counts as gone, as in nginx.
func (c *conn) PeerClosed() {
	c.gone.Store(true)
	c.mu.Lock()
	if c.call != nil {
		c.call.Cancel()
	}
	if c.side != nil {
		c.side.PeerClosed()
	}
	if f := c.flow; f != nil {
		f.ex.Cancel()
		// A write that waits for room in the socket must end as well. The
		// flag above is looked at after every re-arming, so that this past
		// deadline is not undone.
		c.Conn.SetWriteDeadline(past)
	}
	c.mu.Unlock()
}

var past = time.Unix(1, 0)

// attach makes f the request that ends when the client goes; from here on
// f.ex may be cancelled at any time.
func (c *conn) attach(f *flow) {
	c.mu.Lock()
	c.flow = f
	if c.gone.Load() {
		f.ex.Cancel()
	}
	c.mu.Unlock()
}

// onCall implements caller: it names a call that is made for the request
// before its own upstream is asked.
func (c *conn) onCall(call canceler) {
	c.mu.Lock()
	c.call = call
	if call != nil && c.gone.Load() {
		call.Cancel()
	}
	c.mu.Unlock()
}

// detach ends what attach began. No Cancel reaches f afterwards.
func (c *conn) detach() {
	c.mu.Lock()
	if c.flow != nil {
		c.flow.open.shown.Store(false)
	}
	c.flow = nil
	c.mu.Unlock()
}

// changeFlow makes a tunnel's side the one that learns that the client has
// closed, in place of a flow; nil ends that. The client may close its half of a
// tunnel and go on reading.
func (c *conn) changeFlow(side *tunnelSide) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flow, c.side = nil, side
	if side == nil {
		return
	}
	c.Conn.SetDeadline(time.Time{})
	if c.gone.Load() {
		side.PeerClosed()
	}
}

// Read applies the deadline of the phase and serves bytes that were read ahead.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.carry) > 0 {
		n := copy(p, c.carry)
		if c.carry = c.carry[n:]; len(c.carry) == 0 && c.lent != nil {
			carries.Put(c.lent)
			c.lent = nil
		}
		c.idle.Store(false)
		c.begin()
		return n, nil
	}
	if c.dry {
		return 0, errDry
	}
	if c.tls != nil && !c.shaken {
		if err := c.shake(); err != nil {
			return 0, err
		}
	}
	switch c.phase {
	case phaseIdle:
		c.idle.Store(true)
		c.await(c.times.idle)
		if c.e.draining.Load() {
			return 0, io.EOF
		}
	case phaseHead:
		if !c.armed.Equal(c.headBy) {
			c.armed = c.headBy
			c.Conn.SetReadDeadline(c.headBy)
		}
	case phaseBody:
		c.await(c.times.body)
	}
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 && c.e.draining.Load() && c.idle.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		n, err = c.lastCall(p)
	}
	if n > 0 && c.idle.Load() {
		c.idle.Store(false)
	}
	if c.phase == phaseIdle {
		if n > 0 {
			c.begin()
		} else if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF // an idle connection ends without an answer
		}
	}
	return n, err
}

// lastCall looks once more for a request, on a connection that a drain is about
// to close: what has arrived by now is still answered.
func (c *conn) lastCall(p []byte) (n int, err error) {
	c.armed = time.Time{}
	c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	c.idle.Store(false) // no wake in between
	if n, err = c.Conn.Read(p); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// freshGrace is how long a client may take from connecting to its first byte
// while the gateway is being drained.
const freshGrace = time.Second

// begin marks the first byte of a request.
func (c *conn) begin() {
	if c.phase == phaseIdle {
		c.phase = phaseHead
		c.headBy = time.Now().Add(c.times.head)
	}
}

// hurry gives the reads until the end of the request one deadline together.
func (c *conn) hurry(d time.Duration) {
	c.phase, c.headBy = phaseHead, time.Now().Add(d)
}

// await arms a read deadline between d and 1.125 d from now; a deadline that
// is still in that range stays, which saves most of the calls.
func (c *conn) await(d time.Duration) {
	now := time.Now()
	if left := c.armed.Sub(now); left < d || left > d+d/8 {
		c.armed = now.Add(d + d/8)
		c.Conn.SetReadDeadline(c.armed)
	}
}

// Write gives the client client_send_timeout for each piece of at most 256
// KiB, as nginx's send_timeout lies between two writes.
func (c *conn) Write(p []byte) (n int, err error) {
	const piece = 256 << 10
	if c.cut.Load() {
		return 0, net.ErrClosed
	}
	for {
		now := time.Now()
		if d := c.times.send; c.written.Sub(now) < d {
			c.written = now.Add(d + d/8)
			c.Conn.SetWriteDeadline(c.written)
			if c.gone.Load() && c.hasFlow() {
				c.Conn.SetWriteDeadline(past)
			}
		}
		part := p[n:]
		if len(part) > piece {
			part = part[:piece]
		}
		m, err := c.Conn.Write(part)
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

func (c *conn) hasFlow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flow != nil
}

// close ends the connection. Where bytes of the request are left unread the
// answer must not be lost to a reset: the write side is closed first and the
// rest read and dropped for a moment (nginx's lingering_close).
func (c *conn) close() error {
	c.e.watch.Remove(c.watch)
	c.e.conns.remove(c)
	if c.unread {
		if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok && cw.CloseWrite() == nil {
			c.linger()
		}
	}
	return c.Conn.Close()
}

// linger reads and drops for at most two seconds and 16 MiB.
func (c *conn) linger() {
	c.Conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	buf := make([]byte, 16<<10)
	for left := 16 << 20; left > 0; {
		n, err := c.Conn.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}
