package limit

import (
	"math"
	"time"
)

// bucket is how many requests are in excess of the rate, as of a moment.
type bucket struct {
	excess float64
	at     int64
	until  int64 // when it has leaked so far that it counts as none
}

// localBuckets are buckets in this process.
type localBuckets struct{ *table[bucket] }

func newLocalBuckets(room *Room) *localBuckets {
	return &localBuckets{newTable(room, func(b *bucket, now int64) bool { return b.until <= now }, nil)}
}

// Take implements Buckets. It never fails.
func (l *localBuckets) Take(key []byte, rate, burst float64) (time.Duration, bool, error) {
	bit := l.bit(key)
	l.lock(bit)
	defer l.unlock(bit)
	now := l.now()
	e, s := l.get(key, now)
	b := &e.v
	excess := 0.0
	if b.until > now {
		excess = max(b.excess-rate*float64(now-b.at)/float64(time.Second)+1, 0)
		if excess > burst {
			return 0, false, nil
		}
	}
	*b = bucket{excess, now, now + int64(leakTime(excess, rate))}
	s.renew(e)
	return seconds(excess / rate), true, nil
}

// leakTime is how long it takes until the next request finds a bucket as if
// it had never been used.
func leakTime(excess, rate float64) time.Duration { return seconds((excess + 1) / rate) }

// seconds is a time given in seconds, at most a year.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * time.Hour
	if s > year.Seconds() || math.IsNaN(s) {
		return year
	}
	return time.Duration(s * float64(time.Second))
}
