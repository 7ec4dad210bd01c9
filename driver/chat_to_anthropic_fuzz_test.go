package driver

import (
	"encoding/json"
	"testing"
)

func FuzzNativeStream(f *testing.F) {
	for _, s := range []string{
		`{"type":"message_start","message":{"id":"i","model":"m","usage":{"input_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}`,
		`{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"a"}}`,
		`{"type":"message_delta","delta":{"stop_reason":"refusal"},"usage":{"output_tokens":1e3}}`,
		`{"type":"error","error":{"type":5}}`, `{`, "\n",
	} {
		f.Add([]byte("data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: "+s+"\n\nevent: ping\n\ndata: "+s+"\n\nevent: message_stop\ndata: {}\n\n"), uint16(9), true)
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16, clean bool) {
		setup := func(st *ConvState) { st.chunks.usage = clean }
		fuzzStream(t, chatToAnthropic{}, stream, cut, clean, 100, setup, checkChunks)
		var st ConvState
		setup(&st)
		convertAll(chatToAnthropic{}, &st, stream)
		if n := cap(st.chunks.head); n > 4*longestName {
			t.Errorf("%d bytes are kept", n)
		}
	})
}

func FuzzNativeResponse(f *testing.F) {
	f.Add([]byte(messagesAnswer), 200)
	f.Add([]byte(`{"type":"error","error":{"type":null,"message":"m"}}`), 529)
	f.Add([]byte(`{"content":[{"type":"thinking","thinking":"t"},{"type":"tool_use","id":"i","name":"n"},{}],"usage":{"input_tokens":1e20}}`), 200)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		fuzzResponse(t, chatToAnthropic{}, new(ConvState), body, status, 10)
	})
}

func FuzzNativeRequest(f *testing.F) {
	for _, s := range chatBodies {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out := fuzzRequest(t, chatToAnthropic{}, new(ConvState), raw, 20); out != nil {
			checkMessages(t, out)
		}
	})
}

var chatBodies = []string{
	`{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":1.50,"temperature":0,"stop":["a"],"user":"u","service_tier":"auto","n":1,"messages":[{"role":"user","content":"x"}]}`,
	`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,A"}},{"type":"file","file":{"filename":"f","file_data":"data:application/pdf;base64,A"}}]}]}`,
	`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{\"n\":1.0}"}}]},{"role":"user","content":"b"},{"role":"tool","tool_call_id":"i","content":[{"type":"text","text":"c"}]}]}`,
	`{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}},"parallel_tool_calls":false}`,
	`{"model":"claude-haiku-4-5","messages":[{"role":"assistant","refusal":"x"}],"reasoning_effort":"high","max_completion_tokens":3000,"response_format":{"type":"json_schema","json_schema":{"schema":{"a":1}}}}`,
	`{"model":"claude-opus-5","messages":[{"role":"developer","content":"x"},{"role":"user","content":"y"}],"reasoning_effort":"xhigh","stop":"a","logit_bias":{},"modalities":["text"]}`,
}

func TestNativeRequestForm(t *testing.T) {
	for _, raw := range chatBodies {
		got, err := convertedBy(t, chatToAnthropic{}, raw, new(ConvState))
		if err != nil {
			t.Fatal(err)
		}
		checkMessages(t, []byte(got))
	}
}

// checkMessages holds a request to what Anthropic's API asks of one.
func checkMessages(t testing.TB, raw []byte) {
	t.Helper()
	var q struct {
		MaxTokens json.Number `json:"max_tokens"`
		Thinking  struct {
			Budget int64 `json:"budget_tokens"`
		}
		System   []map[string]any
		Messages []struct {
			Role    string
			Content []map[string]any
		}
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	limit, _ := q.MaxTokens.Float64()
	ok := q.MaxTokens != "" && q.Messages != nil && (q.Thinking.Budget == 0 || q.Thinking.Budget >= 1024 && float64(q.Thinking.Budget) < limit)
	for _, b := range q.System {
		ok = ok && b["type"] == "text" && b["text"] != ""
	}
	role := ""
	for _, m := range q.Messages {
		ok = ok && (m.Role == "user" || m.Role == "assistant") && m.Role != role && len(m.Content) > 0
		role = m.Role
		results := true
		for _, b := range m.Content {
			switch b["type"] {
			case "tool_result":
				ok = ok && results && role == "user" && b["tool_use_id"] != ""
				continue
			case "tool_use":
				_, object := b["input"].(map[string]any)
				ok = ok && role == "assistant" && object && b["id"] != "" && b["name"] != ""
			case "image", "document":
				ok = ok && role == "user"
			default:
				ok = ok && b["type"] == "text" && b["text"] != ""
			}
			results = false
		}
	}
	if !ok {
		t.Fatalf("%s cannot be sent", raw)
	}
}
