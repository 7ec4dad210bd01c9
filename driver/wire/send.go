package wire

import (
	"net"
	"sync"
	"time"
)

// send writes the request: in one write what fits the exchange's buffer, which
// is free until the head arrives, the rest from where it lies.
func (x *Exchange) send(c *conn, limit time.Duration, head []byte, body [][]byte) error {
	if c.tls != nil {
		return x.sendTLS(c, limit, head, body)
	}
	total := len(head)
	for _, b := range body {
		total += len(b)
	}
	if total <= len(x.buf) {
		n := copy(x.buf, head)
		for _, b := range body {
			n += copy(x.buf[n:], b)
		}
		return x.write(c, limit, x.buf[:n])
	}
	vec, room := x.vec[:0], sendPiece
	for i := -1; i < len(body); i++ {
		b := head
		if i >= 0 {
			b = body[i]
		}
		for len(b) > 0 {
			k := min(len(b), room)
			vec = append(vec, b[:k])
			b, room = b[k:], room-k
			if room == 0 {
				if err := x.writeVec(c, limit, vec); err != nil {
					return err
				}
				vec, room = vec[:0], sendPiece
			}
		}
	}
	if len(vec) == 0 {
		return nil
	}
	return x.writeVec(c, limit, vec)
}

// joins are buffers for requests over TLS, where each write is a record.
var joins = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func (x *Exchange) sendTLS(c *conn, limit time.Duration, head []byte, body [][]byte) error {
	join := joins.Get().(*[16 << 10]byte)
	defer joins.Put(join)
	n := 0
	for i := -1; i < len(body); i++ {
		b := head
		if i >= 0 {
			b = body[i]
		}
		for len(b) > 0 {
			if n == 0 && len(b) >= len(join) {
				k := min(len(b), sendPiece)
				if err := x.write(c, limit, b[:k]); err != nil {
					return err
				}
				b = b[k:]
				continue
			}
			k := copy(join[n:], b)
			b, n = b[k:], n+k
			if n == len(join) {
				if err := x.write(c, limit, join[:]); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	if n == 0 {
		return nil
	}
	return x.write(c, limit, join[:n])
}

func (x *Exchange) write(c *conn, limit time.Duration, b []byte) error {
	c.armWrite(mono(), limit)
	if x.flags.Load()&flagCanceled != 0 {
		return ErrCanceled
	}
	_, err := c.nc.Write(b)
	return err
}

// writeVec keeps vec's memory for the next request, but not what it points to.
func (x *Exchange) writeVec(c *conn, limit time.Duration, vec [][]byte) error {
	x.vec, x.out = vec, net.Buffers(vec)
	defer clear(vec)
	c.armWrite(mono(), limit)
	if x.flags.Load()&flagCanceled != 0 {
		return ErrCanceled
	}
	_, err := x.out.WriteTo(c.nc)
	x.out = nil
	return err
}
