package limit

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"headrace/plugin"
)

// Headers are the names under which an answer tells a quota.
type Headers struct{ limit, remaining, reset []byte }

// NewHeaders makes the headers with these names. A prefix that is not empty
// goes before the first "RateLimit-" of each: X-RateLimit-Limit becomes
// X-<prefix>-RateLimit-Limit.
func NewHeaders(limit, remaining, reset, prefix string) Headers {
	name := func(s string) []byte {
		if prefix != "" {
			s = strings.Replace(s, "RateLimit-", prefix+"-RateLimit-", 1)
		}
		return []byte(strings.Map(nameByte, s))
	}
	return Headers{name(limit), name(remaining), name(reset)}
}

// nameByte keeps what may stand in the name of a header: no configuration can
// add a line.
func nameByte(r rune) rune {
	if r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
		return r
	}
	return '-'
}

// Set puts a quota that Take has found into the answer, whatever answer that
// will be.
func (h *Headers) Set(c *plugin.Ctx, r *Rule) {
	var buf [32]byte
	set(c, h.limit, strconv.AppendInt(buf[:0], r.Limit, 10))
	set(c, h.remaining, strconv.AppendInt(buf[:0], r.Remaining, 10))
	set(c, h.reset, appendSeconds(buf[:0], r.Reset))
}

func set(c *plugin.Ctx, name, value []byte) {
	if len(name) > 0 {
		c.HTTP.Response.Header.SetCanonical(name, value)
	}
}

// appendSeconds writes seconds with at most two decimals, rounded down.
func appendSeconds(dst []byte, d time.Duration) []byte {
	hundredths := int64(d / (10 * time.Millisecond))
	dst = strconv.AppendInt(dst, hundredths/100, 10)
	if f := hundredths % 100; f != 0 {
		dst = append(dst, '.', byte('0'+f/10), byte('0'+f%10))
		dst = bytes.TrimSuffix(dst, []byte{'0'})
	}
	return dst
}
