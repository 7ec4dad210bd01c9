package lb

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// checkPick runs a program of operations on a balancer and its twin. Two bytes
// make an operation; where they end, zeros follow.
func checkPick(t *testing.T, program []byte) {
	next := func() int {
		if len(program) == 0 {
			return 0
		}
		b := program[0]
		program = program[1:]
		return int(b)
	}
	some := func(n int) (s Set, m map[int]bool) {
		m = map[int]bool{}
		bits := next() | next()<<8
		for i := range n {
			if bits>>(i%16)&1 != 0 {
				s.Add(i)
				m[i] = true
			}
		}
		return s, m
	}
	configure := func() (Algo, []Target) {
		algo := Algo(next() % 2)
		ts := make([]Target, next()%8)
		for i := range ts {
			x := next()
			ts[i] = Target{Name: fmt.Sprint("t", x>>5, ":", i%5), Weight: x % 8, Priority: x >> 3 % 3}
		}
		return algo, ts
	}

	w := &twin{}
	w.algo, w.targets = configure()
	b := New(w.algo, w.targets)
	for ops := 0; len(program) > 0 && ops < 60; ops++ {
		switch op := next(); op % 8 {
		case 0:
			var down Set
			down, w.down = some(len(w.targets))
			b.SetDown(down)
		case 1:
			old := w.down
			names := map[string]bool{}
			for i, x := range w.targets {
				before, known := names[x.Name]
				names[x.Name] = old[i] && (before || !known)
			}
			w.algo, w.targets = configure()
			b = b.Rebuild(w.algo, w.targets)
			w.down = map[int]bool{}
			for i, x := range w.targets {
				w.down[i] = names[x.Name]
			}
		default:
			skip, m := some(len(w.targets))
			if w.algo == CHash {
				key := uint32(next())<<24 | uint32(next())<<16 | rand.Uint32N(1<<16)
				if got, want := b.Pick(key, skip), w.hit(key, m); got != want {
					t.Fatalf("%+v: key %08x skip %v: %d instead of %d", w, key, m, got, want)
				}
				continue
			}
			shares, cycle := w.shares(m), 0
			for _, n := range shares {
				cycle += n
			}
			if cycle == 0 {
				if got := b.Pick(0, skip); got != -1 {
					t.Fatalf("%+v: skip %v: %d although nothing is left", w, m, got)
				}
				continue
			}
			got := map[int]int{}
			for range cycle {
				got[b.Pick(rand.Uint32(), skip)]++
			}
			if fmt.Sprint(got) != fmt.Sprint(shares) {
				t.Fatalf("%+v: skip %v: %v instead of %v", w, m, got, shares)
			}
		}
	}
}

func TestPickTwin(t *testing.T) {
	n := 300
	if raceEnabled {
		n = 30 // one goroutine, and the twin is slow enough
	}
	for range n {
		program := make([]byte, 200)
		for i := range program {
			program[i] = byte(rand.Uint32())
		}
		checkPick(t, program)
	}
}

func FuzzPick(f *testing.F) {
	f.Add([]byte{0, 3, 4, 1, 0, 2, 1, 0, 0, 2, 0, 2, 3, 0, 2})
	f.Add([]byte{1, 5, 4, 33, 66, 99, 255, 2, 0, 0, 17, 34, 0, 3, 0, 2, 1, 0, 99, 1, 0, 2, 7, 9, 2})
	f.Fuzz(checkPick)
}
