package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// errStop ends a stream early but properly.
var errStop = errors.New("stream ends here")

// plain sends an answer that is not a stream. Of the script it heeds framing,
// cut, reset, stall (counted in bytes here), garbage and linger.
func (x *exchange) plain(status int, body []byte) error {
	sc := &x.sc
	ctype := sc.contentType
	if ctype == "" {
		ctype = "application/json"
	}
	bodiless := status == 204 || status == 304 || x.r.method == "HEAD"
	if sc.garbage == "event" && len(body) > 0 {
		body = body[:len(body)/2]
	}
	framing := sc.framing
	if framing == "" || (framing == "chunked" && x.r.proto == "HTTP/1.0") {
		framing = "length"
	}
	if sc.garbage == "chunk" {
		framing = "chunked"
	}
	switch {
	case status == 204 || status == 304:
		x.head(status, "", -1, "")
	case framing == "length":
		x.head(status, ctype, int64(len(body)), framing)
	default:
		x.head(status, ctype, -1, framing)
	}
	if bodiless {
		x.settle("completed")
		return x.c.flush()
	}
	for _, n := range []int{sc.cut, sc.reset, sc.stall} {
		if n >= 0 && n <= len(body) {
			// A chunk is promised whole, so that what is missing shows.
			if x.chunked {
				x.c.out = fmt.Appendf(x.c.out, "%x\r\n", len(body))
			}
			x.c.out = append(x.c.out, body[:n]...)
			return x.abandon()
		}
	}
	if sc.garbage == "chunk" {
		x.c.out = append(x.c.out, "zz\r\n"...)
		x.c.out = append(x.c.out, body...)
		x.c.flush()
		return errScripted
	}
	if len(body) > 64<<10 && !x.chunked && sc.split == 0 && !sc.splitRandom {
		// Large bodies go out as they are rather than through the buffer.
		if err := x.c.flush(); err != nil {
			return err
		}
		if sc.linger == 0 {
			x.settle("completed")
		}
		if err := x.c.write(body); err != nil {
			return err
		}
	} else {
		x.c.out = x.appendFramed(x.c.out, body)
	}
	return x.finish()
}

// streamed sends produce's events as one stream. For framing "length" it runs
// produce twice, so produce must be repeatable.
func (x *exchange) streamed(status int, produce func() error) error {
	sc := &x.sc
	ctype := sc.contentType
	if ctype == "" {
		if ctype = "text/event-stream; charset=utf-8"; x.proto == converse {
			ctype = "application/vnd.amazon.eventstream"
		}
	}
	framing := sc.framing
	if framing == "" {
		framing = "chunked"
	}
	if x.r.proto == "HTTP/1.0" && framing == "chunked" {
		framing = "close"
	}
	length := int64(-1)
	if framing == "length" {
		x.dry = true
		if err := produce(); err != nil && err != errStop {
			return err
		}
		length, x.dry, x.events, x.urgent, x.hold = x.size, false, 0, false, false
	}
	x.head(status, ctype, length, framing)
	if sc.cut == 0 || sc.reset == 0 || sc.stall == 0 {
		return x.abandon()
	}
	x.next = time.Now().Add(sc.first)
	if sc.first > 0 {
		// The head must not wait for the first token.
		if err := x.c.flush(); err != nil {
			return err
		}
	}
	if err := produce(); err != nil && err != errStop {
		return err
	}
	return x.finish()
}

// head puts the head of the answer into the buffer.
func (x *exchange) head(status int, ctype string, length int64, framing string) {
	c, sc := x.c, &x.sc
	x.chunked = framing == "chunked"
	c.out = appendHead(c.out, "HTTP/1.1", status, ctype, length, x.chunked)
	c.out = append(append(append(c.out, "x-request-id: "...), x.id("req_")...), "\r\n"...)
	if sc.retryAfter != "" {
		c.out = append(append(append(c.out, "Retry-After: "...), sc.retryAfter...), "\r\n"...)
	}
	for _, h := range sc.headers {
		c.out = append(append(c.out, h...), "\r\n"...)
	}
	for i, left := 0, sc.bigHead; left > 0; i++ {
		line := fmt.Appendf(nil, "X-Filler-%d: ", i)
		n := max(min(left, 1000)-len(line)-2, 1)
		c.out = append(append(append(c.out, line...), bytes.Repeat([]byte{'a' + byte(i%26)}, n)...), "\r\n"...)
		left -= len(line) + n + 2
	}
	if framing == "close" {
		x.r.keepAlive = false
	}
	if !x.r.keepAlive {
		c.out = append(c.out, "Connection: close\r\n"...)
	} else if x.r.proto == "HTTP/1.0" {
		c.out = append(c.out, "Connection: keep-alive\r\n"...)
	}
	c.out = append(c.out, "\r\n"...)
}

