package wire

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection to an upstream. One exchange at a time owns it, or the
// shelf while it is idle.
type conn struct {
	shelf *shelf
	nc    net.Conn // what is read and written: raw, or TLS over it
	raw   net.Conn
	tls   *tls.Conn
	fd    int // -1: not known
	token Token
	peer  string

	gone   atomic.Bool // the watch has seen the peer leave
	closed atomic.Bool

	rd, wr deadline

	rc    syscall.RawConn    // for await; nil: TLS, or no socket
	ready func(uintptr) bool // await's callback, made once
	woken bool

	ctl    syscall.RawConn // for look; made when first needed
	looker func(uintptr)
	found  int

	// Guarded by shelf.mu.
	prev, next *conn
	idle       bool
	since      int64 // when it became idle
	idleFor    time.Duration
}

func newConn(s *shelf, raw net.Conn, over *tls.Conn) *conn {
	c := &conn{shelf: s, nc: raw, raw: raw, tls: over, fd: -1}
	if over != nil {
		c.nc = over
	}
	if a := raw.RemoteAddr(); a != nil {
		c.peer = a.String()
	}
	if fd, ok := FD(raw); ok {
		c.fd = fd
		if w := s.client.opts.Watch; w != nil {
			// Without a registration the connection is looked at before use.
			c.token, _ = w.Add(fd, c)
		}
		if sc, ok := raw.(syscall.Conn); ok && over == nil && canAwait {
			c.rc, _ = sc.SyscallConn()
			c.ready = c.readable
		}
	}
	return c
}

// PeerClosed takes an idle connection out of its pool; one that is in use is
// only kept from getting there, its reader sees the end by itself.
func (c *conn) PeerClosed() {
	c.gone.Store(true)
	if c.shelf.takeOut(c) {
		c.close()
	}
}

// close closes the connection once; from any goroutine.
func (c *conn) close() {
	if c.forget() {
		c.nc.Close()
	}
}

// abort is close without goodbye and without leaving unsent bytes to the
// system: the upstream learns at once, even if it does not read.
func (c *conn) abort() {
	if c.forget() {
		if t, ok := c.raw.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		// Close waits until a reader that it has woken is scheduled and gone.
		// The watch, which cancels for a crowd of clients, must not.
		go c.raw.Close()
	}
}

// drop closes without TLS's goodbye, which may have to wait for a full buffer.
func (c *conn) drop() {
	if c.forget() {
		c.raw.Close()
	}
}

// forget makes the caller the one that closes. The watch must let go of the
// descriptor before it is free for others.
func (c *conn) forget() bool {
	if !c.closed.CompareAndSwap(false, true) {
		return false
	}
	if w := c.shelf.client.opts.Watch; w != nil {
		w.Remove(c.token)
	}
	return true
}

// usable reports whether an idle connection may carry a request: nobody has
// closed it and nothing was sent that no request has asked for, which would be
// read as the answer.
func (c *conn) usable() bool {
	if c.gone.Load() || c.closed.Load() {
		return false
	}
	return c.fd < 0 || peek(c.fd) == peekQuiet
}

// look is peek for a connection that Cancel may close at the same time, when
// its descriptor can become somebody else's.
func (c *conn) look() int {
	if c.fd < 0 {
		return peekQuiet
	}
	if c.ctl == nil {
		if c.ctl = socket(c.raw); c.ctl == nil {
			return peekQuiet
		}
		c.looker = func(fd uintptr) { c.found = peek(int(fd)) }
	}
	if c.ctl.Control(c.looker) != nil {
		return peekClosed
	}
	return c.found
}

// spotless reports whether TLS holds no decrypted bytes back behind a complete
// answer. Reading with a deadline in the past gives just these.
func (c *conn) spotless() bool {
	if c.tls == nil {
		return true
	}
	var b [1]byte
	c.rd = deadline{span: -1}
	c.raw.SetReadDeadline(epoch)
	n, err := c.tls.Read(b[:])
	ne, ok := err.(net.Error)
	return n == 0 && ok && ne.Timeout()
}

// await waits until there is something to read, the peer closes, or the
// deadline passes, and takes no bytes.
func (c *conn) await() error {
	if c.rc == nil {
		return nil
	}
	c.woken = false
	return c.rc.Read(c.ready)
}

// readable is called by the poller. The first look is needed: bytes that came
// before the wait give no second edge.
func (c *conn) readable(fd uintptr) bool {
	if c.woken {
		return true
	}
	c.woken = true
	return peek(int(fd)) != peekQuiet
}

// deadline remembers what was set, to set it again only when an eighth of the
// time is used up. span -1: unknown; 0: no deadline.
type deadline struct {
	at   int64 // mono
	span time.Duration
}

// arm returns what to set and whether to set it.
func (d *deadline) arm(now int64, span time.Duration) (time.Time, bool) {
	if span <= 0 {
		if d.span == 0 {
			return time.Time{}, false
		}
		*d = deadline{}
		return time.Time{}, true
	}
	if d.span == span && now-d.at <= int64(span/8) {
		return time.Time{}, false
	}
	*d = deadline{now, span}
	return epoch.Add(time.Duration(now) + span + span/8), true
}

// armRead and armWrite ignore errors: a connection that is closed says so to
// the read or write that follows.
func (c *conn) armRead(now int64, span time.Duration) {
	if t, set := c.rd.arm(now, span); set {
		c.raw.SetReadDeadline(t)
	}
}

func (c *conn) armWrite(now int64, span time.Duration) {
	if t, set := c.wr.arm(now, span); set {
		c.raw.SetWriteDeadline(t)
	}
}
