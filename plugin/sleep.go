package plugin

import (
	"math"
	"time"
)

// Gone is the verdict of a phase that has found out that the client has left:
// nothing is answered, and the log says 499.
const Gone Verdict = 499

// Sleeper is what Ctx.Owner is to plugins that delay a request.
type Sleeper interface {
	// ClientStays waits for d and reports whether the client is still there;
	// it returns false as soon as the client leaves.
	ClientStays(d time.Duration) bool
}

// Sleep delays the request by d, in any phase before its answer. When the
// client leaves meanwhile it returns at once, and not alive: the phase then
// ends with Gone. A d of zero or less is no delay.
func (c *Ctx) Sleep(d time.Duration) (alive bool) {
	return d <= 0 || c.Owner.(Sleeper).ClientStays(d)
}

// Seconds is the time that a configuration gives in seconds; what is too long
// for a Duration is the longest one.
func Seconds(s float64) time.Duration {
	if d := s * float64(time.Second); d < math.MaxInt64 {
		return time.Duration(d)
	}
	return math.MaxInt64
}
