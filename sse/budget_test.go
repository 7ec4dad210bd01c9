package sse

import (
	"io"
	"strings"
	"testing"
	"time"
)

// loop is a Source that gives the same read n times. It allocates nothing.
type loop struct {
	data []byte
	n    int
	last error
}

func (l *loop) Read(p []byte) (int, error) {
	if l.n == 0 {
		return 0, l.last
	}
	l.n--
	return copy(p, l.data), nil
}

func (l *loop) Buffered() int           { return 0 }
func (l *loop) SetWait(_ time.Duration) {}
func (l *loop) Interrupt()              {}
func (l *loop) Done(_ bool)             {}

// sink takes all bytes; io.Discard would do, but for its ReadFrom.
type sink struct{ n int64 }

func (s *sink) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return len(p), nil
}

// openAI is a chunk as OpenAI sends it, about 280 bytes.
const openAI = `data: {"id":"chatcmpl-C9xJmB0yFqgkzW8K3sT5vR1aHnLpE","object":"chat.completion.chunk","created":1757000000,` +
	`"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_560af6e559",` +
	`"choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}` + "\n\n"

// anthropic is an event with a name, about 130 bytes.
const anthropic = "event: content_block_delta\n" +
	`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token"}}` + "\n\n"

func TestBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := func(name string, fn func()) {
		t.Helper()
		fn() // buffers grow
		if n := testing.AllocsPerRun(200, fn); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}

	var s Scanner
	stream := []byte(strings.Repeat(openAI+anthropic+": ping\n\n"+"data: 1\r\ndata: 2\r\n\r\n", 20))
	f("scan of whole events", func() {
		s.Init(1 << 20)
		s.Reset(stream)
		for s.Next() {
		}
	})
	f("scan of pieces", func() {
		s.Init(1 << 20)
		for p := stream; len(p) > 0; p = p[min(97, len(p)):] {
			s.Reset(p[:min(97, len(p))])
			for s.Next() {
			}
		}
	})

	dst := make([]byte, 0, 1024)
	name, data := []byte("delta"), []byte("one\ntwo")
	f("append", func() { dst = AppendEvent(dst[:0], name, data) })

	var r Relay
	o := &owner{}
	three := &expand{3}
	for _, tr := range []Transform{nil, three} {
		f("relay", func() {
			r.Start(o, tr, Limits{MaxDuration: time.Hour, MaxBytes: 1 << 30}, time.Now(), true, true)
			for p := stream; len(p) > 0; p = p[min(97, len(p)):] {
				r.Step(p[:min(97, len(p))])
			}
			r.End(nil)
		})
	}

	var p Pump
	var w sink
	src := &loop{data: []byte(openAI)}
	hd := []byte(head)
	gone := func() bool { return false }
	pump := func(tr Transform, lim Limits, last error) func() {
		return func() {
			src.n, src.last = 20, last
			r.Start(o, tr, lim, time.Now(), true, true)
			p.Run(&r, src, &w, hd, Chunked, 0, gone)
		}
	}
	f("pump", pump(nil, Limits{}, io.EOF))
	f("pump under limits", pump(nil, Limits{MaxDuration: time.Hour, MaxBytes: 1 << 30}, io.EOF))
	f("pump with a transform", pump(three, Limits{MaxDuration: time.Hour}, io.EOF))
	f("pump of a stream that breaks", pump(nil, Limits{}, io.ErrUnexpectedEOF))
	src.data = []byte(openAI + evDone)
	f("pump past the terminator", pump(nil, Limits{}, io.EOF))
}
