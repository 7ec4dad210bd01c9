package driver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"headrace/sse"
)

// converseDeltas are the frames that streams consist of.
var converseDeltas = []string{
	`contentBlockDelta {"contentBlockIndex":0,"delta":{"text":" token"},"p":"abcdefghijklmnopqrstuvwxyzABC"}`,
	`contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":" \u4f60\n"}},"p":"abcdefghijklm"}`,
	`contentBlockDelta {"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}},"p":"abcdefghijklmnop"}`,
}

// TestBudgetConverse holds that a conversion allocates nothing once buffers
// have grown, but for the names of documents.
func TestBudgetConverse(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var (
		c   chatToConverse
		st  ConvState
		dst []byte
	)
	f := func(name string, most float64, do func()) {
		t.Helper()
		do()
		if n := testing.AllocsPerRun(100, do); n > most {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	st.Model, st.ID = []byte("m"), []byte("id")
	dst = c.AppendEvent(nil, frameEvent(t, frame(`contentBlockStart {"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}`)), &st)
	for _, line := range converseDeltas {
		ev := frameEvent(t, frame(line))
		f(line, 0, func() { dst = c.AppendEvent(dst[:0], ev, &st) })
		if len(dst) == 0 {
			t.Errorf("%s: nothing comes of it", line)
		}
	}
	for _, dir := range []string{"text", "tools", "error"} {
		var events []sse.Event
		for line := range strings.Lines(string(goldenFile(t, dir, "stream.txt"))) {
			events = append(events, frameEvent(t, frame(strings.TrimSpace(line))))
		}
		f(dir+", a whole stream", 0, func() {
			st.Reset()
			dst = dst[:0]
			for _, ev := range events {
				dst = c.AppendEvent(dst, ev, &st)
			}
			dst = c.AppendEnd(dst, true, &st)
		})
		body := load(t, string(goldenFile(t, dir, "request.json")))
		f(dir+", the request", 0, func() {
			st.Reset()
			dst, _ = c.Request(dst[:0], body, &st)
		})
		answer := goldenFile(t, dir, "plain.json")
		f(dir+", a whole answer", 0, func() { dst, _, _ = c.AppendResponse(dst[:0], answer, 200, &st) })
	}
	body := load(t, string(goldenFile(t, "media", "request.json")))
	f("documents", 20, func() { dst, _ = c.Request(dst[:0], body, &st) })
}

// A conversation that is as long and odd as it may be takes time in proportion
// to its size.
func TestConverseLong(t *testing.T) {
	f := func(name, raw string) {
		t.Helper()
		start := time.Now()
		if out, err := (chatToConverse{}).Request(nil, load(t, raw), new(ConvState)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			checkConverse(t, out)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: %v for %d bytes", name, d, len(raw))
		}
	}
	list := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	const file = `{"type":"file","file":{"filename":"a","file_data":"data:text/csv;base64,AA"}}`
	f("documents of one name", `{"messages":[{"role":"user","content":[`+list(20000, file)+`]}]}`)
	f("turns", `{"messages":[`+list(50000, `{"role":"user","content":"a"},{"role":"assistant","content":"b"}`)+`]}`)
	f("calls", `{"messages":[{"role":"assistant","tool_calls":[`+list(50000, `{"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}`)+`]}]}`)
	f("a large image", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,`+strings.Repeat("A", 8<<20)+`"}}]}]}`)
	f("escapes", `{"messages":[{"role":"user","content":"x`+strings.Repeat(`\n`, 1<<20)+`"}]}`)
}

func BenchmarkConverseEvent(b *testing.B) {
	for _, name := range []string{"text", "reasoning", "arguments"} {
		b.Run(name, func(b *testing.B) {
			var c chatToConverse
			st := ConvState{Model: []byte("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), ID: bytes.Repeat([]byte("a"), 32), Created: 1700000000}
			st.chunks.calls.add([]byte("1"), 0)
			ev := frameEvent(b, frame(map[string]string{"text": converseDeltas[0], "reasoning": converseDeltas[1], "arguments": converseDeltas[2]}[name]))
			dst := c.AppendEvent(nil, ev, &st)
			b.SetBytes(int64(len(ev.Raw)))
			b.ReportAllocs()
			for b.Loop() {
				dst = c.AppendEvent(dst[:0], ev, &st)
			}
		})
	}
}

func BenchmarkConverseRequest(b *testing.B) {
	for _, name := range []string{"text", "tools"} {
		b.Run(name, func(b *testing.B) {
			var (
				c   chatToConverse
				st  ConvState
				dst []byte
			)
			raw := goldenFile(b, name, "request.json")
			body := load(b, string(raw))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				st.Reset()
				dst, _ = c.Request(dst[:0], body, &st)
			}
		})
	}
}
