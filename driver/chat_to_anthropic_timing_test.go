package driver

import (
	"bytes"
	"testing"
	"time"

	"headrace/sse"
)

const messagesAnswer = `{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Two.\n"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":21,"cache_read_input_tokens":7,"output_tokens":7}}`

// messageEvents are the events that Anthropic's streams consist of.
func messageEvents() (list []sse.Event) {
	for _, data := range []string{
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" \u4f60\n"}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
	} {
		list = append(list, sse.Event{Name: []byte("content_block_delta"), Data: []byte(data)})
	}
	return append(list, sse.Event{Name: []byte("ping"), Data: []byte(`{"type":"ping"}`)})
}

// beginMessage brings a stream to where a call has begun.
func beginMessage(st *ConvState) {
	for _, data := range []string{
		`{"type":"message_start","message":{"id":"msg_01","model":"claude-sonnet-4-6","usage":{"input_tokens":3}}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
	} {
		chatToAnthropic{}.AppendEvent(nil, sse.Event{Data: []byte(data)}, st)
	}
}

// TestBudgetNative holds that a conversion allocates nothing once buffers have
// grown: neither for the events of a stream nor for requests and answers.
func TestBudgetNative(t *testing.T) {
	budgetEvents(t, chatToAnthropic{}, 0, beginMessage, messageEvents()...)
	budgetExchanges(t, chatToAnthropic{}, 0, "chat_to_anthropic", "stream.sse", eventsOf, "text", "cache", "thinking")
	budgetExchanges(t, chatToAnthropic{}, 4, "chat_to_anthropic", "stream.sse", eventsOf, "tools") // a list of allowed tools is a map
	var st ConvState
	var dst []byte
	for i, raw := range chatBodies {
		if i == 3 { // a list of allowed tools is a map
			continue
		}
		body := load(t, raw)
		budget(t, raw, 0, func() {
			st.Reset()
			dst, _ = chatToAnthropic{}.Request(dst[:0], body, &st)
		})
	}
}

// What is as long as it may be takes time in proportion to its size.
func TestNativeWide(t *testing.T) {
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

func BenchmarkNativeEvent(b *testing.B) {
	for i, ev := range messageEvents() {
		b.Run(deltaNames[i], func(b *testing.B) { benchEvent(b, chatToAnthropic{}, ev, beginMessage) })
	}
}

func BenchmarkNativeRequest(b *testing.B) { benchRequests(b, chatToAnthropic{}, "chat_to_anthropic") }

func BenchmarkNativeResponse(b *testing.B) { benchResponse(b, chatToAnthropic{}, "chat_to_anthropic") }
