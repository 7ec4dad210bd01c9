package wire

import (
	"fmt"
	"io"
	"time"
)

// Framings of a body.
const (
	framedNone = iota
	framedSize
	framedChunks
	framedClose
	framedTunnel
)

// try is one request on one connection. stale: the pooled connection was dead
// before it could answer.
func (x *Exchange) try(c *conn, tm Timeouts, head []byte, body [][]byte, u *upload) (stale bool, err error) {
	if !x.attach(c) {
		c.abort()
		return false, &Error{PhaseConnect, ErrCanceled}
	}
	if u != nil {
		return x.tryStream(c, tm, head, u)
	}
	werr := x.send(c, tm.Send, head, body)
	if werr != nil && (x.flags.Load() != 0 || isTimeout(werr)) {
		return false, x.fail(PhaseSend, werr)
	}
	// An upstream that refuses a large body answers and closes while it is
	// still being sent: the answer counts, not the broken pipe.
	began, err := x.readHead(c)
	switch {
	case err == nil:
		x.Head.Close = x.Head.Close || werr != nil
		return false, nil
	case began:
		return false, err
	case x.Reused && x.flags.Load() == 0 && !isTimeout(err):
		return true, nil
	case werr != nil:
		return false, x.fail(PhaseSend, werr)
	}
	return false, err
}

// readHead reads the final head and what of the body comes with it. began: at
// least one byte came.
func (x *Exchange) readHead(c *conn) (began bool, err error) {
	for !x.headed {
		c.armRead(mono(), x.wait)
		if x.flags.Load() != 0 {
			return x.began, x.fail(PhaseHead, errFinished)
		}
		rerr, err := x.moreHead(c)
		switch {
		case err != nil:
			return x.began, err
		case x.headed:
		case rerr == io.EOF:
			return x.began, x.fail(PhaseHead, ErrTruncated)
		case rerr != nil:
			return x.began, x.fail(PhaseHead, rerr)
		}
	}
	return x.began, nil
}

// moreHead reads once for the head, which x.headed tells to be complete. rerr
// is the connection's error; err says that what came is no answer.
func (x *Exchange) moreHead(c *conn) (rerr, err error) {
	limit := c.shelf.client.opts.MaxHead
	if x.end == limit {
		return nil, &Error{PhaseHead, ErrTooLarge}
	}
	if x.end == len(x.buf) {
		grown := make([]byte, min(2*len(x.buf), max(limit, firstBuf)))
		copy(grown, x.buf)
		x.buf = grown
	}
	n, rerr := c.nc.Read(x.buf[x.end:min(len(x.buf), limit)])
	if n > 0 && x.end == 0 {
		x.Header = time.Duration(mono() - x.start)
	}
	x.end, x.began = x.end+n, x.began || n > 0
	for {
		b := x.buf[:x.end]
		if !speaksHTTP(b) {
			return rerr, &Error{PhaseHead, bad("not HTTP/1.x:", b)}
		}
		k := headEnd(b, x.seen)
		if k < 0 {
			x.seen = x.end
			return rerr, nil
		}
		if err := x.Head.parse(b[:k]); err != nil {
			return rerr, &Error{PhaseHead, err}
		}
		if x.Head.Status >= 200 || x.Head.Status == 101 && x.Upgrade {
			x.headed = true
			x.open(k, x.end)
			return rerr, nil
		}
		if x.interims++; x.interims > maxInterim || x.Head.Status == 101 {
			return rerr, &Error{PhaseHead, fmt.Errorf("%w: unexpected status %d", ErrBadResponse, x.Head.Status)}
		}
		x.end, x.seen = copy(x.buf, b[k:]), 0
	}
}

// open decides how the body ends (RFC 9112, 6.3) and takes the framing off what
// was read behind the head.
func (x *Exchange) open(k, end int) {
	h := &x.Head
	switch {
	case h.Status == 101:
		x.openTunnel(k, end)
		return
	case x.NoBody || h.Status == 204 || h.Status == 304:
		x.framing = framedNone
	case h.Chunked:
		x.framing = framedChunks
	case h.ContentLength >= 0:
		x.framing, x.left = framedSize, h.ContentLength
	default:
		x.framing = framedClose
	}
	x.pos, x.end = k, k+x.unframe(x.buf[k:end])
}

// unframe turns bytes from the connection into n body bytes at p's front and
// sets err when the body ends.
func (x *Exchange) unframe(p []byte) (n int) {
	rest := 0
	switch x.framing {
	case framedClose:
		return len(p)
	case framedSize:
		n = int(min(int64(len(p)), x.left))
		rest = len(p) - n
		if x.left -= int64(n); x.left == 0 {
			x.err = io.EOF
		}
	case framedChunks:
		if len(p) == 0 {
			return 0
		}
		var done bool
		var err error
		if n, rest, done, err = x.chunks.decode(p); err != nil {
			x.err = &Error{PhaseBody, err}
		} else if done {
			x.err = io.EOF
		}
	default:
		rest, x.err = len(p), io.EOF
	}
	x.dirty = x.dirty || rest > 0
	return n
}
