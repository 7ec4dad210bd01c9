package lb

import (
	"fmt"
	"testing"
)

func instances(n int) (ts []Target) {
	for i := range n {
		ts = append(ts, Target{Name: fmt.Sprintf("instance-%d", i), Weight: 1 + i%3})
	}
	return ts
}

func BenchmarkPick(b *testing.B) {
	f := func(name string, bal *Balancer, skip Set) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			key := uint32(0)
			for b.Loop() {
				key += 0x9E3779B9
				bal.Pick(key, skip)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				key := uint32(0)
				for pb.Next() {
					key += 0x9E3779B9
					bal.Pick(key, skip)
				}
			})
		})
	}
	two, many := group(4, 1), instances(32)
	f("roundrobin/2", New(RoundRobin, two), nil)
	f("roundrobin/32", New(RoundRobin, many), nil)
	f("roundrobin/32/retry", New(RoundRobin, many), set(3, 7))
	f("chash/2", New(CHash, two), nil)
	f("chash/32", New(CHash, many), nil)
	f("chash/32/retry", New(CHash, many), set(3, 7))
	down := New(CHash, many)
	down.SetDown(set(1, 2, 3, 4, 5, 6, 7, 8))
	f("chash/32/8 down", down, nil)
}

func BenchmarkHash(b *testing.B) {
	key := []byte("session-0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		Hash(key)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, algo := range []Algo{RoundRobin, CHash} {
		b.Run(algo.String(), func(b *testing.B) {
			for b.Loop() {
				New(algo, instances(32))
			}
		})
	}
	b.Run("chash/largest", func(b *testing.B) {
		for b.Loop() {
			New(CHash, group(maxRingUnits-1, 1))
		}
	})
	b.Run("roundrobin/4096", func(b *testing.B) {
		for b.Loop() {
			New(RoundRobin, instances(4096))
		}
	})
}

func BenchmarkSetDown(b *testing.B) {
	bal := New(RoundRobin, instances(32))
	s := set(5)
	for b.Loop() {
		bal.SetDown(nil)
		bal.SetDown(s)
	}
}
