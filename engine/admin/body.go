package admin

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// readBody reads and parses the body. It answers itself when it returns false.
func (c *call) readBody() bool {
	raw, text := c.rawBody(maxBody)
	if text != "" {
		fail(c.ctx, 400, text)
		return false
	}
	if len(raw) == 0 {
		return true
	}
	var err error
	if c.body, err = parse(raw); err != nil {
		b := appendQuoted([]byte(`{"error_msg":`), "invalid request body: "+err.Error())
		b = appendQuoted(append(b, `,"req_body":`...), string(raw))
		reply(c.ctx, 400, append(b, '}'))
		return false
	}
	return true
}

// rawBody reads a body of at most limit bytes. text says why it cannot.
func (c *call) rawBody(limit int) (raw []byte, text string) {
	size, stream := 0, c.ctx.Request.IsBodyStream()
	if !stream {
		raw = c.ctx.Request.Body()
		size = len(raw)
	} else if size = c.ctx.Request.Header.ContentLength(); size <= limit {
		var err error
		if raw, err = io.ReadAll(io.LimitReader(c.ctx.RequestBodyStream(), int64(limit)+1)); err != nil {
			c.ctx.SetConnectionClose()
			return nil, "invalid request body: it cannot be read"
		}
		size = len(raw)
	}
	if size > limit {
		return nil, fmt.Sprintf("invalid request body: request size %d is greater than the maximum size %d allowed", size, limit)
	}
	return raw, ""
}

// drop reads what is left of a body: fasthttp would take it for the next
// request, and closing at once would cost the client our answer.
func (c *call) drop() {
	if !c.ctx.Request.IsBodyStream() {
		return
	}
	if _, err := io.CopyN(io.Discard, c.ctx.RequestBodyStream(), maxDrain); err != io.EOF {
		c.ctx.SetConnectionClose()
	}
}

// readTTL reads ?ttl=, in seconds. It answers itself when it returns false.
func (c *call) readTTL() bool {
	args := c.ctx.QueryArgs()
	if !args.Has("ttl") {
		return true
	}
	n, err := strconv.ParseFloat(string(args.Peek("ttl")), 64)
	switch {
	case err != nil || n != n:
		fail(c.ctx, 400, "invalid argument ttl: should be a number")
		return false
	case n <= 0:
		fail(c.ctx, 400, "invalid argument ttl: should be greater than 0")
		return false
	}
	c.ttl = time.Duration(min(n, maxTTL) * float64(time.Second))
	return true
}
