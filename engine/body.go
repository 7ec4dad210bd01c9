package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"headrace/plugin"
)

// drainMax is how much of an unwanted request body is read so that the
// connection can go on; beyond it the connection is closed (architecture.md
// 13, ruling 1).
const (
	drainMax  = 256 << 10
	drainTime = 5 * time.Second
)

// bodyState says how much of the client's body is in flow.raw.
type bodyState uint8

const (
	bodyAhead  bodyState = iota // nothing, or the beginning of it
	bodyRead                    // all of it
	bodyBroken                  // it did not arrive; see flow.bodyErr
)

// readBody reads the client's body into f.raw, or what others have left to
// read of it. A declared length above limit is refused before anything is
// read; otherwise memory grows with what arrives, whatever length was declared.
func (f *flow) readBody(limit int64) plugin.Verdict {
	if f.body == bodyBroken {
		return f.bodyFault(f.bodyErr)
	}
	if m := f.e.opts.MaxBody; m > 0 && m < limit {
		limit = m
	}
	declared := int64(f.HTTP.Request.Header.ContentLength())
	if declared > limit {
		return f.tooLarge(declared, limit)
	}
	if v := f.fillBody(limit); v != 0 {
		return v
	}
	if seen := int64(len(f.raw)); seen > limit {
		if f.body == bodyAhead {
			seen += f.drain(drainMax)
		}
		return f.tooLarge(seen, limit)
	}
	return 0
}

// fillBody reads until the body has ended or f.raw holds more than limit.
func (f *flow) fillBody(limit int64) plugin.Verdict {
	if f.body != bodyAhead {
		return 0
	}
	src := f.HTTP.RequestBodyStream()
	if src == nil {
		f.body = bodyRead
		return 0
	}
	switch want := int(min(int64(f.HTTP.Request.Header.ContentLength()), 1<<20)) + 1; {
	case cap(f.raw) >= want:
	case want > keepBuffer:
		f.raw = append(getBig(want), f.raw...)
	default:
		f.raw = append(make([]byte, 0, max(want, 1<<10)), f.raw...)
	}
	for int64(len(f.raw)) <= limit {
		if len(f.raw) == cap(f.raw) {
			f.raw = append(f.raw, 0)[:len(f.raw)]
		}
		n, err := src.Read(f.raw[len(f.raw):cap(f.raw)])
		f.raw = f.raw[:len(f.raw)+n]
		switch {
		case err == io.EOF:
			f.body = bodyRead
			f.Req.Length += int64(len(f.raw))
			return 0
		case err != nil:
			return f.breakBody(err)
		}
	}
	return 0
}

// breakBody notes that the body will not be had: nothing is read any more.
func (f *flow) breakBody(err error) plugin.Verdict {
	f.body, f.bodyErr = bodyBroken, err
	return f.bodyFault(err)
}

// loadBody parses what was read, once.
func (f *flow) loadBody() error {
	if !f.loaded {
		f.loaded, f.loadErr = true, f.Body.Load(f.raw)
	}
	return f.loadErr
}

func (f *flow) tooLarge(size, max int64) plugin.Verdict {
	text := fmt.Sprintf("could not get body: request size %d is greater than the maximum size %d allowed", size, max)
	return f.Reply(413, plugin.JSON, messageBody("message", text))
}

// bodyFault answers a body that did not arrive: too slowly, broken off, badly
// framed or larger than any route may have it.
func (f *flow) bodyFault(err error) plugin.Verdict {
	if err == errBodyLimit {
		return f.tooLarge(max(int64(f.HTTP.Request.Header.ContentLength()), int64(len(f.raw))), f.e.opts.MaxBody)
	}
	f.conn.unread = true
	f.HTTP.SetConnectionClose()
	status := 400
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = 408
	case f.conn.gone.Load():
		status = statusGone
	}
	return f.Reply(status, plugin.JSON, messageBody("message", "could not get body: "+bodyReason(status)))
}

var errBodyLimit = errors.New("request body is too large")

func bodyReason(status int) string {
	if status == 408 {
		return "timeout"
	}
	return "request body is incomplete"
}

// drain reads and drops what is left of the request's body, at most max
// bytes, and returns how much that was.
func (f *flow) drain(max int64) (n int64) {
	src := f.HTTP.RequestBodyStream()
	if src == nil {
		return 0
	}
	f.conn.hurry(drainTime)
	n, err := io.Copy(io.Discard, io.LimitReader(src, max))
	if err != nil || n == max {
		f.conn.unread = true
		f.HTTP.SetConnectionClose()
	}
	return n
}

// settleBody makes sure that no byte of this request's body can be taken for
// the next request: a short rest is read and dropped, for a long one the
// connection is closed after the answer.
func (f *flow) settleBody() {
	ctx := f.HTTP
	if ctx.RequestBodyStream() == nil || f.conn.unread {
		return // there is none, it was never asked for, or the end is decided
	}
	if left := int64(ctx.Request.Header.ContentLength()) - int64(len(f.raw)) - f.upload.n; left > drainMax {
		f.conn.unread = true
		ctx.SetConnectionClose()
		return
	}
	f.drain(drainMax)
}

// messageBody is {"<key>":"<text>"} and a newline, the shape of answers that
// APISIX gives as a table (ai-proxy.md section 8, J).
func messageBody(key, text string) []byte {
	b := append([]byte(nil), `{"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	b = appendJSONString(b, text)
	return append(b, "}\n"...)
}

// appendJSONString quotes s for JSON.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
