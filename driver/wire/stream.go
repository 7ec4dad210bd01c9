package wire

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	sourceBuf   = 32 << 10
	sourceRoom  = 4 << 10 // less room than this is not worth a read
	chunkBefore = 6       // four digits of a size and CRLF
	chunkAfter  = 2
	lastChunk   = "0\r\n\r\n"

	stallLook = 250 * time.Millisecond // how long a write may stand still until the answer is looked for
	glanceFor = time.Millisecond       // TLS has no way to ask without waiting
)

var (
	errStopped = errors.New("upstream takes no more of the request")
	errStale   = errors.New("pooled connection is dead")
)

// DoStream is Do for a body that is not in memory: it sends what body gives,
// through one buffer of 32 KiB, as soon as body gives it. With length >= 0 it
// sends exactly so many bytes and reads none beyond; a source that ends before
// is an error. With length -1 it reads to io.EOF and writes chunks. head must
// say the same: Content-Length, or Transfer-Encoding: chunked; it goes out with
// the first bytes of the body. It must not say Expect: 100-continue, nobody
// waits for the 100. body may be nil when length is 0.
//
// body is not read before there is a connection, so that another upstream can
// be tried after a failed connect; count what is read to be sure, a dead pooled
// connection may have come first. That one is replaced once, as by Do, if all
// that was read is still in the buffer.
//
// An upstream that answers before it has everything: a status from 300 up ends
// the sending at once; at any other the body goes on until the upstream closes
// or takes nothing for Timeouts.Send. The answer is then given as usual, and if
// anything was left unsent Head.Close is set and the connection is not used
// again. An answer is noticed between reads and writes, not while body.Read
// waits. Over TLS a refusal that comes while a write is stuck is noticed only
// when Timeouts.Send has passed.
//
// Timeouts.Send is for writing only; how long the source may take is the
// source's business. Cancel and Interrupt cannot end body.Read: whoever calls
// them must also unblock the reader (close it, set its deadline), and DoStream
// returns as soon as Read does. What the reader says then is ignored.
//
// Errors are *SourceError for what the reader did, otherwise as Do's.
func (p *Pool) DoStream(x *Exchange, tm Timeouts, head []byte, body io.Reader, length int64) error {
	u := uploads.Get().(*upload)
	u.src, u.left, u.chunked = body, length, length < 0
	u.fill, u.whole, u.done = 0, true, length == 0
	err := p.do(x, tm, head, nil, u)
	u.src, u.first[0] = nil, nil
	uploads.Put(u)
	return err
}

var uploads = sync.Pool{New: func() any { return new(upload) }}

// upload is a request body on its way from its source.
type upload struct {
	src     io.Reader
	left    int64 // to read, unless chunked
	chunked bool
	whole   bool // buf[:fill] is all that was read: it can be sent again
	done    bool // all was read; with chunks, the last is in buf
	fill    int
	first   [1][]byte
	buf     [sourceBuf]byte // as it goes over the wire, chunk lines included
}

// next reads once and returns what to send.
func (u *upload) next() ([]byte, error) {
	if !u.whole || len(u.buf)-u.fill < sourceRoom {
		u.whole, u.fill = false, 0
	}
	from, at, end := u.fill, u.fill, len(u.buf)
	if u.chunked {
		at += chunkBefore
		end -= chunkAfter + len(lastChunk)
	} else if int64(end-at) > u.left {
		end = at + int(u.left)
	}
	n, err := 0, error(nil)
	for tries := 0; n == 0 && err == nil; tries++ {
		if tries == 100 {
			err = io.ErrNoProgress
			break
		}
		n, err = u.src.Read(u.buf[at:end])
	}
	switch {
	case u.chunked:
		if err != nil && err != io.EOF {
			return nil, &SourceError{err}
		}
		if n > 0 {
			u.frame(at, n)
		}
		if err == io.EOF {
			u.fill += copy(u.buf[u.fill:], lastChunk)
			u.done = true
		}
	default:
		u.fill += n
		u.left -= int64(n)
		u.done = u.left == 0
		if err != nil && !u.done {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, &SourceError{err}
		}
	}
	return u.buf[from:u.fill], nil
}

// frame makes a chunk of n bytes at buf[at:]. A small one moves to meet its
// shorter size line.
func (u *upload) frame(at, n int) {
	const digits = "0123456789abcdef"
	shift := 12
	for n>>shift == 0 {
		shift -= 4
	}
	data := u.buf[at : at+n]
	for ; shift >= 0; shift -= 4 {
		u.buf[u.fill] = digits[n>>shift&15]
		u.fill++
	}
	u.fill += copy(u.buf[u.fill:], "\r\n")
	u.fill += copy(u.buf[u.fill:], data)
	u.fill += copy(u.buf[u.fill:], "\r\n")
}

