package limit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// ask takes need and cost of one rule and tells how that went in a word:
// "ok" or "no", what remains and when that changes.
func ask(t *testing.T, w Windows, key string, limit int64, size time.Duration, need, cost int64) string {
	t.Helper()
	rules := []Rule{{Key: []byte(key), Limit: limit, Window: size}}
	over, err := w.Take(rules, need, cost)
	if err != nil {
		t.Fatal(err)
	}
	word := "ok"
	if over == 0 {
		word = "no"
	}
	return fmt.Sprintf("%s %d %v", word, rules[0].Remaining, rules[0].Reset)
}

func TestFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalWindows(fixed, NewRoom())
		f := func(key string, limit int64, size time.Duration, want string) {
			t.Helper()
			if got := ask(t, w, key, limit, size, 1, 1); got != want {
				t.Errorf("%s %d/%v: %s, want %s", key, limit, size, got, want)
			}
		}
		const minute = time.Minute
		f("a", 2, minute, "ok 1 1m0s")
		time.Sleep(1500 * time.Millisecond)
		f("a", 2, minute, "ok 0 58.5s")
		f("a", 2, minute, "no 0 58.5s")
		f("b", 2, minute, "ok 1 1m0s") // each key its own
		time.Sleep(58500*time.Millisecond - 1)
		f("a", 2, minute, "no 0 1ns")
		time.Sleep(time.Nanosecond)
		f("a", 2, minute, "ok 1 1m0s")

		// limit-count-variable.t 6: another limit goes on with what was used.
		f("c", 3, minute, "ok 2 1m0s")
		f("c", 2, minute, "ok 0 1m0s")
		f("c", 5, minute, "ok 2 1m0s")
		f("c", 3, minute, "no 0 1m0s")
		f("c", 5, minute, "ok 1 1m0s") // the refusal cost nothing
		// The window is the one that has begun.
		f("c", 9, 2*minute, "ok 4 1m0s")
		f("c", 9, time.Second, "ok 3 1m0s")
	})
}

// TestCost is limit-count5.t 1 and 8, and what ai-plugins.md 1.3 says of tokens.
func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalWindows(fixed, NewRoom())
		f := func(key string, limit, need, cost int64, want string) {
			t.Helper()
			if got := ask(t, w, key, limit, time.Minute, need, cost); got != want {
				t.Errorf("%s %d need %d cost %d: %s, want %s", key, limit, need, cost, got, want)
			}
		}
		for _, want := range []string{"ok 8", "ok 6", "ok 4", "ok 2", "ok 0", "no 0", "no 0"} {
			f("two", 10, 2, 2, want+" 1m0s")
		}
		f("five", 5, 1, 0, "ok 5 1m0s")
		f("five", 5, 1, 0, "ok 5 1m0s")
		f("five", 5, 2, 2, "ok 3 1m0s")
		f("five", 5, 1, 0, "ok 3 1m0s")
		f("five", 5, 3, 3, "ok 0 1m0s")
		f("five", 5, 0, 0, "ok 0 1m0s")
		f("five", 5, 1, 0, "no 0 1m0s")

		// The first look begins the window; charges run past the limit and keep its end.
		add := func(cost int64) { w.Add([]Rule{{Key: []byte("llm"), Limit: 30, Window: time.Minute}}, cost) }
		f("llm", 30, 1, 0, "ok 30 1m0s")
		time.Sleep(10 * time.Second)
		for _, want := range []string{"ok 20 50s", "ok 10 50s", "no 0 50s"} {
			add(10)
			f("llm", 30, 1, 0, want)
		}
		add(25)
		f("llm", 30, 1, 0, "no 0 50s")
		f("llm", 60, 1, 0, "ok 5 50s")
		time.Sleep(50 * time.Second)
		add(100) // begins one as well
		f("llm", 30, 1, 0, "no 0 1m0s")
		f("llm", 101, 1, 0, "ok 1 1m0s")
	})
}

// TestSliding is the arithmetic of APISIX's sliding window.
func TestSliding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight: windows of ten seconds begin now
		w := newLocalWindows(sliding, NewRoom())
		f := func(key string, limit int64, want string) {
			t.Helper()
			if got := ask(t, w, key, limit, 10*time.Second, 1, 1); got != want {
				t.Errorf("%s %d at %v: %s, want %s", key, limit, time.Now().Second(), got, want)
			}
		}
		time.Sleep(4 * time.Second)
		f("a", 4, "ok 3 6s")
		f("a", 4, "ok 2 6s")
		f("a", 4, "ok 1 6s")
		f("a", 4, "ok 0 6s")
		f("a", 4, "no 0 6s") // used up: when the window ends
		time.Sleep(6 * time.Second)
		f("a", 4, "no 0 0s")               // all four of the window before count, but for a moment
		time.Sleep(500 * time.Millisecond) // 4 * 9.5/10 = 3.8 of them
		f("a", 4, "ok 0 9.5s")
		f("a", 4, "no 0 2s") // 3 have to be left: 7.5 s before the end
		time.Sleep(2 * time.Second)
		f("a", 4, "no 0 0s")
		time.Sleep(time.Millisecond)
		f("a", 4, "ok 0 7.5s")
		time.Sleep(7499 * time.Millisecond)
		f("a", 4, "ok 1 10s") // 2 of the window before
		time.Sleep(20 * time.Second)
		f("a", 4, "ok 3 10s") // all is long ago

		// The window before counts no more than the limit of today.
		for range 9 {
			f("b", 100, fmt.Sprintf("ok %d 10s", 99-counter(w, "b")))
		}
		time.Sleep(15 * time.Second)
		f("b", 2, "ok 0 5s")
		f("b", 100, "ok 93 5s") // 9 * 5/10 = 4.5
	})
}

func counter(w *localWindows, key string) int64 {
	e, _ := w.get([]byte(key), w.now())
	return e.v.used
}

// TestSlidingSize holds that a client that sets the size of its window cannot
// empty it by that.
func TestSlidingSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalWindows(sliding, NewRoom())
		time.Sleep(time.Second)
		passed := 0
		for i := range 100 {
			if ask(t, w, "a", 5, time.Duration(7+i%10)*time.Second, 1, 1)[:2] == "ok" {
				passed++
			}
		}
		if passed != 5 {
			t.Errorf("%d of 5 passed", passed)
		}
	})
}

// TestTogether holds that several rules are charged all or not at all.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalWindows(fixed, NewRoom())
		f := func(want string) {
			t.Helper()
			rules := []Rule{
				{Key: []byte("2s"), Limit: 2, Window: 2 * time.Second},
				{Key: []byte("5s"), Limit: 3, Window: 5 * time.Second},
			}
			over, _ := w.Take(rules, 1, 1)
			if got := fmt.Sprint(over, rules[0].Remaining, rules[1].Remaining); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		// limit-count-rules.t 11
		f("-1 1 2")
		f("-1 0 1")
		f("0 0 0")
		f("0 0 0")
		time.Sleep(2 * time.Second)
		f("-1 1 0")
		f("1 1 0") // the first rule keeps what the second refuses
		f("1 1 0")
		time.Sleep(3 * time.Second)
		f("-1 1 2")
		w.Add([]Rule{{Key: []byte("2s"), Limit: 2, Window: 2 * time.Second}, {Key: []byte("5s"), Limit: 3, Window: 5 * time.Second}}, 1)
		f("0 0 0")
	})
}
