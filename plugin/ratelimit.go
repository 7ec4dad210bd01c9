package plugin

import (
	"strconv"
	"time"

	"headrace/driver"
)

// rateLimit is what $rate_limiting_info tells.
type rateLimit struct {
	key              []byte
	limit, remaining int64
	reset            time.Duration
	set              bool
}

// SetRateLimit notes what a plugin that limits has found, for
// $rate_limiting_info; the last one counts. key is the owner of the counter and
// who is counted; it is copied.
func (c *Ctx) SetRateLimit(owner string, key []byte, limit, remaining int64, reset time.Duration) {
	l := &c.limited
	l.key = append(append(append(l.key[:0], owner...), ':'), key...)
	l.limit, l.remaining, l.reset, l.set = limit, remaining, reset, true
}

// rateLimitingInfo is the variable of that name (gateway.md 7.2).
func rateLimitingInfo(c *Ctx, dst []byte) ([]byte, bool) {
	l := &c.limited
	if !l.set {
		return dst, true
	}
	dst = driver.AppendString(append(dst, `{"rate_limiting_key":`...), l.key)
	dst = strconv.AppendInt(append(dst, `,"rate_limiting_limit":`...), l.limit, 10)
	dst = strconv.AppendInt(append(dst, `,"rate_limiting_remaining":`...), l.remaining, 10)
	dst = strconv.AppendInt(append(dst, `,"rate_limiting_reset":`...), int64(l.reset/time.Second), 10)
	return append(dst, '}'), true
}
