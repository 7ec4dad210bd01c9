package driver

import (
	"testing"

	"headrace/sse"
)

// beginCall brings a stream to where a call is known.
func beginCall(st *ConvState) {
	responsesToChat{}.AppendEvent(nil, sse.Event{Data: []byte(`{"id":"c","choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f"}}]}}]}`)}, st)
}

// TestBudgetResponses holds that a conversion allocates nothing once buffers
// have grown. What a stream says is kept, so that its buffers grow with it.
func TestBudgetResponses(t *testing.T) {
	budgetEvents(t, responsesToChat{}, 0.2, beginCall, deltaEvents()...)
	budgetExchanges(t, responsesToChat{}, 0, "responses_to_chat", "stream.sse", eventsOf, "text", "reasoning", "refusal", "error")
	budgetExchanges(t, responsesToChat{}, 2, "responses_to_chat", "stream.sse", eventsOf, "tools") // one is renamed
	in := compile(t, `{"provider":"deepseek","auth":{}}`)
	budget(t, "Converter", 0, func() { in.Route(OpenAIResponses); in.Converter(OpenAIResponses) })
}

func BenchmarkResponsesEvent(b *testing.B) {
	for i, ev := range deltaEvents() {
		b.Run(deltaNames[i], func(b *testing.B) { benchEvent(b, responsesToChat{}, ev, beginCall) })
	}
}

func BenchmarkResponsesRequest(b *testing.B) {
	benchRequests(b, responsesToChat{}, "responses_to_chat")
}

func BenchmarkResponsesResponse(b *testing.B) {
	benchResponse(b, responsesToChat{}, "responses_to_chat")
}