// event sends one event: ev is a whole block with its blank line, lines ended
// by LF, or a frame.
func (x *exchange) event(ev []byte) error {
	x.events++
	sc := &x.sc
	if !sc.special {
		return x.put(ev)
	}
	n := x.events
	failed := n == sc.errorEvent
	if failed {
		ev = x.errorEvent()
	}
	if sc.garbage != "" && n == sc.garbageAt && !x.dry {
		if sc.garbage == "chunk" && x.chunked {
			x.c.out = append(x.c.out, "zz\r\n"...)
			x.c.out = append(x.c.out, ev...)
			x.c.flush()
			return errScripted
		}
	}
	if sc.garbage == "event" && n == sc.garbageAt {
		if x.proto == converse {
			ev[len(ev)-1] ^= 0xff // its checksum
		} else {
			ev = []byte("data: {\"id\":\"broken\",\"choices\":[{\"delta\":{\"content\":\n\n")
		}
	}
	b := x.scratch[:0]
	if n == 1 && sc.bom {
		b = append(b, "\xef\xbb\xbf"...)
	}
	for i := range sc.comments {
		b = fmt.Appendf(b, ": keep-alive %d\n\n", i+1)
	}
	if sc.comments > 0 {
		// Comments come while the event is awaited.
		x.scratch = b
		if err := x.now(x.lineEnds(b)); err != nil {
			return err
		}
		b = x.scratch[:0]
	}
	if sc.stamp {
		b = append(strconv.AppendInt(append(b, ": sent="...), time.Now().UnixNano(), 10), '\n')
	}
	b = append(b, ev...)
	x.scratch = b
	if err := x.put(x.lineEnds(b)); err != nil {
		return err
	}
	switch {
	case x.dry:
	case n == sc.cut || n == sc.reset || n == sc.stall:
		return x.abandon()
	}
	if failed {
		return errStop
	}
	return nil
}

func (x *exchange) lineEnds(b []byte) []byte {
	if x.sc.eol == "" {
		return b
	}
	return bytes.ReplaceAll(b, []byte("\n"), []byte(x.sc.eol))
}

// put waits until an event is due and sends it.
func (x *exchange) put(p []byte) error {
	if x.dry {
		x.size += int64(len(p))
		return nil
	}
	if !x.urgent && x.pending == 0 {
		// An absolute schedule: late timers do not add up.
		if x.sc.gap > 0 || x.sc.first > 0 {
			if err := x.c.waitUntil(x.next); err != nil {
				return err
			}
			x.next = x.next.Add(x.sc.gap)
		}
	}
	x.c.out = x.appendFramed(x.c.out, p)
	x.pending++
	if x.hold || x.pending < x.sc.batch {
		return nil
	}
	x.pending = 0
	return x.c.flush()
}

// now sends p without regard to the schedule.
func (x *exchange) now(p []byte) error {
	if x.dry {
		x.size += int64(len(p))
		return nil
	}
	x.c.out = x.appendFramed(x.c.out, p)
	return x.c.flush()
}

func (x *exchange) appendFramed(b, p []byte) []byte {
	if !x.chunked {
		return append(b, p...)
	}
	size := x.sc.chunkSize
	if size == 0 {
		size = len(p)
	}
	for len(p) > 0 {
		n := min(size, len(p))
		b = append(strconv.AppendUint(b, uint64(n), 16), "\r\n"...)
		b = append(append(b, p[:n]...), "\r\n"...)
		p = p[n:]
	}
	return b
}

// finish ends a body as its framing demands.
func (x *exchange) finish() error {
	x.pending = 0
	if x.sc.linger > 0 {
		if err := x.c.waitUntil(time.Now().Add(x.sc.linger)); err != nil {
			return err
		}
	}
	if x.chunked {
		x.c.out = append(x.c.out, "0\r\n\r\n"...)
	}
	x.settle("completed")
	return x.c.flush()
}

// abandon leaves the body unfinished in the way of the script.
func (x *exchange) abandon() error {
	if err := x.c.flush(); err != nil {
		return err
	}
	switch {
	case x.sc.stall >= 0:
		return x.untilGone()
	case x.sc.reset >= 0:
		if t, ok := x.c.raw.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		x.c.raw.Close() // below TLS: no farewell
	case x.c.raw != x.c.nc:
		x.c.raw.Close()
	}
	return errScripted
}

func (x *exchange) untilGone() error {
	for {
		if err := x.c.waitUntil(time.Time{}); err != nil {
			return err
		}
	}
}

// errorEvent is the error that a provider sends inside a stream.
func (x *exchange) errorEvent() []byte {
	const msg = "The server had an error while processing your request. (mock)"
	typ := x.sc.errType
	switch x.proto {
	case messages:
		if typ == "" {
			typ = "overloaded_error"
		}
		return fmt.Appendf(nil, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":%s,\"message\":%s}}\n\n", quote(typ), quote(msg))
	case responses:
		if typ == "" {
			typ = "server_error"
		}
		return fmt.Appendf(nil, "event: error\ndata: {\"type\":\"error\",\"code\":%s,\"message\":%s,\"param\":null,\"sequence_number\":%d}\n\n",
			quote(typ), quote(msg), x.events-1)
	case converse:
		if typ == "" {
			typ = "internalServerException"
		}
		return exception(typ, msg)
	}
	return append(append([]byte("data: "), openAIError(nil, 500, msg, typ)...), "\n\n"...)
}

func statusText(status int) string {
	if s := http.StatusText(status); s != "" {
		return s
	}
	if status == 529 {
		return "Overloaded"
	}
	return "Status"
}
