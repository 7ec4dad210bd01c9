package lb

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// TestChashVectors holds every lookup recorded from lua-resty-chash.
func TestChashVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/chash.json")
	if err != nil {
		t.Fatal(err)
	}
	var rings []struct {
		Nodes []struct {
			Name   string
			Weight int
		}
		Lookups []struct {
			Key   string
			Order []string
		}
	}
	if err := json.Unmarshal(raw, &rings); err != nil {
		t.Fatal(err)
	}
	lookups := 0
	for _, r := range rings {
		var ts []Target
		for _, n := range r.Nodes {
			ts = append(ts, Target{Name: n.Name, Weight: n.Weight})
		}
		b := New(CHash, ts)
		for _, l := range r.Lookups {
			lookups++
			var skip Set
			for _, want := range l.Order {
				i := b.Pick(Hash([]byte(l.Key)), skip)
				if i < 0 || ts[i].Name != want {
					t.Fatalf("%v: key %q: got %d after %v, want %q", ts, l.Key, i, skip, want)
				}
				skip.Add(i)
			}
			if i := b.Pick(Hash([]byte(l.Key)), skip); i != -1 {
				t.Fatalf("%v: key %q: got %d when all are tried", ts, l.Key, i)
			}
		}
	}
	if lookups != 318 {
		t.Fatalf("%d lookups instead of 318", lookups)
	}
}

// TestChashGolden holds section 11 of ai-proxy.md.
func TestChashGolden(t *testing.T) {
	points := func(name string, n int, want ...string) {
		t.Helper()
		ps := appendPoints(nil, name, 0, n)
		for i, w := range want {
			if got := fmt.Sprintf("%08x", ps[i]>>32); got != w {
				t.Errorf("point %d of %q is %s instead of %s", i, name, got, w)
			}
		}
	}
	points("openai", 640, "27cda4fa", "cb39bbed", "c8e1ba6c")
	points("deepseek", 160, "fbe58a07", "83f600d5", "dc38570d")
	points("gpu-a", 480, "d36bdeca", "d45ff990", "68a32067")
	points("gpu-b", 960, "94cba41a", "aa72bf85", "ab440abc")
	points("gpu-c", 1600, "a9ab8daa", "80698276", "5cc9eeca")

	two := []Target{{Name: "openai", Weight: 4}, {Name: "deepseek", Weight: 1}}
	gpu := []Target{{Name: "gpu-a", Weight: 3}, {Name: "gpu-b", Weight: 6}, {Name: "gpu-c", Weight: 10}}
	rt, rg := newRing(two, []int32{0, 1}), newRing(gpu, []int32{0, 1, 2})
	ends := func(r *ring, n int, low, high string) {
		t.Helper()
		got := fmt.Sprintf("%d %08x %08x", len(r.hashes), r.hashes[0], r.hashes[len(r.hashes)-1])
		if want := fmt.Sprintf("%d %s %s", n, low, high); got != want {
			t.Errorf("ring is %s instead of %s", got, want)
		}
	}
	ends(rt, 800, "00257443", "fffc8b78")
	ends(rg, 3040, "001d9f3d", "fffc1a0c")

	f := func(key, crc, first string, at, on int, gfirst, gnext string, gat int) {
		t.Helper()
		h := Hash([]byte(key))
		if got := fmt.Sprintf("%08x", h); got != crc {
			t.Errorf("crc of %q is %s instead of %s", key, got, crc)
		}
		i := rt.find(h)
		if i != at || two[rt.owner[i]].Name != first {
			t.Errorf("key %q: %s at %d instead of %s at %d", key, two[rt.owner[i]].Name, i, first, at)
		}
		for n := 1; n <= on; n++ {
			if other := rt.owner[(i+n)%800] != rt.owner[i]; other != (n == on) {
				t.Errorf("key %q: another instance: %v after %d points", key, other, n)
			}
		}
		i = rg.find(h)
		if i != gat || gpu[rg.owner[i]].Name != gfirst {
			t.Errorf("key %q: %s at %d instead of %s at %d", key, gpu[rg.owner[i]].Name, i, gfirst, gat)
		}
		if gnext != "" {
			var skip Set
			skip.Add(int(rg.owner[i]))
			if n := gpu[rg.pick(h, skip, nil)].Name; n != gnext {
				t.Errorf("key %q: retry at %s instead of %s", key, n, gnext)
			}
		}
	}
	f("index=1", "b0221fb2", "openai", 563, 0, "gpu-c", "", 2091)
	f("index=2", "292b4e08", "deepseek", 136, 0, "gpu-c", "", 473)
	f("index=3", "5e2c7e9e", "openai", 300, 0, "gpu-c", "", 1140)
	f("index=4", "c048eb3d", "deepseek", 612, 0, "gpu-c", "", 2295)
	f("index=5", "b74fdbab", "openai", 579, 0, "gpu-b", "", 2175)
	f("index=6", "2e468a11", "openai", 149, 0, "gpu-b", "", 535)
	f("index=7", "5941ba87", "openai", 279, 0, "gpu-c", "", 1064)
	f("index=8", "c9fea716", "openai", 636, 0, "gpu-c", "", 2413)
	f("index=9", "bef99780", "openai", 605, 0, "gpu-c", "", 2272)
	f("index=10", "d1042f9e", "openai", 659, 0, "gpu-c", "", 2478)
	f("127.0.0.1", "d7b7e7a8", "openai", 673, 12, "gpu-a", "gpu-c", 2573)
	f("session-1", "23c0be2e", "openai", 115, 17, "gpu-b", "gpu-c", 421)
	f("user-42", "7d06b873", "openai", 393, 2, "gpu-c", "gpu-a", 1498)
	f("", "00000000", "openai", 0, 7, "gpu-b", "gpu-c", 0)
}

