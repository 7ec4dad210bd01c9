package driver

import (
	"bytes"
	"testing"

	"headrace/sse"
)

// deltaEvents are the events that streams of chunks consist of.
func deltaEvents() (list []sse.Event) {
	for _, data := range []string{
		`{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}`,
		`{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"deepseek-reasoner","choices":[{"index":0,"delta":{"content":null,"reasoning_content":" \u4f60\n"},"finish_reason":null}]}`,
		`{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]}`,
	} {
		list = append(list, sse.Event{Data: []byte(data)})
	}
	return list
}

// deltaNames are what the events of each protocol's stream are about.
var deltaNames = [...]string{"text", "thinking", "arguments", "ping"}

// TestBudgetAnthropic holds that a conversion allocates nothing once buffers
// have grown: neither for the events of a stream nor for requests and answers.
func TestBudgetAnthropic(t *testing.T) {
	budgetEvents(t, anthropicToChat{}, 0, fresh, deltaEvents()...)
	budgetExchanges(t, anthropicToChat{}, 0, "anthropic_to_chat", "stream.sse", eventsOf, "text", "thinking", "error")
	in := compile(t, `{"provider":"openai","auth":{}}`)
	budget(t, "Converter", 0, func() { in.Route(AnthropicMessages); in.Converter(AnthropicMessages) })
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
	for i, ev := range deltaEvents() {
		b.Run(deltaNames[i], func(b *testing.B) { benchEvent(b, anthropicToChat{}, ev, fresh) })
	}
}

func BenchmarkAnthropicRequest(b *testing.B) {
	benchRequests(b, anthropicToChat{}, "anthropic_to_chat")
}

func BenchmarkAnthropicResponse(b *testing.B) {
	benchResponse(b, anthropicToChat{}, "anthropic_to_chat")
}
