package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// dial makes a connection for x, which can cancel it in every phase.
func (s *shelf) dial(x *Exchange, limit time.Duration) (*conn, error) {
	ctx, cancel := context.WithCancel(context.Background())
	if limit > 0 {
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), limit)
	}
	defer cancel()
	if err := x.dialing(cancel); err != nil {
		return nil, &Error{PhaseConnect, err}
	}
	s.dials.Add(1)
	c, phase, err := s.connect(ctx)
	if err != nil {
		x.dialing(nil)
		if x.flags.Load()&flagCanceled == 0 {
			s.dialFailures.Add(1)
		}
		return nil, x.fail(phase, err)
	}
	return c, nil
}

func (s *shelf) connect(ctx context.Context) (c *conn, phase string, err error) {
	dial := s.client.opts.Dial
	if dial == nil {
		dial = s.client.dialer.DialContext
	}
	raw, err := dial(ctx, "tcp", s.addr)
	if err != nil {
		var de *net.DNSError
		if errors.As(err, &de) {
			return nil, PhaseDNS, err
		}
		return nil, PhaseConnect, err
	}
	if s.tls == nil {
		return newConn(s, raw, nil), "", nil
	}
	over := tls.Client(raw, s.tls)
	if err := over.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, PhaseTLS, err
	}
	// Only now may the watch know the descriptor: a handshake that is
	// interrupted closes it by itself.
	return newConn(s, raw, over), "", nil
}

// FD returns the descriptor of a connection, through TLS as well; false where
// there is none. It stays valid until the connection is closed. Asking is not
// free: do it once per connection.
func FD(c net.Conn) (int, bool) {
	rc := socket(c)
	if rc == nil {
		return 0, false
	}
	fd := -1
	if err := rc.Control(func(v uintptr) { fd = int(v) }); err != nil {
		return 0, false
	}
	return fd, fd >= 0
}

// socket is what lies under a connection, or nil.
func socket(c net.Conn) syscall.RawConn {
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return rc
}
