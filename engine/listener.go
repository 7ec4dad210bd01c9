package engine

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"headrace/driver/wire"
)

// view is a connection as the server sees it for one run of ServeConn. When a
// stream leaves the server, its view stays behind and does nothing any more:
// the server's own clean-up, which may come late, cannot touch the connection.
type view struct {
	*conn
	left atomic.Bool // the connection has left this view
}

// Close is what the server calls when it is done with the connection.
func (v *view) Close() error {
	if v.left.Swap(true) {
		return nil
	}
	return v.conn.close()
}

// The server's deadlines are our own.
func (v *view) SetDeadline(time.Time) error      { return nil }
func (v *view) SetReadDeadline(time.Time) error  { return nil }
func (v *view) SetWriteDeadline(time.Time) error { return nil }

// listenSet holds the listening sockets.
type listenSet struct {
	mu  sync.Mutex
	all []net.Listener
}

func (s *listenSet) add(ln net.Listener) {
	s.mu.Lock()
	s.all = append(s.all, ln)
	s.mu.Unlock()
}

func (s *listenSet) each(f func(net.Listener)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ln := range s.all {
		f(ln)
	}
}

// connSet holds the open client connections.
type connSet struct {
	mu  sync.Mutex
	all map[*conn]struct{}
}

func (s *connSet) add(c *conn) {
	s.mu.Lock()
	if s.all == nil {
		s.all = make(map[*conn]struct{})
	}
	s.all[c] = struct{}{}
	s.mu.Unlock()
}

func (s *connSet) remove(c *conn) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
}

func (s *connSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// each calls f for every connection; f must not block.
func (s *connSet) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		f(c)
	}
}

// idle counts the connections on which no request is under way.
func (s *connSet) idle() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		if c.idle.Load() {
			n++
		}
	}
	return n
}

// wake ends the waiting of connections on which no request is under way. A
// client that has only just connected has freshGrace for its first.
func (s *connSet) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for c := range s.all {
		if c.idle.Load() && now.Sub(c.since) >= freshGrace {
			c.Conn.SetReadDeadline(past)
		}
	}
}

// closeAll cuts every connection; what its request waits for ends.
func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		c.Conn.Close()
		c.PeerClosed()
	}
}

// listener wraps what it accepts into a conn and gives out its first view.
type listener struct {
	net.Listener
	e     *Engine
	times *clientTimes
	tls   *tls.Config // nil: plain
}

// Accept waits for the next client.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, e: l.e, times: l.times, phase: phaseIdle, since: time.Now()}
	// A fresh connection has client_header_timeout for its first head, not
	// the idle time of a kept one.
	c.phase, c.headBy = phaseHead, time.Now().Add(l.times.head)
	c.idle.Store(true)
	if l.tls != nil {
		c.tls = tls.Server(nc, l.tls)
		c.Conn = c.tls
	}
	if fd, ok := wire.FD(nc); ok {
		if c.watch, err = l.e.watch.Add(fd, c); err != nil {
			l.e.log.Warn("cannot watch a client connection", "err", err)
		}
	}
	l.e.conns.add(c)
	l.e.stats.accepted.Inc()
	return &view{conn: c}, nil
}
