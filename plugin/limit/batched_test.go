package limit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"headrace/plugin/redis/redistest"
)

func TestBatched(t *testing.T) {
	s := redistest.Start(t)
	const every = 200 * time.Millisecond
	a, _ := windows(t, owner(to(s)), false, every)
	b, _ := windows(t, owner(to(s)), false, every)
	f := func(w Windows, limit int64, want string) {
		t.Helper()
		if got := word(t, w, "k", limit, time.Minute, 1, 1); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	stored := func(key string) string { return s.Do("GET", "headrace:rl:test:o:fixed:"+key) }
	// Each counts for itself within the interval ...
	f(a, 5, "ok 4")
	f(a, 5, "ok 3")
	f(b, 5, "ok 4")
	f(b, 5, "ok 3")
	if stored("k") != "0" {
		t.Errorf("%s are there at once", stored("k"))
	}
	// ... and knows of the others after it.
	until(t, "all are there", func() bool { return stored("k") == "4" })
	until(t, "one has learned that", func() bool {
		return word(t, a, "k", 5, time.Minute, 0, 0) == "ok 1" || word(t, b, "k", 5, time.Minute, 0, 0) == "ok 1"
	})
	f(a, 100, fmt.Sprint("ok ", 99-seen(a, "k")))
	f(b, 100, fmt.Sprint("ok ", 99-seen(b, "k")))
	until(t, "all are there", func() bool { return stored("k") == "6" })
	// Refusals are no news.
	f(a, 100, fmt.Sprint("ok ", 99-seen(a, "k")))
	until(t, "all are there", func() bool { return stored("k") == "7" })
	until(t, "one has learned that", func() bool { return seen(a, "k") == 7 })
	f(a, 7, "no 0")
	time.Sleep(2 * every)
	if stored("k") != "7" {
		t.Errorf("%s are there, a refusal among them", stored("k"))
	}
	// A window shorter than the interval is counted at once.
	if got := word(t, a, "short", 3, 100*time.Millisecond, 1, 1); got != "ok 2" || stored("short") != "1" {
		t.Errorf("%s, stored %s", got, stored("short"))
	}
	// Costs that are known later.
	a.Add([]Rule{{Key: []byte("llm"), Limit: 30, Window: time.Minute}}, 50)
	if got := word(t, a, "llm", 30, time.Minute, 1, 0); got != "no 0" {
		t.Errorf("after a cost: %s", got)
	}
	until(t, "the cost is there", func() bool { return stored("llm") == "50" })
}

// seen is what a gateway believes to be used.
func seen(w Windows, key string) int64 {
	r := []Rule{{Key: []byte(key), Limit: 1 << 40, Window: time.Minute}}
	w.Take(r, 0, 0)
	return 1<<40 - r[0].Remaining
}

func TestBatchedExact(t *testing.T) {
	s := redistest.Start(t)
	for _, sliding := range []bool{false, true} {
		a, g := windows(t, owner(to(s)), sliding, 100*time.Millisecond)
		got := hammer(200, func(n, i int) bool {
			over, err := a.Take([]Rule{
				{Key: []byte("k"), Limit: 5000, Window: 1000 * time.Hour},
				{Key: fmt.Append(nil, "user-", n), Limit: 150, Window: 1000 * time.Hour},
			}, 1, 1)
			return err == nil && over < 0
		})
		if got != 5000 {
			t.Errorf("sliding %v: %d of 5000 passed", sliding, got)
		}
		g.Close() // brings the rest
		b, _ := windows(t, owner(to(s)), sliding, 0)
		sum := int64(0)
		for n := range 64 {
			sum += seen2(t, b, fmt.Sprint("user-", n))
		}
		if k := seen2(t, b, "k"); k != 5000 || sum != 5000 {
			t.Errorf("sliding %v: %d are stored, for users %d", sliding, k, sum)
		}
	}
}

func seen2(t *testing.T, w Windows, key string) int64 {
	r := []Rule{{Key: []byte(key), Limit: 1 << 40, Window: 1000 * time.Hour}}
	if _, err := w.Take(r, 0, 0); err != nil {
		t.Fatal(err)
	}
	return 1<<40 - r[0].Remaining
}

// TestBatchedWindow holds that a window that begins is asked for, and that what
// the last one had left over is not forgotten.
func TestBatchedWindow(t *testing.T) {
	s := redistest.Start(t)
	a, _ := windows(t, owner(to(s)), false, 100*time.Millisecond)
	const size = 300 * time.Millisecond
	for range 3 {
		passed := 0
		for end := time.Now().Add(size); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if strings.HasPrefix(word(t, a, "k", 20, size, 1, 1), "ok") {
				passed++
			}
		}
		if passed < 10 || passed > 40 { // a part of two windows
			t.Errorf("%d passed", passed)
		}
	}
	if n := s.Do("DBSIZE"); n != "0" && n != "1" {
		t.Errorf("%s counters", n)
	}
}

func TestBatchedDown(t *testing.T) {
	s := redistest.Start(t)
	a, g := windows(t, owner(to(s)), false, 100*time.Millisecond)
	f := func(key string, limit int64, want string) {
		t.Helper()
		start := time.Now()
		if got := word(t, a, key, limit, time.Minute, 1, 1); got != want || time.Since(start) > time.Second {
			t.Errorf("%s after %v, want %s", got, time.Since(start), want)
		}
	}
	f("k", 3, "ok 2")
	s.Stop()
	// The gateway counts alone, keys that are new too.
	f("k", 3, "ok 1")
	f("new", 2, "ok 1")
	f("new", 2, "ok 0")
	f("new", 2, "no 0")
	time.Sleep(300 * time.Millisecond)
	f("k", 3, "ok 0")
	f("k", 3, "no 0")
	if log := g.Log.String(); strings.Count(log, "each gateway counts alone") != 1 {
		t.Errorf("the log has %s", log)
	}
	s.Restart() // empty
	stored := func(key string) string { return s.Do("GET", "headrace:rl:test:o:fixed:"+key) }
	until(t, "what was counted meanwhile is there", func() bool { return stored("new") == "2" && stored("k") != "" && stored("k") != "0" })
	until(t, "that is in the log", func() bool { return strings.Contains(g.Log.String(), "brought to redis again") })
}
