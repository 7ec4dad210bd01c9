//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tally counts what the connections of one drive do, while they do it.
type tally struct {
	requests atomic.Int64 // answers that were 200 and complete
	lines    atomic.Int64 // newlines in streams; two make an event
	opened   atomic.Int64 // streams whose first event is there
	failed   atomic.Int64

	mu     sync.Mutex
	faults map[string]int
}

func (t *tally) fail(err error) {
	t.failed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.faults == nil {
		t.faults = map[string]int{}
	}
	if text := err.Error(); len(t.faults) < 8 || t.faults[text] > 0 {
		t.faults[text]++
	}
}

// client is one keep-alive connection with one request at a time.
//
// It reads inside of the callback of RawConn.Read: a stream then costs one
// read call per wake-up instead of two, and holds no buffer between events.
// The price: an end that came together with the last bytes wakes nobody, so
// the drive pokes connections that have fallen silent.
type client struct {
	nc     net.Conn
	rc     syscall.RawConn
	tally  *tally
	stream bool
	onOpen func() // called at the first event of a stream
	res    response
	read   func(fd uintptr) bool
	err    error
	opened bool

	reads atomic.Int64 // with bytes in them
	seen  int64        // reads at the drive's latest look
	poked bool         // since then
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func dial(addr string, t *tally) (*client, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, tally: t}
	c.read = c.readable
	if c.rc, err = nc.(*net.TCPConn).SyscallConn(); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// do sends one request and reads its answer to the end.
func (c *client) do(req []byte) error {
	c.res.reset()
	c.err, c.opened = nil, false
	if _, err := c.nc.Write(req); err != nil {
		return fmt.Errorf("cannot send: %w", plainError(err))
	}
	err := c.rc.Read(c.read)
	for errors.Is(err, os.ErrDeadlineExceeded) && c.res.state != inEnd && c.err == nil {
		c.nc.SetReadDeadline(time.Time{})
		err = c.rc.Read(c.read)
	}
	if err != nil {
		return fmt.Errorf("no complete answer: %w", plainError(err))
	}
	if c.err != nil {
		return c.err
	}
	if c.res.status != 200 {
		return fmt.Errorf("status %d", c.res.status)
	}
	return nil
}

// readable is called when the socket may have bytes; true ends the exchange.
func (c *client) readable(fd uintptr) bool {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := unix.Read(int(fd), buf[:])
		switch {
		case err == unix.EAGAIN:
			return false
		case err == unix.EINTR:
			continue
		case err != nil:
			c.err = fmt.Errorf("cannot read: %w", err)
			return true
		case n == 0:
			if c.res.state != inClose {
				c.err = fmt.Errorf("connection closed %s", where(&c.res))
			}
			return true
		}
		c.reads.Add(1)
		before := c.res.lines
		done, err := c.res.feed(buf[:n])
		if err != nil {
			c.err = err
			return true
		}
		if c.stream && c.res.status == 200 {
			c.tally.lines.Add(int64(c.res.lines - before))
			if !c.opened && c.res.lines >= 2 {
				c.opened = true
				c.tally.opened.Add(1)
				if c.onOpen != nil {
					c.onOpen()
				}
			}
		}
		if done {
			return true
		}
		if n < len(buf) {
			return false
		}
	}
}

// poke makes a silent connection read once more.
func (c *client) poke() {
	n := c.reads.Load()
	if n != c.seen {
		c.seen, c.poked = n, false
	} else if !c.poked {
		c.poked = true
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func where(r *response) string {
	if r.state == inHead {
		return "before the answer"
	}
	return "inside of the answer"
}

// plainError takes addresses out, so that equal faults count as one.
func plainError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("connection closed")
	}
	return err
}
