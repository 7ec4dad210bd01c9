package lb

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	stressers = 64
	allPicks  = 1_000_000
)

// stress lets 64 goroutines pick a million times while disturb is called over
// and over, and returns how often each target was picked.
func stress(n int, pick func() int, disturb func(r *rand.Rand)) []int {
	counts := make([]atomic.Int64, n)
	var picked atomic.Int64
	var over atomic.Bool
	var pickers, other sync.WaitGroup
	other.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for !over.Load() {
			disturb(r)
		}
	})
	for range stressers {
		pickers.Go(func() {
			for picked.Add(1) <= allPicks {
				counts[pick()].Add(1)
			}
		})
	}
	pickers.Wait()
	over.Store(true)
	other.Wait()
	out := make([]int, n)
	for i := range counts {
		out[i] = int(counts[i].Load())
	}
	return out
}

// TestStressExact: the group in use does not change, while the one below it
// fails and recovers and the configuration is loaded again and again.
func TestStressExact(t *testing.T) {
	ts := []Target{{"a", 4, 1}, {"b", 1, 1}, {"c", 3, 1}, {"d", 1, 0}, {"e", 2, 0}}
	var cur atomic.Pointer[Balancer]
	cur.Store(New(RoundRobin, ts))
	reloads := 0
	got := stress(5, func() int { return cur.Load().Pick(0, nil) }, func(r *rand.Rand) {
		b := cur.Load()
		if reloads++; reloads%3 == 0 {
			b = b.Rebuild(RoundRobin, slices.Clone(ts))
			cur.Store(b)
		}
		b.SetDown(Set{uint64(r.IntN(4)) << 3})
	})
	t.Logf("%d changes, %v", reloads, got)
	if want := []int{allPicks / 2, allPicks / 8, allPicks * 3 / 8, 0, 0}; !slices.Equal(got, want) {
		t.Fatalf("%v instead of %v", got, want)
	}
}

// TestStressChange: members of the group in use come and go, requests retry. A
// pick always succeeds, never returns what was tried, and never what was down
// all the time.
func TestStressChange(t *testing.T) {
	ts := []Target{{"a", 4, 0}, {"b", 1, 0}, {"c", 3, 0}, {"d", 1, 0}, {"e", 2, -1}}
	for _, algo := range []Algo{RoundRobin, CHash} {
		b := New(algo, ts)
		b.SetDown(set(3))
		var cur atomic.Pointer[Balancer]
		cur.Store(b)
		got := stress(5, func() int {
			b, skip := cur.Load(), make(Set, 0, 1)
			first := b.Pick(rand.Uint32(), skip)
			if first < 0 {
				t.Error("nothing to pick")
				return 3
			}
			skip.Add(first)
			if second := b.Pick(rand.Uint32(), skip); second == first {
				t.Error("a tried one again")
			}
			return first
		}, func(r *rand.Rand) {
			b := cur.Load()
			if r.IntN(4) == 0 {
				b = b.Rebuild(algo, ts)
				cur.Store(b)
			}
			b.SetDown(Set{8 | uint64(r.IntN(4))}) // d always; a, b at times
		})
		t.Logf("%v: %v", algo, got)
		if got[3] != 0 {
			t.Fatalf("%v: %d picks of what is down", algo, got[3])
		}
		if got[4] != 0 || got[2] == 0 {
			t.Fatalf("%v: the group was left although c is up: %v", algo, got)
		}
		b = cur.Load()
		b.SetDown(nil)
		if algo == RoundRobin {
			if n := count(b, nil, 9); !slices.Equal(n, []int{4, 1, 3, 1, 0}) {
				t.Fatalf("after all has settled: %v", n)
			}
		}
	}
}
