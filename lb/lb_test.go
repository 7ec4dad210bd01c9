package lb

import (
	"slices"
	"testing"
)

func set(is ...int) (s Set) {
	for _, i := range is {
		s.Add(i)
	}
	return s
}

func TestSet(t *testing.T) {
	var s Set
	if s.Has(0) || s.Has(1000) || s.Has(-1) || s.Count() != 0 {
		t.Fatal("the zero value is not empty")
	}
	want := []int{0, 63, 64, 200, 200}
	for _, i := range want {
		s.Add(i)
	}
	for i := range 300 {
		if s.Has(i) != slices.Contains(want, i) {
			t.Fatalf("%d: %v", i, s.Has(i))
		}
	}
	if s.Count() != 4 {
		t.Fatalf("count %d", s.Count())
	}
	s.Clear()
	s.Add(130) // what was in the words before must not come back
	if s.Count() != 1 || !s.Has(130) {
		t.Fatalf("%v after Clear", s)
	}
}

// tries picks until nothing is left, as a request does that always fails.
func tries(b *Balancer, key uint32) (out []int) {
	var skip Set
	for {
		i := b.Pick(key, skip)
		if i < 0 {
			return out
		}
		if skip.Has(i) {
			panic("a tried one again")
		}
		skip.Add(i)
		out = append(out, i)
	}
}

func TestPriorities(t *testing.T) {
	ts := []Target{{"a", 1, 0}, {"b", 1, 10}, {"c", 1, -3}, {"d", 1, 10}, {"e", 0, 0}}
	for _, algo := range []Algo{RoundRobin, CHash} {
		b := New(algo, ts)
		if b.Groups() != 3 || b.Len() != 5 {
			t.Fatalf("%d groups of %d", b.Groups(), b.Len())
		}
		for key := range uint32(100) {
			got := tries(b, key<<25)
			slices.Sort(got[:2])
			if !slices.Equal(got, []int{1, 3, 0, 2}) {
				t.Fatalf("%v: %v", algo, got)
			}
		}
	}
}

// TestWeightZero: ai-proxy.md 6.3 and 6.4.
func TestWeightZero(t *testing.T) {
	f := func(algo Algo, ts []Target, down Set, want ...int) {
		t.Helper()
		b := New(algo, ts)
		b.SetDown(down)
		for key := range uint32(50) {
			got := tries(b, Hash([]byte{byte(key)}))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%v of %v without %v: %v instead of %v", algo, ts, down, got, want)
			}
		}
	}
	for _, algo := range []Algo{RoundRobin, CHash} {
		f(algo, group(1, 0), nil, 0)
		f(algo, group(0, 0), nil, 0, 1)
		f(algo, group(0), nil, 0)
		f(algo, group(), nil)
		f(algo, group(3), set(0), 0)
		f(algo, group(1, 1, 0), set(0, 1, 2), 0, 1)
	}
	// Round robin groups are made of what is up, so a lone spare takes over.
	f(RoundRobin, group(1, 0), set(0), 1)
	f(RoundRobin, group(1, 0, 0), set(0), 1, 2)
	// A ring does not change: nobody with a point is up, so all are.
	f(CHash, group(1, 0), set(0), 0)
	f(CHash, []Target{{"a", 1, 1}, {"b", 0, 1}, {"c", 1, 0}}, set(0), 2)
}

func TestSetDown(t *testing.T) {
	ts := []Target{{"a", 1, 1}, {"b", 1, 1}, {"c", 1, 0}}
	for _, algo := range []Algo{RoundRobin, CHash} {
		b := New(algo, ts)
		f := func(down Set, want ...int) {
			t.Helper()
			b.SetDown(down)
			clear(down) // it was copied
			for key := range uint32(20) {
				got := tries(b, Hash([]byte{byte(key)}))
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("%v: %v instead of %v", algo, got, want)
				}
			}
		}
		f(nil, 0, 1, 2)
		f(set(1), 0, 2)
		f(set(0, 1), 2)
		f(set(0, 1, 2), 0, 1, 2)
		f(set(2, 77), 0, 1)
		f(Set{}, 0, 1, 2)
	}
	b := New(RoundRobin, ts)
	b.SetDown(set(0, 1))
	if b.Groups() != 1 {
		t.Fatalf("%d groups", b.Groups())
	}
}

// TestRebuild: a reload that does not change a group does not change its
// rotation either, and requests on the old balancer take part in it.
func TestRebuild(t *testing.T) {
	ts := group(4, 1, 2)
	b := New(RoundRobin, ts)
	n := make([]int, 3)
	for range 7 * 100 {
		n[b.Pick(0, nil)]++
		old := b
		b = b.Rebuild(RoundRobin, slices.Clone(ts))
		n[old.Pick(0, nil)]++
	}
	if !slices.Equal(n, []int{800, 200, 400}) {
		t.Fatalf("%v", n)
	}

	// Another group before it: the indexes move, the rotation goes on.
	b = New(RoundRobin, group(1, 1))
	n = make([]int, 2)
	n[b.Pick(0, nil)]++
	c := b.Rebuild(RoundRobin, append([]Target{{"new", 1, -1}}, group(1, 1)...))
	n[c.Pick(0, nil)-1]++
	if !slices.Equal(n, []int{1, 1}) {
		t.Fatalf("%v", n)
	}

	// Rings are the same when their members are.
	r := New(CHash, ts)
	if s := r.Rebuild(CHash, slices.Clone(ts)); s.tiers[0].ring != r.tiers[0].ring {
		t.Fatal("the same ring was built again")
	}
	if s := r.Rebuild(CHash, group(4, 1, 3)); s.tiers[0].ring == r.tiers[0].ring {
		t.Fatal("the old ring for other weights")
	}
	// There and back: from one algorithm to the other.
	if got := tries(r.Rebuild(RoundRobin, ts).Rebuild(CHash, ts), 7); !slices.Equal(got, tries(r, 7)) {
		t.Fatalf("%v instead of %v", got, tries(r, 7))
	}
}

// TestRebuildDown: who is down stays down over a reload, by name.
func TestRebuildDown(t *testing.T) {
	b := New(RoundRobin, []Target{{"a", 1, 0}, {"b", 1, 0}, {"c", 1, 0}, {"c", 1, 0}})
	b.SetDown(set(1, 2))
	c := b.Rebuild(RoundRobin, []Target{{"c", 2, 0}, {"b", 3, 0}, {"a", 1, 0}, {"d", 1, 0}})
	got := tries(c, 0)
	slices.Sort(got)
	if !slices.Equal(got, []int{0, 2, 3}) {
		t.Fatalf("%v", got)
	}
	c.SetDown(nil)
	if got := tries(c, 0); len(got) != 4 {
		t.Fatalf("%v", got)
	}
}

// TestRandomStart: equal routes do not all begin with the same target.
func TestRandomStart(t *testing.T) {
	var first Set
	for range 1000 {
		first.Add(New(RoundRobin, group(1, 1, 1, 1)).Pick(0, nil))
	}
	if first.Count() != 4 {
		t.Fatalf("only %v come first", first)
	}
}

func TestManyTargets(t *testing.T) {
	ws := make([]int, 5000)
	for i := range ws {
		ws[i] = 1 + i%2
	}
	b := New(RoundRobin, group(ws...))
	seen := make([]bool, len(ws))
	for range ws {
		seen[b.Pick(0, nil)] = true
	}
	if slices.Contains(seen, false) {
		t.Fatal("not everybody had a turn")
	}
}