// checkRing compares every place where the answer can change, and some others.
func checkRing(t *testing.T, ts []Target) {
	t.Helper()
	w := &twin{algo: CHash, targets: ts}
	group := w.groups()[0]
	want := twinRing(ts, w.weights(group))
	var members []int32
	for _, i := range group {
		members = append(members, int32(i))
	}
	r := newRing(ts, members)
	if len(want) != len(r.hashes) {
		t.Fatalf("%v: %d points instead of %d", ts, len(r.hashes), len(want))
	}
	for i, p := range want {
		if r.hashes[i] != p.hash || int(r.owner[i]) != p.i {
			t.Fatalf("%v: point %d is %08x of %d instead of %08x of %d", ts, i, r.hashes[i], r.owner[i], p.hash, p.i)
		}
	}
	f := func(key uint32) {
		t.Helper()
		at, _ := slices.BinarySearchFunc(want, key, func(p twinPoint, k uint32) int {
			return int(int64(p.hash) - int64(k))
		})
		if at == len(want) {
			at = 0
		}
		if got := r.find(key); got != at {
			t.Fatalf("%v: key %08x is at %d instead of %d", ts, key, got, at)
		}
	}
	f(0)
	f(1<<32 - 1)
	for _, p := range want {
		f(p.hash - 1)
		f(p.hash)
		f(p.hash + 1)
	}
	for range 1000 {
		f(rand.Uint32())
	}
}

func TestRingTwin(t *testing.T) {
	f := func(ts ...Target) {
		t.Helper()
		checkRing(t, ts)
	}
	f(Target{Name: "a", Weight: 7})
	f(Target{Name: "", Weight: 0})
	f(Target{Name: "a"}, Target{Name: "b"})
	f(Target{Name: "a", Weight: 0}, Target{Name: "b", Weight: 2}, Target{Name: "c", Weight: 6})
	f(Target{Name: "a", Weight: -5}, Target{Name: "b", Weight: 3})
	f(Target{Name: "same", Weight: 1}, Target{Name: "same", Weight: 1})
	f(Target{Name: "10.0.0.1:80", Weight: 1}, Target{Name: "10.0.0.1\x0080", Weight: 1}, Target{Name: ":::", Weight: 2})
	var many []Target
	for i := range 100 {
		many = append(many, Target{Name: fmt.Sprintf("10.0.%d.1:8080", i), Weight: i % 5})
	}
	f(many...)
}

// TestRingCap: a ring whose weights are out of all proportion stays bounded and
// nobody loses all of their points.
func TestRingCap(t *testing.T) {
	ts := []Target{{Name: "a", Weight: 1 << 40}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1000003}}
	r := newRing(ts, []int32{0, 1, 2})
	if n := len(r.hashes); n > maxRingUnits*pointsPerUnit {
		t.Fatalf("%d points", n)
	}
	var skip Set
	for range ts {
		i := r.pick(42, skip, nil)
		if i < 0 {
			t.Fatalf("nothing left after %v", skip)
		}
		skip.Add(i)
	}
	if i := r.pick(42, skip, nil); i != -1 {
		t.Fatalf("got %d", i)
	}
}

// TestChashStable: a flap moves the keys of the one that flaps and no other.
func TestChashStable(t *testing.T) {
	var ts []Target
	for i := range 8 {
		ts = append(ts, Target{Name: fmt.Sprint("i", i), Weight: 1 + i%3})
	}
	b := New(CHash, ts)
	var before []int
	for k := range 5000 {
		before = append(before, b.Pick(Hash(fmt.Append(nil, k)), nil))
	}
	b.SetDown(Set{1 << 3})
	for k, was := range before {
		got := b.Pick(Hash(fmt.Append(nil, k)), nil)
		if got == 3 || was != 3 && got != was {
			t.Fatalf("key %d went from %d to %d", k, was, got)
		}
	}
	b.SetDown(nil)
	for k, was := range before {
		if got := b.Pick(Hash(fmt.Append(nil, k)), nil); got != was {
			t.Fatalf("key %d went from %d to %d and did not return", k, was, got)
		}
	}
}

func FuzzRing(f *testing.F) {
	f.Add("openai", 4, "deepseek", 1, "", 0)
	f.Add("a:1", 0, "a\x001", 0, "b", 0)
	f.Add("x", 100, "y", 50, "z", 75)
	f.Fuzz(func(t *testing.T, n1 string, w1 int, n2 string, w2 int, n3 string, w3 int) {
		checkRing(t, []Target{{Name: n1, Weight: w1 % 100}, {Name: n2, Weight: w2 % 100}, {Name: n3, Weight: w3 % 100}})
	})
}
