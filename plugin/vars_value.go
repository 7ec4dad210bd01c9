package plugin

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"time"
)

// HostOnly cuts the port off a Host header.
func HostOnly(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// appendHost writes $host: without port and final dot, in lower case.
func appendHost(dst, host []byte) []byte {
	at := len(dst)
	dst = append(dst, bytes.TrimSuffix(HostOnly(host), []byte("."))...)
	for i, b := range dst[at:] {
		dst[at+i] = foldByte(b, false)
	}
	return dst
}

func requestLine(c *Ctx, dst []byte) ([]byte, bool) {
	if len(c.Req.Method) == 0 {
		return dst, false
	}
	dst = append(append(dst, c.Req.Method...), ' ')
	dst = append(append(dst, c.Req.URI...), ' ')
	return append(dst, c.Req.Protocol...), true
}

// remoteUser is the name of a Basic authorization, as in nginx.
func remoteUser(c *Ctx, dst []byte) ([]byte, bool) {
	v := c.Header("authorization")
	if len(v) < 6 || !sameName(v[:6], "basic ", false) {
		return dst, false
	}
	at := len(dst)
	out, ok := AppendBase64(dst, bytes.TrimSpace(v[6:]))
	if !ok {
		return dst, false
	}
	n := bytes.IndexByte(out[at:], ':')
	return out[:at+max(n, 0)], n > 0
}

// AppendBase64 writes s decoded as nginx does it: padding may be absent and
// ends the text. ok is false, and dst as it was, for what is no base64.
func AppendBase64(dst, s []byte) (out []byte, ok bool) {
	if i := bytes.IndexByte(s, '='); i >= 0 {
		s = s[:i]
	}
	if bytes.ContainsAny(s, "\r\n") { // which the library skips
		return dst, false
	}
	out, err := base64.RawStdEncoding.AppendDecode(dst, s)
	if err != nil {
		return dst, false
	}
	return out, true
}

func requestID(c *Ctx, dst []byte) ([]byte, bool) {
	if c.RequestID != "" {
		return append(dst, c.RequestID...), true
	}
	return append(dst, c.ID[:]...), true
}

func responseTimes(c *Ctx, dst []byte) ([]byte, bool) {
	return attempts(c, dst, func(dst []byte, a *Attempt) []byte { return appendSeconds(dst, a.Total) })
}

func info(f func(*Info) string) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) {
		if c.Info == nil {
			return dst, false
		}
		s := f(c.Info)
		return append(dst, s...), s != ""
	}
}

func tokens(f func(*Ctx) int64) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) { return strconv.AppendInt(dst, f(c), 10), true }
}

func flag(f func(*Ctx) bool) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) { return strconv.AppendBool(dst, f(c)), true }
}

func attempts(c *Ctx, dst []byte, f func([]byte, *Attempt) []byte) ([]byte, bool) {
	for i := range c.Attempts {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = f(dst, &c.Attempts[i])
	}
	return dst, len(c.Attempts) > 0
}

func appendFound(dst, v []byte) ([]byte, bool) { return append(dst, v...), len(v) > 0 }

// appendSeconds prints seconds with three decimals, as nginx does.
func appendSeconds(dst []byte, d time.Duration) []byte {
	ms := d.Milliseconds()
	dst = strconv.AppendInt(dst, ms/1000, 10)
	return append(dst, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}

func appendMillis(dst []byte, d time.Duration) []byte {
	return strconv.AppendInt(dst, d.Milliseconds(), 10)
}
