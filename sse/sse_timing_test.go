package sse

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// perEvent reports the time of one event where an operation handles several.
func perEvent(b *testing.B, events int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
}

func BenchmarkScan(b *testing.B) {
	f := func(name, stream string, piece, events int) {
		b.Run(name, func(b *testing.B) {
			var s Scanner
			in := []byte(stream)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				s.Init(1 << 20)
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
	f("openai", strings.Repeat(openAI, 50), 1<<20, 50)
	f("openai/read", strings.Repeat(openAI, 50), len(openAI), 50)
	f("openai/split", strings.Repeat(openAI, 50), 200, 50)
	f("anthropic", strings.Repeat(anthropic, 50), 1<<20, 50)
	f("lines", strings.Repeat(strings.Repeat("data: x\n", 5)+"\n", 50), 1<<20, 50)
	f("huge", "data: "+strings.Repeat("x", 1<<20-10)+"\n\n", 100, 1)
	f("newlines", strings.Repeat("data: x\n", 100000)+"\n", 100, 1)
}

// blind has the cheapest hooks: what is left is the relay.
type blind struct{}

func (blind) Tap(Event) Mark                         { return Content }
func (blind) AppendFault(dst []byte, _ error) []byte { return dst }
func (blind) Settle(*Stats, error)                   {}

func BenchmarkRelayStep(b *testing.B) {
	f := func(name string, tr Transform) {
		b.Run(name, func(b *testing.B) {
			var r Relay
			ev := []byte(openAI)
			r.Start(blind{}, tr, Limits{MaxDuration: time.Hour}, time.Now(), true, true)
			b.SetBytes(int64(len(ev)))
			b.ReportAllocs()
			for b.Loop() {
				r.Step(ev)
			}
		})
	}
	f("raw", nil)
	f("transform", &expand{1})
}

func BenchmarkPump(b *testing.B) {
	const events = 100
	f := func(name string, tr Transform, lim Limits, n int) {
		b.Run(name, func(b *testing.B) {
			var p Pump
			var r Relay
			var w sink
			src := &loop{data: []byte(openAI), last: io.EOF}
			hd := []byte(head)
			b.ReportAllocs()
			for b.Loop() {
				src.n = n
				r.Start(blind{}, tr, lim, time.Now(), true, true)
				if err := p.Run(&r, src, &w, hd, Chunked, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b, n)
		})
	}
	f("raw", nil, Limits{}, events)
	f("transform", &expand{1}, Limits{}, events)
	f("limits", nil, Limits{MaxDuration: time.Hour}, events)
	f("one", nil, Limits{}, 1)
}

// socket is a Source that reads n bytes of a connection, without a buffer.
type socket struct {
	loop
	c net.Conn
	n int
}

func (s *socket) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	n, err := s.c.Read(p[:min(len(p), s.n)])
	s.n -= n
	return n, err
}

// BenchmarkPumpBody moves bodies of 1 MiB from one TCP connection to another,
// both local. Its result chose the buffer's size.
func BenchmarkPumpBody(b *testing.B) {
	from, feed := tcp(b)
	to, drain := tcp(b)
	go func() {
		for p := make([]byte, 256<<10); ; {
			if _, err := feed.Write(p); err != nil {
				return
			}
		}
	}()
	go io.Copy(struct{ io.Writer }{io.Discard}, drain)
	var p Pump
	var r Relay
	src := &socket{c: from}
	hd := []byte(head)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		src.n = 1 << 20
		r.Start(blind{}, nil, Limits{}, time.Now(), true, false)
		if err := p.Run(&r, src, to, hd, Length, 1<<20, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// tcp is the two ends of a local connection.
func tcp(b *testing.B) (net.Conn, net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	one, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	two, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		one.Close()
		two.Close()
	})
	return one, two
}
