package limit

import (
	"math"
	"time"
)

// window is what was charged in one window. Times are nanoseconds of a clock.
type window struct {
	end   int64 // when it ends; 0: it has not begun
	until int64 // when nothing of it counts any more
	used  int64
	prev  int64 // used in the window before; sliding ones only
}

// windowKind is how windows follow each other. A fixed window begins with the
// first request after the one before. Sliding windows begin at multiples of
// their size since 1970, and what the one before has used counts by the part
// of it that is not yet a whole size ago: what APISIX does.
type windowKind bool

const (
	fixed   windowKind = false
	sliding windowKind = true
)

// over says that a window can be forgotten.
func (w *window) over(now int64) bool { return w.until <= now }

// roll brings a window up to date; it reports whether that is another one now.
func (k windowKind) roll(w *window, size time.Duration, now int64) bool {
	if k == fixed {
		if w.end > now {
			return false
		}
		*w = window{end: now + int64(size), until: now + int64(size)}
		return true
	}
	end := now - now%int64(size) + int64(size)
	until := end + int64(size)
	switch {
	case w.end == end:
		return false
	case w.end > now: // of another size: what it counted stays
		w.end, w.until = end, max(w.until, until)
		return false
	case w.end > now-int64(size):
		*w = window{end: end, until: until, prev: w.used}
	default:
		*w = window{end: end, until: until}
	}
	return true
}

// before is the share of the window before that counts now.
func (k windowKind) before(w *window, r *Rule, now int64) float64 {
	if k == fixed {
		return 0
	}
	return float64(min(w.prev, r.Limit)) / float64(r.Window) * float64(w.end-now)
}

// fits says whether a window that is up to date has room for need.
func (k windowKind) fits(w *window, r *Rule, need, now int64) bool {
	return w.used+need <= r.Limit && k.before(w, r, now)+float64(w.used+need) < float64(r.Limit)+1
}

// tell fills in what is left of a rule's limit. fit says whether what was asked
// for did fit, and is charged already.
func (k windowKind) tell(w *window, r *Rule, fit bool, now int64) {
	r.Reset = time.Duration(w.end - now)
	if k == fixed {
		r.Remaining = max(r.Limit-w.used, 0)
	} else {
		before := k.before(w, r, now)
		r.Remaining = max(int64(math.Floor(float64(r.Limit-w.used)-before)), 0)
		if !fit && w.used < r.Limit && before > 0 {
			// When enough of the window before is a size ago.
			rate := float64(min(w.prev, r.Limit)) / float64(r.Window)
			r.Reset -= time.Duration(float64(r.Limit-w.used) / rate)
		}
		const step = 10 * time.Millisecond // rounded up to hundredths, as APISIX does
		r.Reset = (max(r.Reset, 0) + step - 1) / step * step
	}
	if !fit {
		r.Remaining = 0
	}
}