// tryStream is try for an upload; c is attached.
func (x *Exchange) tryStream(c *conn, tm Timeouts, head []byte, u *upload) (stale bool, err error) {
	werr := x.upload(c, tm.Send, head, u)
	if werr != nil && x.flags.Load() != 0 {
		return false, x.fail(PhaseSend, werr)
	}
	switch werr.(type) {
	case *SourceError, *Error:
		return false, werr
	}
	if werr == errStale {
		return true, nil
	}
	if werr != nil && isTimeout(werr) {
		if !x.headed {
			if _, err := x.glance(c, true); err != nil {
				return false, err
			}
		}
		if !x.began {
			return false, x.fail(PhaseSend, werr)
		}
	}
	if began, err := x.readHead(c); err != nil {
		switch {
		case began:
			return false, err
		case x.Reused && u.whole && x.flags.Load() == 0 && !isTimeout(err):
			return true, nil
		case werr != nil && werr != errStopped:
			return false, x.fail(PhaseSend, werr)
		}
		return false, err
	}
	if werr != nil {
		if x.framing == framedTunnel {
			return false, &Error{PhaseHead, bad("upgraded in the middle of the request", nil)}
		}
		x.Head.Close, x.unsent = true, true
	}
	return false, nil
}

// upload sends the request. errStopped: it is pointless to go on, the answer
// is there or never comes.
func (x *Exchange) upload(c *conn, limit time.Duration, head []byte, u *upload) error {
	if u.fill == 0 && !u.done {
		if _, err := x.pull(u); err != nil {
			return err
		}
	}
	// The source may have taken its time.
	if x.Reused && (c.gone.Load() || c.look() != peekQuiet) {
		return errStale
	}
	u.first[0] = u.buf[:u.fill]
	if err := x.send(c, limit, head, u.first[:]); err != nil {
		return err
	}
	for !u.done {
		if stop, err := x.glance(c, false); err != nil {
			return err
		} else if stop {
			return errStopped
		}
		b, err := x.pull(u)
		if err != nil {
			return err
		}
		if stop, err := x.glance(c, false); err != nil {
			return err
		} else if stop {
			return errStopped
		}
		if err := x.push(c, limit, b); err != nil {
			return err
		}
	}
	return nil
}

func (x *Exchange) pull(u *upload) ([]byte, error) {
	b, err := u.next()
	if x.flags.Load() != 0 {
		return nil, errFinished
	}
	return b, err
}

// push writes b; while that stands still it looks for the answer. TLS cannot go
// on after a write that was interrupted: there it is one long write.
func (x *Exchange) push(c *conn, limit time.Duration, b []byte) error {
	if c.tls != nil {
		return x.write(c, limit, b)
	}
	for since := int64(0); ; {
		span := stallLook
		if limit > 0 {
			span = min(span, limit)
			if since != 0 {
				span = max(min(span, limit-time.Duration(mono()-since)), time.Millisecond)
			}
		}
		c.armWrite(mono(), span)
		if x.flags.Load() != 0 {
			return errFinished
		}
		n, err := c.nc.Write(b)
		b = b[n:]
		if err == nil || !isTimeout(err) {
			return err
		}
		now := mono()
		if since == 0 {
			since = now - int64(span)
		} else if n > 0 {
			since = now
		}
		if limit > 0 && now-since >= int64(limit) {
			return err
		}
		if stop, gerr := x.glance(c, false); gerr != nil {
			return gerr
		} else if stop {
			return errStopped
		}
	}
}

// glance takes what has come of the answer while the request is being sent.
// stop: the upstream has refused the request or gone. It does not wait, but
// for a moment if it must (TLS, or no descriptor to ask).
func (x *Exchange) glance(c *conn, must bool) (stop bool, err error) {
	if x.headed {
		return x.Head.Status >= 300, nil
	}
	if !must {
		switch c.look() {
		case peekQuiet:
			return false, nil
		case peekClosed:
			return true, nil
		}
	}
	for more := true; more && !x.headed; {
		// One read takes one TLS record, and TLS may hold the next one where
		// look cannot see it.
		more = must || c.tls != nil
		if more {
			c.rd = deadline{span: -1}
			c.raw.SetReadDeadline(time.Now().Add(glanceFor))
		} else {
			c.armRead(mono(), x.wait)
		}
		if x.flags.Load() != 0 {
			return true, nil
		}
		rerr, err := x.moreHead(c)
		if err != nil {
			return true, err
		}
		if rerr != nil && !x.headed {
			return !isTimeout(rerr), nil
		}
	}
	return x.headed && (x.Head.Status >= 300 || x.Head.Status == 101), nil
}
