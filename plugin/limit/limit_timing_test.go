package limit

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"headrace/plugin"
)

func BenchmarkTake(b *testing.B) {
	f := func(name string, kind windowKind, rules, keys int) {
		b.Run(name, func(b *testing.B) {
			w := newLocalWindows(kind, NewRoom())
			all := make([][]byte, keys)
			for i := range all {
				all[i] = fmt.Append(nil, "192.0.2.", i)
			}
			var worker atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := make([]Rule, rules)
				for i := int(worker.Add(7919)); pb.Next(); i++ {
					for j := range r {
						r[j] = Rule{Key: all[(i+j)%keys], Limit: 1 << 50, Window: time.Minute}
					}
					w.Take(r, 1, 1)
				}
			})
		})
	}
	f("fixed/one key", fixed, 1, 1)
	f("fixed/10000 keys", fixed, 1, 10000)
	f("fixed/3 rules", fixed, 3, 10000)
	f("sliding/10000 keys", sliding, 1, 10000)
}

// BenchmarkFlood is what a client costs that comes with a new key each time.
func BenchmarkFlood(b *testing.B) {
	w := newLocalWindows(fixed, NewRoom())
	r := []Rule{{Limit: 1, Window: time.Hour}}
	var key []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key = fmt.Append(key[:0], "key-", i)
		r[0].Key = key
		w.Take(r, 1, 1)
	}
}

func BenchmarkBucket(b *testing.B) {
	l := newLocalBuckets(NewRoom())
	b.ReportAllocs()
	for b.Loop() {
		l.Take([]byte("192.0.2.1"), 1e9, 1)
	}
}

func BenchmarkSlots(b *testing.B) {
	l, c := newLocalSlots(NewRoom()), new(plugin.Ctx)
	shares := []Share{{Key: []byte("192.0.2.1"), Max: 5}}
	b.ReportAllocs()
	for b.Loop() {
		l.Enter(c, shares)
		c.End()
	}
}
