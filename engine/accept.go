package engine

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// accept returns the next client that there is room for. What the system has
// run out of comes back: the loop pauses and goes on, it never ends.
func (l *listener) accept() (net.Conn, error) {
	const least, most = 5 * time.Millisecond, time.Second
	for pause := least; ; {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil && l.e.full():
			l.e.stats.turnedAway.Inc()
			l.turnAway(nc)
			pause = least
			continue
		case err == nil:
			return nc, nil
		case !exhausted(err):
			return nil, err
		}
		if l.e.stats.acceptFailures.Inc(); pause == least {
			l.e.log.Error("cannot accept clients for now", "err", err)
		}
		select {
		case <-l.e.stop:
			return nil, net.ErrClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, most)
	}
}

// exhausted tells the errors that say nothing of the listener: descriptors or
// memory are short, or the client has gone already.
func exhausted(err error) bool {
	for _, e := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPERM, syscall.EPROTO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (e *Engine) full() bool { return e.opts.MaxConns > 0 && e.conns.len() >= e.opts.MaxConns }

const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 46\r\n\r\n" +
	`{"error_msg":"the gateway has no connections"}`

// turnAway tells a client that there are too many, without reading what it
// asks for. A moment is left for the answer to arrive, to a few at a time.
func (l *listener) turnAway(nc net.Conn) {
	cw, ok := nc.(interface{ CloseWrite() error })
	if !ok || l.tls != nil {
		nc.Close()
		return
	}
	select {
	case l.e.leaving <- struct{}{}:
	default:
		nc.Close()
		return
	}
	go func() {
		defer func() { <-l.e.leaving }()
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(nc, tooMany); err == nil && cw.CloseWrite() == nil {
			io.CopyN(io.Discard, nc, 64<<10)
		}
	}()
}
