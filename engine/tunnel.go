package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver/wire"
	"headrace/plugin"
)

// tunnelGrace is how long a tunnel may be silent, or a write stuck, once one
// side has closed.
const tunnelGrace = 500 * time.Millisecond

// tunnel copies both ways between a client and an upstream that have changed
// to another protocol (WebSocket). When one side ends its half, that is passed
// on, and what the other side still says is copied as long as it keeps talking.
type tunnel struct {
	client, up tunnelSide
	idle, send time.Duration
	ahead      []byte       // what the upstream sent behind its head
	last       atomic.Int64 // when bytes moved last, since processStart
	over       atomic.Bool
}

// tunnelSide is one end of a tunnel. Its reader is one goroutine, its writer
// the other one.
type tunnelSide struct {
	t      *tunnel
	nc     net.Conn
	other  *tunnelSide
	closed atomic.Bool // the peer has closed, at least its half
	ended  atomic.Bool // and everything that it said was read
	rd, wr time.Time   // deadlines in force
}

// PeerClosed is called by the watch. A write to the other side that is stuck
// has only a moment left then: nobody reads here who would notice the end.
func (s *tunnelSide) PeerClosed() {
	s.closed.Store(true)
	s.other.nc.SetWriteDeadline(time.Now().Add(tunnelGrace))
}

// startTunnel answers with 101 and has the server hand the client's connection
// over, see runTunnel.
func (f *flow) startTunnel(a *plugin.Attempt, tm wire.Timeouts) {
	h := &f.HTTP.Response.Header
	f.copyHead()
	h.Set(fasthttp.HeaderConnection, "Upgrade")
	h.SetBytesV(fasthttp.HeaderUpgrade, f.ex.Head.Get("upgrade"))
	nc, ahead := f.ex.Tunnel()
	f.busy = false
	if nc == nil {
		a.Status = statusGone
		f.clientGone()
		return
	}
	t := &tunnel{idle: tm.Read, send: tm.Send, ahead: ahead}
	t.client = tunnelSide{t: t, nc: f.conn.Conn, other: &t.up}
	t.up = tunnelSide{t: t, nc: nc, other: &t.client}
	f.tunnel = t
	f.settleBody()
	f.startAnswer(fasthttp.StatusSwitchingProtocols)
	f.resp = h.AppendBytes(f.resp[:0])
	f.leave()
}

// runTunnel copies until both sides have ended. The client's connection is
// closed by the caller.
func (f *flow) runTunnel() {
	defer f.guardStream()
	t, c := f.tunnel, f.conn
	defer t.up.nc.Close()
	if fd, ok := wire.FD(t.up.nc); ok {
		if token, err := f.e.watch.Add(fd, &t.up); err == nil {
			defer f.e.watch.Remove(token)
		}
	}
	c.changeFlow(&t.client)
	defer c.changeFlow(nil)
	t.touch()
	if t.client.write(f.resp) == nil {
		said := make(chan int64)
		go func() { said <- t.copy(&t.up, &t.client, c.ahead) }()
		f.Sent = t.copy(&t.client, &t.up, t.ahead)
		f.Req.Length += <-said
	}
	c.ahead = nil
	f.settleProxy(&f.Attempts[len(f.Attempts)-1], f.Sent)
	f.settle()
	f.finish(nil)
}

// tunnelBufs hold what is on its way; every open tunnel has two.
var tunnelBufs = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// copy writes first and then what comes from src to dst until src ends, and
// passes the end on. It returns the number of bytes.
func (t *tunnel) copy(dst, src *tunnelSide, first []byte) (n int64) {
	buf := tunnelBufs.Get().(*[8 << 10]byte)
	defer tunnelBufs.Put(buf)
	for {
		if len(first) > 0 {
			if dst.write(first) != nil {
				t.close()
				return n
			}
			n += int64(len(first))
		}
		k, err := src.read(buf[:])
		if first = buf[:k]; err != nil {
			if !t.endHalf(dst, src, err) {
				t.close()
			}
			return n
		}
	}
}

// endHalf passes on that src has said everything. It returns false when the
// whole tunnel is over.
func (t *tunnel) endHalf(dst, src *tunnelSide, err error) bool {
	src.closed.Store(true)
	src.ended.Store(true)
	cw, ok := dst.nc.(interface{ CloseWrite() error })
	if err != io.EOF || dst.ended.Load() || !ok {
		return false
	}
	dst.nc.SetWriteDeadline(time.Now().Add(tunnelGrace)) // TLS says goodbye
	_ = cw.CloseWrite()                                  // dst may be gone; then its reader sees it
	dst.nc.SetReadDeadline(time.Now().Add(tunnelGrace))
	return true
}

// close ends both copies.
func (t *tunnel) close() {
	t.over.Store(true)
	t.up.nc.SetDeadline(past)
	t.client.nc.SetDeadline(past)
}

func (t *tunnel) touch() { t.last.Store(int64(time.Since(processStart))) }

func (t *tunnel) quiet() time.Duration {
	return time.Since(processStart) - time.Duration(t.last.Load())
}

var processStart = time.Now()

// read waits for bytes as long as anything moves in the tunnel, in either
// direction, within the idle time.
func (s *tunnelSide) read(p []byte) (int, error) {
	for {
		limit := s.arm()
		if s.t.over.Load() {
			return 0, net.ErrClosed
		}
		n, err := s.nc.Read(p)
		if n > 0 {
			s.t.touch()
			return n, nil
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || limit > 0 && s.t.quiet() >= limit {
			return 0, err
		}
		s.rd = time.Time{}
	}
}

// arm sets the read deadline, coarsely, and returns the silence that ends the
// tunnel. The flag is looked at again behind it: a deadline that endHalf has
// set meanwhile must not be undone.
func (s *tunnelSide) arm() time.Duration {
	for {
		half := s.other.closed.Load()
		limit := s.t.idle
		if half {
			limit = tunnelGrace
		}
		now := time.Now()
		if left := s.rd.Sub(now); half || limit > 0 && (left < limit || left > limit+limit/8) {
			s.rd = now.Add(limit + limit/8)
			s.nc.SetReadDeadline(s.rd)
		}
		if half || !s.other.closed.Load() {
			return limit
		}
	}
}

// write sends all of p to this side.
func (s *tunnelSide) write(p []byte) error {
	for {
		half := s.other.closed.Load()
		limit := s.t.send
		if half {
			limit = tunnelGrace
		}
		now := time.Now()
		if left := s.wr.Sub(now); half || limit > 0 && (left < limit || left > limit+limit/8) {
			s.wr = now.Add(limit + limit/8)
			s.nc.SetWriteDeadline(s.wr)
		}
		if half || !s.other.closed.Load() {
			break
		}
	}
	if s.t.over.Load() {
		return net.ErrClosed
	}
	_, err := s.nc.Write(p)
	s.t.touch()
	return err
}
