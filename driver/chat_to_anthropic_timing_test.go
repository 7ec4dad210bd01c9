package driver

import (
	"bytes"
	"os"
	"testing"
	"time"

	"headrace/sse"
)

const messagesAnswer = `{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Two.\n"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":21,"cache_read_input_tokens":7,"output_tokens":7}}`

// messageEvents are the events that Anthropic's streams consist of.
var messageEvents = []struct{ kind, name, data string }{
	{"text", "content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token"}}`},
	{"thinking", "content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" \u4f60\n"}}`},
	{"arguments", "content_block_delta", `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`},
	{"ping", "ping", `{"type":"ping"}`},
}

const (
	messageStartData = `{"type":"message_start","message":{"id":"msg_01","model":"claude-sonnet-4-6","usage":{"input_tokens":3}}}`
	callStartData    = `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`
)

// TestBudgetChat holds that a conversion allocates nothing once buffers have
// grown: neither for the events of a stream nor for requests and answers.
func TestBudgetChat(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var (
		c   chatToAnthropic
		st  ConvState
		dst []byte
	)
	f := func(name string, do func()) {
		t.Helper()
		do()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, data := range []string{messageStartData, callStartData} {
		dst = c.AppendEvent(dst[:0], sse.Event{Data: []byte(data)}, &st)
	}
	for _, e := range messageEvents {
		ev := sse.Event{Name: []byte(e.name), Data: []byte(e.data)}
		f(e.kind, func() { dst = c.AppendEvent(dst[:0], ev, &st) })
		if len(dst) == 0 {
			t.Errorf("%s: nothing", e.kind)
		}
	}
	for _, name := range []string{"text", "tools", "thinking"} {
		stream, err := os.ReadFile("testdata/chat_to_anthropic/" + name + "/stream.sse")
		if err != nil {
			t.Fatal(err)
		}
		events := split(t, stream, 1<<20)
		f("whole stream, "+name, func() {
			st.Reset()
			st.toChunks.counts = true
			dst = dst[:0]
			for _, ev := range events {
				dst = c.AppendEvent(dst, ev, &st)
			}
			dst = c.AppendEnd(dst, true, &st)
		})
	}
	for i, raw := range chatBodies {
		if i == 3 { // a list of allowed tools is a map
			continue
		}
		body := load(t, raw)
		f("request", func() {
			st.Reset()
			dst, _ = c.Request(dst[:0], body, &st)
		})
	}
	answer := []byte(messagesAnswer)
	f("answer", func() { dst, _, _ = c.AppendResponse(dst[:0], answer, 200, &st) })
}

// What is as long as it may be takes time in proportion to its size.
func TestChatWide(t *testing.T) {
	const n = 50000
	for _, raw := range []string{
		`{"messages":[` + string(bytes.Repeat([]byte(`{"role":"user","content":[{"type":"text","text":""}]},`), n)) + `{"role":"tool","tool_call_id":"c","content":"r"}]}`,
		`{"messages":[` + string(bytes.Repeat([]byte(`{"role":"user","content":"a"},{"role":"assistant","content":"b"},`), n)) + `{"role":"system","content":"s"}]}`,
		`{"messages":[{"role":"user","content":"x"}],"tools":[` + string(bytes.Repeat([]byte(`{"type":"function","function":{"name":"g"}},`), n)) + `{"type":"function","function":{"name":"f"}}],
			"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[` + string(bytes.Repeat([]byte(`{"function":{"name":"f"}},`), maxAllowed-1)) + `{"function":{"name":"f"}}]}}}`,
	} {
		began := time.Now()
		got, err := convertedBy(t, chatToAnthropic{}, raw, new(ConvState))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%d bytes took %v", len(raw), took)
		}
		checkMessages(t, []byte(got))
	}
}

func BenchmarkChatEvent(b *testing.B) {
	for _, e := range messageEvents {
		b.Run(e.kind, func(b *testing.B) {
			var st ConvState
			for _, data := range []string{messageStartData, callStartData} {
				chatToAnthropic{}.AppendEvent(nil, sse.Event{Data: []byte(data)}, &st)
			}
			benchEvent(b, chatToAnthropic{}, &st, sse.Event{Name: []byte(e.name), Data: []byte(e.data)})
		})
	}
}

func BenchmarkChatRequest(b *testing.B) { benchRequests(b, chatToAnthropic{}, "chat_to_anthropic") }

func BenchmarkChatResponse(b *testing.B) { benchResponse(b, chatToAnthropic{}, "chat_to_anthropic") }
