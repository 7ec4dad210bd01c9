package bench

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"time"
)

// flush writes what waits, in the pieces that the script asks for.
func (c *conn) flush() error {
	p := c.out
	c.out = c.out[:0]
	if len(p) == 0 {
		return nil
	}
	if c.sc == nil || (c.sc.split == 0 && !c.sc.splitRandom) {
		return c.write(p)
	}
	for len(p) > 0 {
		n := c.sc.split
		if c.sc.splitRandom {
			c.rnd = mix(c.rnd + 1)
			n = 1 + int(c.rnd%97)
		}
		n = min(n, len(p))
		if err := c.write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (c *conn) write(p []byte) error {
	if _, err := c.nc.Write(p); err != nil {
		return errGone
	}
	return nil
}

// waitUntil flushes and waits. The wait is a read with a deadline, so a peer
// that leaves ends it at once, and no timer, channel or second goroutine is
// needed. Bytes that come meanwhile are the next request; they stay in the
// reader. The zero time waits for the peer to leave.
func (c *conn) waitUntil(t time.Time) error {
	if err := c.flush(); err != nil {
		return err
	}
	if !t.IsZero() {
		now := time.Now()
		d := t.Sub(now)
		if d <= 0 {
			return nil
		}
		if d <= 20*time.Millisecond && now.Sub(c.looked) <= 25*time.Millisecond {
			// A sleep costs half of a read. A departure shows in 45 ms at the latest.
			time.Sleep(d)
			return nil
		}
		c.looked = t
	}
	c.nc.SetReadDeadline(t)
	c.late = false
	for {
		_, err := c.br.Peek(c.br.Buffered() + 1)
		switch {
		case err == nil:
		case err == bufio.ErrBufferFull:
			// Someone pipelines a lot: wait blindly, a broken connection
			// still shows at the next write.
			c.nc.SetReadDeadline(time.Time{})
			if t.IsZero() {
				t = time.Now().Add(time.Minute)
			}
			time.Sleep(time.Until(t))
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.late = true // cleared by whoever reads next: mostly another wait sets its own
			return nil
		default:
			c.m.stats.gone(sinceLastPacket(c.raw))
			return errGone
		}
	}
}

// appendHead writes the status line and the headers that every answer has,
// without the blank line. length < 0: none is given.
func appendHead(b []byte, proto string, status int, ctype string, length int64, chunked bool) []byte {
	b = append(append(b, proto...), ' ')
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	b = append(append(b, statusText(status)...), "\r\nServer: headrace-mock\r\nDate: "...)
	b = append(time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT"), "\r\n"...)
	if ctype != "" {
		b = append(append(append(b, "Content-Type: "...), ctype...), "\r\n"...)
	}
	if length >= 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), length, 10), "\r\n"...)
	}
	if chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return b
}
