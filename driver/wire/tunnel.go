package wire

import (
	"io"
	"net"
	"time"
)

// Tunnel ends an exchange that was answered with 101 and hands its connection
// over, with the bytes that were read behind the head: they come before what
// the connection gives. The caller owns both and closes the connection; no
// deadline is set, no watch knows it, Cancel no longer reaches it. It is a
// *net.TCPConn or a *tls.Conn unless Options.Dial made something else. Where
// there is nothing to hand over (another answer, after Cancel or Done) the
// connection is nil.
func (x *Exchange) Tunnel() (net.Conn, []byte) {
	x.mu.Lock()
	c := x.c
	if c == nil || x.framing != framedTunnel || x.flags.Load() != 0 {
		x.mu.Unlock()
		return nil, nil
	}
	x.c, x.over = nil, true
	x.mu.Unlock()
	x.shelf.inUse.Add(-1)
	over := append([]byte(nil), x.ahead...)
	x.ahead = nil
	// With the watch's registration gone nobody else has the connection.
	if !c.forget() {
		return nil, nil
	}
	c.raw.SetDeadline(time.Time{})
	return c.nc, over
}

// openTunnel keeps what is read behind a 101 for Tunnel: to Read there is no
// body.
func (x *Exchange) openTunnel(k, end int) {
	x.framing, x.Head.Close = framedTunnel, true
	x.ahead, x.pos, x.end, x.err = x.buf[k:end], 0, 0, io.EOF
}
