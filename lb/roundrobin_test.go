package lb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func group(ws ...int) (ts []Target) {
	for i, w := range ws {
		ts = append(ts, Target{Name: fmt.Sprint("t", i), Weight: w})
	}
	return ts
}

func count(b *Balancer, skip Set, picks int) []int {
	out := make([]int, b.Len())
	for range picks {
		out[b.Pick(0, skip)]++
	}
	return out
}

// TestRoundRobinCycle: exact counts in every run of picks as long as a cycle,
// wherever it begins.
func TestRoundRobinCycle(t *testing.T) {
	f := func(ws ...int) {
		t.Helper()
		want := divide(weights(group(ws...), seq(len(ws))))
		cycle := 0
		for _, n := range want {
			cycle += int(n)
		}
		b := New(RoundRobin, group(ws...))
		var picks []int
		for range 3 * cycle {
			picks = append(picks, b.Pick(0, nil))
		}
		got := make([]uint64, len(ws))
		for i, p := range picks {
			got[p]++
			if i >= cycle {
				got[picks[i-cycle]]--
			}
			if i >= cycle-1 && !slices.Equal(got, want) {
				t.Fatalf("%v: cycle ending at %d: %v instead of %v", ws, i, got, want)
			}
		}
	}
	f(1)
	f(0)
	f(1, 1)
	f(4, 1)
	f(8, 2)
	f(0, 0, 0)
	f(0, 3, 0, 5)
	f(-1, 2, 2)
	f(5, 1, 1)
	f(100, 50)
	f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	f(4095, 1)
	f(1000000, 3000000)
	f(math.MaxInt, math.MaxInt)
	for range 100 {
		ws := make([]int, 1+rand.IntN(8))
		for i := range ws {
			ws[i] = rand.IntN(100)
		}
		f(ws...)
	}
}

func seq(n int) (out []int32) {
	for i := range n {
		out = append(out, int32(i))
	}
	return out
}

// TestTenPicks is the promise in the words: 4:1 gives 8 and 2 of any ten.
func TestTenPicks(t *testing.T) {
	b := New(RoundRobin, group(4, 1))
	for range 100 {
		if got := count(b, nil, 10); got[0] != 8 || got[1] != 2 {
			t.Fatalf("%v", got)
		}
		b.Pick(0, nil)
	}
}

// TestSmooth: nobody waits much longer than a fair share of the cycle.
func TestSmooth(t *testing.T) {
	f := func(want string, ws ...uint64) {
		t.Helper()
		got := ""
		for _, m := range schedule(seq(len(ws)), ws) {
			got += string(rune('A' + m))
		}
		if got != want {
			t.Errorf("%v: %s instead of %s", ws, got, want)
		}
	}
	f("AABAA", 4, 1)
	f("AABACAA", 5, 1, 1)
	f("ABC", 1, 1, 1)
	f("ABAB", 2, 2)
	f("B", 0, 1)
}

func TestReduce(t *testing.T) {
	f := func(limit int, ws []uint64, want []uint64) {
		t.Helper()
		if got := reduce(ws, limit); !slices.Equal(got, want) {
			t.Errorf("%v: %v instead of %v", ws, got, want)
		}
	}
	f(10, []uint64{4, 2, 0}, []uint64{2, 1, 0})
	f(10, []uint64{9, 1}, []uint64{9, 1})
	f(10, []uint64{10, 1}, []uint64{9, 1})
	f(10, []uint64{1000, 1}, []uint64{9, 1})
	f(10, []uint64{1000, 1, 1}, []uint64{8, 1, 1})
	f(3, []uint64{5, 7, 9, 11}, []uint64{1, 1, 1, 1})
	f(10, []uint64{7, 7, 6}, []uint64{4, 3, 3})
	f(4096, []uint64{1000000, 1}, []uint64{4095, 1})

	for range 2000 {
		ws := make([]uint64, 1+rand.IntN(20))
		sum := uint64(0)
		for i := range ws {
			ws[i] = uint64(rand.Uint32()) >> rand.IntN(32)
			sum += ws[i]
		}
		limit := 1 + rand.IntN(5000)
		got := reduce(ws, limit)
		total := uint64(0)
		for i := range ws {
			if (got[i] == 0) != (ws[i] == 0) {
				t.Fatalf("%v at %d: %v", ws, limit, got)
			}
			for j := range ws {
				if ws[i] > ws[j] && got[i] < got[j] {
					t.Fatalf("%v at %d: %v turns the order round", ws, limit, got)
				}
			}
			total += got[i]
		}
		if total > uint64(max(limit, len(ws))) {
			t.Fatalf("%v at %d: %v is too long", ws, limit, got)
		}
	}
}

// TestDetour: with the same members left out the others share by weight,
// exactly, and the rotation of those who leave nobody out does not notice.
func TestDetour(t *testing.T) {
	b := New(RoundRobin, group(2, 1, 1))
	var skip Set
	skip.Add(0)
	var plain []int
	for range 100 {
		if got := count(b, skip, 2); got[1] != 1 || got[2] != 1 {
			t.Fatalf("%v", got)
		}
		plain = append(plain, b.Pick(0, nil))
	}
	for i := 4; i <= len(plain); i++ {
		n := [3]int{}
		for _, p := range plain[i-4 : i] {
			n[p]++
		}
		if n != [3]int{2, 1, 1} {
			t.Fatalf("%v", n)
		}
	}

	// Retries that alternate between two skip sets stay fair in each.
	x, y := Set{1}, Set{2}
	b = New(RoundRobin, group(1, 1, 1, 1))
	var nx, ny [4]int
	for range 300 {
		nx[b.Pick(0, x)]++
		ny[b.Pick(0, y)]++
	}
	if nx != [4]int{0, 100, 100, 100} || ny != [4]int{100, 0, 100, 100} {
		t.Fatalf("%v %v", nx, ny)
	}
}
