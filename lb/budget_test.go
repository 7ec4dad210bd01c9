package lb

import "testing"

func TestBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := func(name string, fn func()) {
		t.Helper()
		fn()
		if n := testing.AllocsPerRun(1000, fn); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	ts := append(group(4, 1, 2, 3), Target{Name: "low", Weight: 1, Priority: -1})
	rr, ch := New(RoundRobin, ts), New(CHash, ts)
	skip, down := make(Set, 0, 1), set(1)
	key := []byte("127.0.0.1")
	f("round robin", func() { rr.Pick(0, nil) })
	f("chash", func() { ch.Pick(Hash(key), nil) })
	walk := func(b *Balancer) func() {
		return func() {
			skip.Clear()
			for {
				i := b.Pick(Hash(key), skip)
				if i < 0 {
					return
				}
				skip.Add(i)
			}
		}
	}
	f("round robin until nothing is left", walk(rr))
	f("chash until nothing is left", walk(ch))
	rr.SetDown(down)
	ch.SetDown(down)
	f("round robin with one down", walk(rr))
	f("chash with one down", walk(ch))
	h, th := Health{}, DefaultThresholds
	f("report", func() { h.Report(TCPFailure, &th); h.Report(Success, &th) })
}
