package logentry

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"headrace/driver"
	"headrace/plugin"
)

func constant(raw []byte) value {
	return func(dst []byte, _ *plugin.Ctx) ([]byte, bool) { return append(dst, raw...), true }
}

// variable is the text of a request variable.
func variable(name string) value {
	v, _ := plugin.LookupVar(name)
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		at := len(dst)
		dst, ok := v(c, dst)
		if !ok {
			return dst, false
		}
		return quoteTail(dst, at), true
	}
}

func text(f func(c *plugin.Ctx) []byte) value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return driver.AppendString(dst, f(c)), true }
}

func number(f func(c *plugin.Ctx) int64) value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return strconv.AppendInt(dst, f(c), 10), true }
}

func boolean(f func(c *plugin.Ctx) bool) value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return strconv.AppendBool(dst, f(c)), true }
}

// appendMillis writes milliseconds, with a fraction.
func appendMillis(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// quoteTail makes a JSON string of what stands in dst from at on.
func quoteTail(dst []byte, at int) []byte {
	end := len(dst)
	dst = driver.AppendString(dst, dst[at:end])
	return dst[:at+copy(dst[at:], dst[end:])]
}

// appendRaw writes valid JSON in one line and as valid UTF-8. A line break can
// only stand between its tokens.
func appendRaw(dst, raw []byte) []byte {
	at := len(dst)
	if utf8.Valid(raw) {
		dst = append(dst, raw...)
	} else {
		dst = append(dst, bytes.ToValidUTF8(raw, []byte("\uFFFD"))...)
	}
	for i, b := range dst[at:] {
		if b == '\n' || b == '\r' {
			dst[at+i] = ' '
		}
	}
	return dst
}
