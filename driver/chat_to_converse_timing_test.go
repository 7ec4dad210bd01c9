package driver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"headrace/sse"
)

// converseEvents are the frames that streams of Converse consist of.
func converseEvents(t testing.TB) (list []sse.Event) {
	for _, payload := range []string{
		`{"contentBlockIndex":0,"delta":{"text":" token"},"p":"abcdefghijklmnopqrstuvwxyzABC"}`,
		`{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":" \u4f60\n"}},"p":"abcdefghijklm"}`,
		`{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}},"p":"abcdefghijklmnop"}`,
	} {
		list = append(list, frameEvent(t, frame("contentBlockDelta "+payload)))
	}
	return list
}

// beginConverse brings a stream to where a call has begun.
func beginConverse(st *ConvState) {
	st.Model, st.ID = []byte("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), bytes.Repeat([]byte("a"), 32)
	begin := sse.Event{Name: []byte("contentBlockStart"), Data: []byte(`{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}`)}
	chatToConverse{}.AppendEvent(nil, begin, st)
}

// TestBudgetConverse holds that a conversion allocates nothing once buffers
// have grown, but for the names of documents.
func TestBudgetConverse(t *testing.T) {
	budgetEvents(t, chatToConverse{}, 0, beginConverse, converseEvents(t)...)
	budgetExchanges(t, chatToConverse{}, 0, "chat_to_converse", "stream.txt", func(t testing.TB, file []byte) (list []sse.Event) {
		for line := range strings.Lines(string(file)) {
			list = append(list, frameEvent(t, frame(strings.TrimSpace(line))))
		}
		return list
	}, "text", "tools", "error")
	body := load(t, string(goldenFile(t, "chat_to_converse", "media", "request.json")))
	var st ConvState
	var dst []byte
	budget(t, "documents", 20, func() { dst, _ = chatToConverse{}.Request(dst[:0], body, &st) })
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
	for i, ev := range converseEvents(b) {
		b.Run(deltaNames[i], func(b *testing.B) { benchEvent(b, chatToConverse{}, ev, beginConverse) })
	}
}

func BenchmarkConverseRequest(b *testing.B) { benchRequests(b, chatToConverse{}, "chat_to_converse") }

func BenchmarkConverseResponse(b *testing.B) { benchResponse(b, chatToConverse{}, "chat_to_converse") }
