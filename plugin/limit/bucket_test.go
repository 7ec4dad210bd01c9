package limit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLocalBuckets(NewRoom())
		f := func(key string, rate, burst float64, want string) {
			t.Helper()
			delay, ok, _ := b.Take([]byte(key), rate, burst)
			if got := fmt.Sprint(ok, " ", delay.Round(time.Microsecond)); got != want {
				t.Errorf("%s %v+%v: %s, want %s", key, rate, burst, got, want)
			}
		}
		f("a", 1, 0, "true 0s")
		f("a", 1, 0, "false 0s")
		f("b", 1, 0, "true 0s")
		time.Sleep(999 * time.Millisecond)
		f("a", 1, 0, "false 0s")
		time.Sleep(time.Millisecond)
		f("a", 1, 0, "true 0s")
		// The burst waits, each a second longer.
		f("c", 2, 3, "true 0s")
		f("c", 2, 3, "true 500ms")
		f("c", 2, 3, "true 1s")
		f("c", 2, 3, "true 1.5s")
		f("c", 2, 3, "false 0s")
		time.Sleep(600 * time.Millisecond)
		f("c", 2, 3, "true 1.4s")
		// What is refused leaves no trace, and a rate below one is a rate, too.
		f("d", 0.01, 0, "true 0s")
		for range 99 {
			time.Sleep(time.Second)
			f("d", 0.01, 0, "false 0s")
		}
		time.Sleep(time.Second)
		f("d", 0.01, 0, "true 0s")
		f("e", 1e-300, 1e300, "true 0s")
		f("e", 1e-300, 1e300, "true 8760h0m0s")
		f("g", 1e300, 0, "true 0s")
		f("g", 1e300, 0, "true 0s") // it leaks faster than the clock goes
	})
}
