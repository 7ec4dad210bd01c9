package logentry

import (
	"bytes"

	"headrace/plugin"
)

// AppendOriginal writes the request as a message of HTTP/1 instead of an
// entry: kafka-logger's meta_format "origin". Names of headers are in lower
// case; the values that the default entry masks are masked here, too.
func (f *Format) AppendOriginal(dst []byte, c *plugin.Ctx) []byte {
	dst = append(append(dst, c.Req.Method...), ' ')
	dst = append(appendURI(dst, c.Req.URI), ' ')
	dst = append(append(dst, c.Req.Protocol...), "\r\n"...)
	for lines := c.Req.Headers; len(lines) > 0; {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\n"))
		name, v, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		at := len(dst)
		dst = append(dst, name...)
		lower(dst[at:])
		if v = bytes.TrimSpace(v); secret(name) {
			v = []byte(masked)
		}
		dst = append(append(append(dst, ": "...), v...), "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if b := &f.bodies; b.req && b.reqIf.Eval(c) {
		dst = append(dst, clip(c.ReqBody, b.maxReq)...)
	}
	return dst
}
