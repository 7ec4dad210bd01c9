package sse

import (
	"strings"
	"testing"
	"time"
)

func BenchmarkFrames(b *testing.B) {
	f := func(name, stream string, piece, events int) {
		b.Run(name, func(b *testing.B) {
			var s Frames
			in := []byte(stream)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				s.Init()
				n := 0
				for p := in; len(p) > 0; {
					k := min(piece, len(p))
					s.Reset(p[:k])
					for s.Next() {
						n++
					}
					p = p[k:]
				}
				if n != events {
					b.Fatalf("%d events", n)
				}
			}
			perEvent(b, events)
		})
	}
	f("bedrock", strings.Repeat(delta, 50), 1<<20, 50)
	f("bedrock/read", strings.Repeat(delta, 50), len(delta), 50)
	f("bedrock/split", strings.Repeat(delta, 50), 150, 50)
	f("huge", event("e", strings.Repeat("x", 1<<20)), 100, 1)
}

func BenchmarkRelayFrames(b *testing.B) {
	var r Relay
	ev := []byte(delta)
	r.StartFrames(blind{}, nil, Limits{MaxDuration: time.Hour}, time.Now(), true)
	b.SetBytes(int64(len(ev)))
	b.ReportAllocs()
	for b.Loop() {
		r.Step(ev)
	}
}
