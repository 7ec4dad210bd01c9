package engine

import (
	"fmt"
	"runtime"
	"testing"

	"headrace/conf"
)

// manyRoutes are AI routes as tenants have them.
func manyRoutes(n int) []conf.Item {
	items := make([]conf.Item, n)
	for i := range items {
		items[i] = conf.Item{Kind: conf.Routes, ID: fmt.Sprint("r", i), Rev: int64(i + 1), Created: int64(i + 1), Raw: fmt.Appendf(nil,
			`{"id":"r%d","uri":"/team%d/v1/chat/completions","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer sk-%d"}},"options":{"model":"gpt-4o"}}}}`, i, i, i)}
	}
	return items
}

func newEngine(t testing.TB) *Engine {
	e, err := New(Options{RouteCacheBytes: 64 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// changeOne puts another value of one of many routes in force.
func changeOne(e *Engine, it conf.Item, rev int64) {
	it.Rev = rev
	e.change(func(s *Snapshot) *Snapshot { return s.apply(e, []conf.Change{{Item: it}}, rev) })
}

func liveBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A change costs what it changes: the same number of allocations whatever the
// number of routes, and a cold route is small.
func TestChangeBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	cost := map[int]float64{}
	for _, n := range []int{1000, 8000} {
		e := newEngine(t)
		items := manyRoutes(n)
		before := liveBytes()
		e.load(items, int64(n))
		if each := (liveBytes() - before) / int64(n); each > 4<<10 {
			t.Errorf("a cold route of %d takes %d bytes", n, each)
		}
		rev := int64(n)
		cost[n] = testing.AllocsPerRun(20, func() {
			rev++
			changeOne(e, items[rev%int64(n)], rev)
		})
	}
	t.Logf("allocations for one change: %v", cost)
	if cost[8000] > cost[1000]*1.1 || cost[1000] > 1000 {
		t.Errorf("one change of 1,000 routes takes %v allocations, of 8,000 %v", cost[1000], cost[8000])
	}
}

func BenchmarkLoad10000(b *testing.B) {
	items := manyRoutes(10_000)
	for b.Loop() {
		e := newEngine(b)
		e.load(items, 1)
	}
}

func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := newEngine(b)
			items := manyRoutes(n)
			before := liveBytes()
			e.load(items, int64(n))
			b.ReportMetric(float64(liveBytes()-before)/float64(n), "B/route")
			rev := int64(n)
			b.ReportAllocs()
			for b.Loop() {
				rev++
				changeOne(e, items[rev%int64(n)], rev)
			}
		})
	}
}
