package driver

import (
	"bytes"
	"os"
	"testing"

	"headrace/sse"
)

// deltaEvents are the events that streams consist of.
var deltaEvents = []struct {
	name string
	data string
}{
	{"text", `{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}`},
	{"thinking", `{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"deepseek-reasoner","choices":[{"index":0,"delta":{"content":null,"reasoning_content":" \u4f60\n"},"finish_reason":null}]}`},
	{"arguments", `{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]}`},
}

// TestBudgetAnthropic holds that a conversion allocates nothing once buffers
// have grown: neither for the events of a stream nor for requests and answers.
func TestBudgetAnthropic(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var (
		c   anthropicToChat
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
	for _, e := range deltaEvents {
		ev := sse.Event{Data: []byte(e.data)}
		f(e.name, func() { dst = c.AppendEvent(dst[:0], ev, &st) })
	}
	stream, err := os.ReadFile("testdata/anthropic_to_chat/tools/stream.sse")
	if err != nil {
		t.Fatal(err)
	}
	events := split(t, stream, 1<<20)
	f("whole stream", func() {
		st.Reset()
		dst = dst[:0]
		for _, ev := range events {
			dst = c.AppendEvent(dst, ev, &st)
		}
		dst = c.AppendEnd(dst, true, &st)
	})
	body := load(t, twinBodies[1])
	f("request", func() {
		st.Reset()
		dst, _ = c.Request(dst[:0], body, &st)
	})
	answer := []byte(chatAnswer)
	f("answer", func() { dst, _, _ = c.AppendResponse(dst[:0], answer, 200, &st) })
	in := compile(t, `{"provider":"openai","auth":{}}`)
	f("Converter", func() { in.Route(AnthropicMessages); in.Converter(AnthropicMessages) })
}

// A schema or a conversation that is as deep and wide as it may be takes time
// in proportion to its size.
func TestAnthropicDeep(t *testing.T) {
	deep := bytes.Repeat([]byte(`{"items":`), 900)
	deep = append(append(deep, `"`...), bytes.Repeat([]byte("x"), 4<<20)...)
	deep = append(append(deep, `"`...), bytes.Repeat([]byte("}"), 900)...)
	if got := appendStrict(nil, deep); !bytes.Equal(got, deep) {
		t.Errorf("%d bytes came out as %d", len(deep), len(got))
	}
	raw := append([]byte(`{"tools":[`), bytes.Repeat([]byte(`{"name":"\u00e9"},`), 50000)...)
	raw = append(raw, `{"name":"z"}],"tool_choice":{"type":"tool","name":"z"},"messages":[{"role":"user","content":"x"}]}`...)
	var st ConvState
	if _, err := converted(t, string(raw), &st); err != nil || len(st.names.client) != 1 {
		t.Errorf("%d names, %v", len(st.names.client), err)
	}
}

func BenchmarkAnthropicEvent(b *testing.B) {
	for _, e := range deltaEvents {
		b.Run(e.name, func(b *testing.B) { benchEvent(b, anthropicToChat{}, new(ConvState), sse.Event{Data: []byte(e.data)}) })
	}
}

func BenchmarkAnthropicRequest(b *testing.B) {
	benchRequests(b, anthropicToChat{}, "anthropic_to_chat")
}

func BenchmarkAnthropicResponse(b *testing.B) {
	benchResponse(b, anthropicToChat{}, "anthropic_to_chat")
}
