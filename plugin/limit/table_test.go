package limit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/plugin"
)

func keys(w *localWindows) (n int) {
	for i := range w.shards {
		n += len(w.shards[i].entries)
	}
	return n
}

// TestMemory holds that keys of clients fill no more than the room.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := &Room{max: 10000}
		w := newLocalWindows(fixed, room)
		small := newLocalWindows(fixed, room)
		for i := range 100_000 {
			ask(t, w, fmt.Sprint("key-", i), 1, time.Minute, 1, 1)
		}
		if n := keys(w); n > 10000+shardCount || n < 9000 {
			t.Errorf("%d keys in a room for 10000", n)
		}
		// The newest are the ones that are there, and the small one has room.
		if got := ask(t, w, "key-99999", 1, time.Minute, 1, 1); got != "no 0 1m0s" {
			t.Errorf("the newest: %s", got)
		}
		for range 2 {
			for i := range 200 {
				ask(t, small, fmt.Sprint(i), 2, time.Minute, 1, 1)
			}
		}
		for i := range 200 {
			if got := ask(t, small, fmt.Sprint(i), 2, time.Minute, 1, 1); got != "no 0 1m0s" {
				t.Fatalf("another owner's keys push out key %d: %s", i, got)
			}
		}
		// What is over goes as others come.
		time.Sleep(time.Minute)
		if w.Busy() {
			t.Error("busy with windows that are over")
		}
		for i := range 20_000 {
			ask(t, w, fmt.Sprint("new-", i%100), 1, time.Minute, 1, 0)
		}
		if n := keys(w); n > 5000 {
			t.Errorf("%d keys, 100 of them in use", n)
		}
		if !w.Busy() {
			t.Error("not busy")
		}
		w.Close()
		small.Close()
		if n := room.used.Load(); n != 0 || keys(w) != 0 {
			t.Errorf("%d used of the room, %d keys", n, keys(w))
		}
		ask(t, w, "after", 1, time.Minute, 1, 1)
	})
}

// TestShardMax holds that one owner cannot take all of the room.
func TestShardMax(t *testing.T) {
	w := newLocalWindows(fixed, NewRoom())
	for i := range shardCount*shardMax + 50_000 {
		w.Take([]Rule{{Key: fmt.Append(nil, i), Limit: 1, Window: time.Hour}}, 1, 1)
	}
	if n := keys(w); n > shardCount*shardMax {
		t.Errorf("%d keys", n)
	}
}

// hammer calls f from 64 goroutines and returns how often it was true.
func hammer(times int, f func(worker, i int) bool) int64 {
	var wg sync.WaitGroup
	var yes atomic.Int64
	for w := range 64 {
		wg.Go(func() {
			for i := range times {
				if f(w, i) {
					yes.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return yes.Load()
}

// TestExact holds that exactly the limit passes, however many ask at once.
func TestExact(t *testing.T) {
	room := NewRoom()
	for _, kind := range []windowKind{fixed, sliding} {
		w := newLocalWindows(kind, room)
		// A sliding window must not end meanwhile, nor the one before count.
		size := 1000 * time.Hour
		got := hammer(500, func(int, int) bool {
			over, _ := w.Take([]Rule{{Key: []byte("k"), Limit: 1000, Window: size}}, 1, 1)
			return over < 0
		})
		if got != 1000 {
			t.Errorf("%v: %d of 1000 passed", kind, got)
		}
		// Rules that share keys in different orders.
		got = hammer(300, func(n, _ int) bool {
			rules := []Rule{{Key: []byte("x"), Limit: 700, Window: size}, {Key: fmt.Append(nil, "y", n%3), Limit: 400, Window: size}}
			if n%2 == 0 {
				rules[0], rules[1] = rules[1], rules[0]
			}
			over, _ := w.Take(rules, 1, 1)
			return over < 0
		})
		if got != 700 {
			t.Errorf("%v: %d of 700 passed by two rules", kind, got)
		}
		var sum int64
		for i := range 3 {
			r := []Rule{{Key: fmt.Append(nil, "y", i), Limit: 400, Window: size}}
			w.Take(r, 0, 0)
			sum += 400 - r[0].Remaining
		}
		if sum != 700 {
			t.Errorf("%v: refused requests were charged: %d", kind, sum)
		}
	}
	b := newLocalBuckets(room)
	if got := hammer(100, func(int, int) bool { _, ok, _ := b.Take([]byte("k"), 1e-9, 99); return ok }); got != 100 {
		t.Errorf("%d of 100 were let into the bucket", got)
	}
	l := newLocalSlots(room)
	var most, now atomic.Int64
	hammer(500, func(int, int) bool {
		c := new(plugin.Ctx)
		if full, _ := l.Enter(c, []Share{{Key: []byte("k"), Max: 5}}); full >= 0 {
			return false
		}
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		now.Add(-1)
		c.End()
		return true
	})
	if most.Load() > 5 {
		t.Errorf("%d requests under way, 5 may be", most.Load())
	}
	c := new(plugin.Ctx)
	for range 5 {
		if full, _ := l.Enter(c, []Share{{Key: []byte("k"), Max: 5}}); full >= 0 {
			t.Error("slots are lost")
		}
	}
	c.End()
}

func TestBudgetLocal(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	room := NewRoom()
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(200, do); n != 0 {
			t.Errorf("%s: %v allocations for a key that is known", what, n)
		}
	}
	rules := []Rule{{Key: []byte("192.0.2.1"), Limit: 1 << 40, Window: time.Hour}, {Key: []byte("jill"), Limit: 1 << 40, Window: time.Hour}}
	for _, kind := range []windowKind{fixed, sliding} {
		var w Windows = newLocalWindows(kind, room)
		f("one rule", func() { w.Take(rules[:1], 1, 1) })
		f("two rules", func() { w.Take(rules, 1, 1) })
		f("a look", func() { w.Take(rules, 1, 0) })
		f("a cost", func() { w.Add(rules, 7) })
	}
	var b Buckets = newLocalBuckets(room)
	f("a bucket", func() { b.Take(rules[0].Key, 1e9, 10) })
	var l Slots = newLocalSlots(room)
	c := new(plugin.Ctx)
	shares := []Share{{Key: rules[0].Key, Max: 5}, {Key: rules[1].Key, Max: 5}}
	f("slots", func() { l.Enter(c, shares); c.End() })
}
