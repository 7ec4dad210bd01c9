package wire

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a target's view of the connections that it may share with others. It
// is safe for many goroutines and needs no closing.
type Pool struct {
	client *Client
	target Target
	shelf  atomic.Pointer[shelf]
}

// Target returns what the pool was made for, with defaults filled in.
func (p *Pool) Target() Target { return p.target }

// Do sends a request and reads the head of its answer into x.Head; 1xx answers
// are skipped. head is the complete request head with its blank line, body
// what follows; neither is changed, and both are free again when Do returns.
// After an error the connection is gone and Done does nothing.
//
// A pooled connection that turns out to be dead before a byte of the answer
// came is replaced by a fresh one, once and never after a timeout or Cancel.
//
// Errors are *Error. A timeout reports itself as such, Cancel gives ErrCanceled,
// an answer that is not HTTP/1.x or is framed ambiguously ErrBadResponse.
func (p *Pool) Do(x *Exchange, tm Timeouts, head []byte, body ...[]byte) error {
	return p.do(x, tm, head, body, nil)
}

// do sends body, or what u reads where there is a u.
func (p *Pool) do(x *Exchange, tm Timeouts, head []byte, body [][]byte, u *upload) error {
	start := mono()
	s := p.shelf.Load()
	if s.retired.Load() {
		s = p.client.shelf(p.target)
		p.shelf.Store(s)
	}
	if start-s.used.Load() > int64(time.Second) {
		s.used.Store(start)
	}
	x.begin(p, s, start, tm)
	s.inUse.Add(1)
	err := s.exchange(x, tm, head, body, u)
	if err != nil {
		x.abandon()
	}
	return err
}

func (s *shelf) exchange(x *Exchange, tm Timeouts, head []byte, body [][]byte, u *upload) error {
	if x.flags.Load()&flagCanceled != 0 {
		return &Error{PhaseConnect, ErrCanceled}
	}
	if c := s.get(x.start); c != nil {
		s.reused.Add(1)
		x.Reused = true
		stale, err := x.try(c, tm, head, body, u)
		if !stale {
			return err
		}
		s.stale.Add(1)
		x.Reused = false
		x.detach()
	}
	c, err := s.dial(x, tm.Connect)
	if err != nil {
		return err
	}
	x.Connect = time.Duration(mono() - x.start)
	_, err = x.try(c, tm, head, body, u)
	return err
}

// shelf holds the idle connections of one key, the latest used first.
type shelf struct {
	client *Client
	key    key
	addr   string
	tls    *tls.Config

	mu         sync.Mutex
	head, tail *conn // doubly linked: any one may be taken out
	n, size    int

	used    atomic.Int64 // mono, to the second
	retired atomic.Bool  // no longer the client's; nothing is put here

	dials, dialFailures, reused, stale atomic.Uint64
	inUse                              atomic.Int64
}

// get takes the latest connection that can be used, or nil.
func (s *shelf) get(now int64) *conn {
	for {
		s.mu.Lock()
		c := s.head
		if c == nil {
			s.mu.Unlock()
			return nil
		}
		s.unlink(c)
		old := now-c.since > int64(c.idleFor)
		s.mu.Unlock()
		if !old && c.usable() {
			return c
		}
		c.close()
	}
}

// put keeps a connection, or closes it; a full shelf gives up its oldest.
func (s *shelf) put(c *conn, now int64, idleFor time.Duration) {
	s.mu.Lock()
	if s.retired.Load() || c.gone.Load() || c.closed.Load() {
		s.mu.Unlock()
		c.close()
		return
	}
	c.idle, c.since, c.idleFor = true, now, idleFor
	c.prev, c.next = nil, s.head
	if s.head != nil {
		s.head.prev = c
	} else {
		s.tail = c
	}
	s.head = c
	s.n++
	s.client.idle.Add(1)
	var oldest *conn
	if s.n > s.size {
		oldest = s.tail
		s.unlink(oldest)
	}
	s.mu.Unlock()
	s.client.tend()
	if oldest != nil {
		oldest.close()
	}
}

// takeOut removes a connection if it is idle.
func (s *shelf) takeOut(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.idle {
		return false
	}
	s.unlink(c)
	return true
}

// expired takes out what has been idle for too long.
func (s *shelf) expired(now int64, out []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.tail; c != nil; {
		prev := c.prev
		if now-c.since >= int64(c.idleFor) {
			s.unlink(c)
			out = append(out, c)
		}
		c = prev
	}
	return out
}

// retire gives the shelf up if nobody has used it since.
func (s *shelf) retire(since int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n > 0 || s.inUse.Load() > 0 || s.used.Load() > since {
		return false
	}
	s.retired.Store(true)
	return true
}

func (s *shelf) retireNow(out []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired.Store(true)
	for s.head != nil {
		out = append(out, s.head)
		s.unlink(s.head)
	}
	return out
}

func (s *shelf) widen(size int) {
	s.mu.Lock()
	s.size = max(s.size, size)
	s.mu.Unlock()
}

func (s *shelf) unlink(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		s.tail = c.prev
	}
	c.prev, c.next, c.idle = nil, nil, false
	s.n--
	s.client.idle.Add(-1)
}

func (s *shelf) stats() PoolStats {
	s.mu.Lock()
	idle := s.n
	s.mu.Unlock()
	return PoolStats{
		TLS: s.key.tls, Host: s.key.host, Addr: s.key.addr, Port: s.key.port,
		Dials: s.dials.Load(), DialFailures: s.dialFailures.Load(),
		Reused: s.reused.Load(), Stale: s.stale.Load(),
		Idle: int64(idle), InUse: s.inUse.Load(),
	}
}
