package driver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"headrace/sse"
)

func TestProtoNames(t *testing.T) {
	for p := Unknown + 1; p < protoCount; p++ {
		if p.String() == "" || ParseProto(p.String()) != p {
			t.Errorf("%d: %q", p, p)
		}
	}
	if ParseProto("") != Unknown || ParseProto("x") != Unknown || Proto(200).String() != "" || Of(200) == nil {
		t.Error("unknown names")
	}
}

// ai-proxy.md section 2.3.
func TestDetect(t *testing.T) {
	f := func(path, body string, want Proto) {
		t.Helper()
		if got := Detect([]byte(path), load(t, body)); got != want {
			t.Errorf("%s %s: %s, want %s", path, body, got, want)
		}
	}
	f("/v1/chat/completions", `{"messages":[]}`, OpenAIChat)
	f("/anything", `{"messages":{}}`, OpenAIChat)
	f("/v1/messages", `{"messages":[]}`, AnthropicMessages)
	f("/llm/v1/messages", `{"messages":[]}`, AnthropicMessages) // T: sem 25
	f("/v1/messages/", `{"messages":[]}`, OpenAIChat)
	f("/v1/messages", `{}`, AnthropicMessages)
	f("/v1/messages", `[]`, AnthropicMessages)
	f("/v1/messages", `"x"`, Unknown)
	f("/v1/responses", `{"input":"x"}`, OpenAIResponses)
	f("/v1/responses", `{"input":null}`, OpenAIResponses)
	f("/v1/responses", `{"messages":[]}`, OpenAIChat)
	f("/v2/responses", `{"input":"x"}`, OpenAIEmbeddings)
	f("/v1/chat/completions", `{"input":"x"}`, OpenAIEmbeddings)
	f("/v1/embeddings", `{"input":null}`, OpenAIEmbeddings)
	f("/model/m/converse", `{"messages":[]}`, BedrockConverse)
	f("/model/m/converse-stream", `{"messages":[]}`, BedrockConverse)
	f("/model/m/converse", `{"prompt":"x"}`, Passthrough)
	f("/v1/images", `{"prompt":"x"}`, Passthrough)
	f("/v1/images", `{"messages":"x"}`, Passthrough)
	f("/v1/images", `["x"]`, Passthrough)
	f("/", `{}`, Unknown) // T: pt 9
	f("/", `[]`, Unknown)
	f("/", `"x"`, Unknown)
	f("/", `null`, Unknown)
	f("/", `12`, Unknown)
	f("/", `false`, Unknown)
}

func TestStreaming(t *testing.T) {
	f := func(p Proto, body string, want bool) {
		t.Helper()
		if got := Of(p).Streaming([]byte("/converse"), load(t, body)); got != want {
			t.Errorf("%s %s: %v", p, body, got)
		}
	}
	for _, p := range []Proto{OpenAIChat, OpenAIResponses, AnthropicMessages, BedrockConverse, Passthrough} {
		f(p, `{"stream":true}`, true)
		f(p, `{"stream":null}`, false)
		f(p, `{"stream":1}`, false)
		f(p, `{"stream":"true"}`, false)
		f(p, `{}`, false)
	}
	f(OpenAIEmbeddings, `{"stream":true}`, false)
}

func TestPrepare(t *testing.T) {
	f := func(p Proto, body, want string, clientUsage bool) {
		t.Helper()
		b, st := load(t, body), Shaping{}
		did := Of(p).Prepare(b, &st)
		if got := string(b.AppendTo(nil)); got != want || did != (body != want) || st.ClientUsage != clientUsage {
			t.Errorf("%s %s: %s %v %v", p, body, got, did, st)
		}
	}
	f(OpenAIChat, `{"stream":true}`, `{"stream":true,"stream_options":{"include_usage":true}}`, false)
	f(OpenAIChat, `{"stream_options":{"x":1},"stream":true}`, `{"stream_options":{"include_usage":true},"stream":true}`, false)
	f(OpenAIChat, `{"stream_options":{"x":1,"include_usage": true},"stream":true}`, `{"stream_options":{"include_usage":true},"stream":true}`, true)
	f(OpenAIChat, `{"stream":null}`, `{"stream":null}`, false)
	f(OpenAIChat, `{"stream":0}`, `{"stream":0}`, false)
	f(OpenAIResponses, `{"stream":true}`, `{"stream":true}`, false) // T: ai-proxy.t 26-27
	f(AnthropicMessages, `{"stream":true}`, `{"stream":true}`, false)
	f(Passthrough, `{"stream":true}`, `{"stream":true}`, false)
	f(BedrockConverse, `{"a":1,"stream":true}`, `{"a":1}`, false)
}

// ai-proxy.md sections 7.1 and 7.2.
func TestRequestFacts(t *testing.T) {
	f := func(p Proto, body, messages, user string, tools int) {
		t.Helper()
		b, pr := load(t, body), Of(p)
		if m, u, n := string(pr.LogMessages(b)), string(pr.EndUser(b)), pr.ToolCount(b); m != messages || u != user || n != tools {
			t.Errorf("%s %s: %q %q %d", p, body, m, u, n)
		}
	}
	f(OpenAIChat, `{"messages":[1],"user":"u","tools":[{},{}]}`, `[1]`, "u", 2) // T: ai-proxy3.t 8
	f(OpenAIChat, `{"messages":[1],"user":"u","safety_identifier":"s\n"}`, `[1]`, "s\n", 0)
	f(OpenAIChat, `{"messages":[1],"user":7,"tools":{}}`, `[1]`, "", 0)
	f(OpenAIResponses, `{"input":"x","safety_identifier":"s"}`, `"x"`, "s", 0)
	f(OpenAIEmbeddings, `{"input":["x"],"user":"u"}`, `["x"]`, "", 0)
	f(AnthropicMessages, `{"messages":[],"metadata":{"user_id":"u"},"user":"x"}`, `[]`, "u", 0) // T: ai-proxy3.t 12
	f(BedrockConverse, `{"messages":[]}`, `[]`, "", 0)
	f(Passthrough, `{"messages":"x"}`, ``, "", 0)
}

func TestEvent(t *testing.T) {
	f := func(p Proto, name, data string, want sse.Mark) {
		t.Helper()
		var c Capture
		if got := Of(p).Event(&c, sse.Event{Name: []byte(name), Data: []byte(data)}); got != want {
			t.Errorf("%s %s %s: %b, want %b", p, name, data, got, want)
		}
	}
	chat := func(data string, want sse.Mark) { t.Helper(); f(OpenAIChat, "", data, want) }
	chat(`[DONE]`, sse.Done)
	chat(``, 0)
	chat(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`, 0)
	chat(`{"choices":[{"delta":{"content":null}}],"usage":null}`, 0)
	chat(`{"choices":[{"delta":{"content":"x"}}]}`, sse.Content)
	chat(`{"choices":[{"delta":{}},{"delta":{"content":"x"}}]}`, sse.Content)
	chat(`{"choices":[{"delta":{"reasoning_content":"x"}}]}`, sse.Content)
	chat(`{"choices":[{"delta":{"reasoning":"x"}}]}`, sse.Content)
	chat(`{"choices":[{"delta":{"tool_calls":[]}}]}`, 0)
	chat(`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":""}}]}}]}`, sse.ToolCall)
	chat(`{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}`, sse.ToolCall|sse.Content)
	chat(`{"choices":[],"usage":{"prompt_tokens":1}}`, sse.UsageSeen|sse.UsageOnly)
	chat(`{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`, sse.UsageSeen)
	chat(`{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}`, sse.UsageSeen|sse.Content)
	chat(`{"error":{"message":"x"}}`, sse.Failed)
	chat(`{"error":"x"}`, sse.Failed)
	chat(`{"error":null,"choices":[]}`, 0)
	chat(`not json`, 0)
	chat(`{"choices":[{"delta":{"content":"x`, 0)

	resp := func(name, data string, want sse.Mark) { t.Helper(); f(OpenAIResponses, name, data, want) }
	resp("response.created", `{"type":"response.created"}`, 0)
	resp("response.output_text.delta", `{"delta":"x"}`, sse.Content)
	resp("", `{"type":"response.output_text.delta","delta":"x"}`, sse.Content)
	resp("message", `{"type":"response.output_text.delta","delta":"x"}`, sse.Content)
	resp("response.output_text.delta", `{"delta":""}`, 0)
	resp("response.function_call_arguments.delta", `{"delta":"{"}`, sse.Content)
	resp("response.reasoning_summary_text.delta", `{"delta":"x"}`, sse.Content)
	resp("response.output_item.added", `{"item":{"type":"function_call"}}`, sse.ToolCall)
	resp("response.output_item.added", `{"item":{"type":"message"}}`, 0)
	resp("response.completed", `{"response":{"usage":{"input_tokens":1}}}`, sse.Done|sse.UsageSeen)
	resp("response.completed", `{"response":{"output":[{"type":"function_call"}]}}`, sse.Done|sse.ToolCall) // T: ai-proxy3.t 16
	resp("response.failed", `{"response":{}}`, sse.Done|sse.Failed)
	resp("response.incomplete", `{"response":{}}`, sse.Done)
	resp("error", `{}`, sse.Done|sse.Failed)

	an := func(name, data string, want sse.Mark) { t.Helper(); f(AnthropicMessages, name, data, want) }
	an("message_start", `{"message":{"usage":{"input_tokens":3}}}`, sse.UsageSeen)
	an("message_start", `{"message":{}}`, 0)
	an("ping", `{}`, 0)
	an("content_block_start", `{"content_block":{"type":"tool_use"}}`, sse.ToolCall) // T: an 49
	an("content_block_start", `{"content_block":{"type":"text"}}`, 0)
	an("content_block_delta", `{"delta":{"type":"text_delta","text":"x"}}`, sse.Content)
	an("", `{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}`, sse.Content)
	an("content_block_delta", `{"delta":{"type":"thinking_delta","thinking":"x"}}`, sse.Content)
	an("content_block_delta", `{"delta":{"type":"input_json_delta","partial_json":"{"}}`, sse.Content)
	an("content_block_delta", `{"delta":{"type":"input_json_delta","partial_json":""}}`, 0)
	an("message_delta", `{"delta":{},"usage":{"output_tokens":3}}`, sse.UsageSeen)
	an("message_stop", `{}`, sse.Done)
	an("error", `{"error":{}}`, sse.Done|sse.Failed)

	f(BedrockConverse, "contentBlockDelta", `{"delta":{"text":"x"}}`, sse.Content)
	f(BedrockConverse, "contentBlockDelta", `{"delta":{"toolUse":{"input":"x"}}}`, sse.Content)
	f(BedrockConverse, "messageStop", `{}`, sse.Stopped)
	f(BedrockConverse, "metadata", `{"usage":{"inputTokens":1}}`, sse.Done|sse.UsageSeen)
	f(BedrockConverse, "exception", `{}`, sse.Done|sse.Failed)
	f(OpenAIEmbeddings, "", `{"usage":{"prompt_tokens":1}}`, 0)
	f(Passthrough, "", `[DONE]`, 0)
}

// After the first content most events are not parsed; nothing that counts may
// be lost by that.
func TestEventAfterContent(t *testing.T) {
	var c Capture
	f := func(data string, want sse.Mark) {
		t.Helper()
		if got := Of(OpenAIChat).Event(&c, sse.Event{Data: []byte(data)}); got != want {
			t.Errorf("%s: %b, want %b", data, got, want)
		}
	}
	f(`{"choices":[{"delta":{"content":"x"}}],"usage":null}`, sse.Content)
	f(`{"choices":[{"delta":{"content":"y"}}],"usage":null}`, 0)
	f(`{"choices":[{"delta":{"content":"\"usage\": x"}}],"usage" : null}`, 0)
	f(`{"choices":[{"delta":{"tool_calls":[{"id":1}]}}],"usage":null}`, sse.ToolCall)
	f(`{"choices":[{"delta":{"tool_calls":[{"id":1}]}}],"usage":null}`, 0)
	f(`{"usage":{"prompt_tokens":5},"choices":[]}`, sse.UsageSeen|sse.UsageOnly)
	f(`{"x":{"usage":null},"usage":{"completion_tokens":7}}`, sse.UsageSeen)
	f(`{"error":{}}`, sse.Failed)
	f(`[DONE]`, sse.Done)
	if c.Usage != (Usage{Prompt: 5, Completion: 7, Total: 12, Seen: true}) || !c.ToolCalls || len(c.Text) != 0 {
		t.Errorf("%+v", c)
	}
}

// ai-proxy.md section 5.6, streams.
func TestEventUsageMerge(t *testing.T) {
	f := func(p Proto, want Usage, events ...string) {
		t.Helper()
		var c Capture
		for _, e := range events {
			name, data, _ := strings.Cut(e, " ")
			Of(p).Event(&c, sse.Event{Name: []byte(name), Data: []byte(data)})
		}
		want.Seen = true
		if c.Usage != want {
			t.Errorf("%s: %+v, want %+v", p, c.Usage, want)
		}
	}
	// T: an 48
	f(AnthropicMessages, Usage{Prompt: 80, Completion: 50, Total: 130, CacheRead: 20, CacheCreation: 3},
		`message_start {"message":{"usage":{"input_tokens":80,"cache_read_input_tokens":20,"cache_creation_input_tokens":3,"output_tokens":1}}}`,
		`message_delta {"usage":{"output_tokens":50,"input_tokens":0}}`)
	f(OpenAIChat, Usage{Prompt: 100, Completion: 50, Total: 150, CacheRead: 20, Reasoning: 9},
		` {"usage":{"prompt_tokens":100,"total_tokens":100,"prompt_tokens_details":{"cached_tokens":20}}}`,
		` {"usage":{"completion_tokens":50,"prompt_tokens":0,"completion_tokens_details":{"reasoning_tokens":9}}}`)
	// T: pc 18: deepseek
	f(OpenAIChat, Usage{Prompt: 10, Completion: 2, Total: 12, CacheRead: 4},
		` {"usage":null}`, ` {"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_cache_hit_tokens":4}}`)
	f(OpenAIChat, Usage{Prompt: 10, CacheCreation: 6, Total: 10},
		` {"usage":{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":6},"prompt_cache_hit_tokens":4}}`)
	f(OpenAIResponses, Usage{Prompt: 1, Completion: 2, Total: 3, CacheRead: 4, Reasoning: 5},
		`response.completed {"response":{"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":5}}}}`)
}

func TestIntegers(t *testing.T) {
	f := func(raw string, want int64) {
		t.Helper()
		if got := integer([]byte(raw)); got != want {
			t.Errorf("%s: %d", raw, got)
		}
	}
	f(``, 0)
	f(`12`, 12)
	f(`12.0`, 12)
	f(`1e3`, 1000)
	f(`-5`, 0)
	f(`null`, 0)
	f(`"7"`, 0)
	f(`99999999999999999999`, 0)
}

func TestResponse(t *testing.T) {
	f := func(p Proto, body string, u Usage, text string, tools bool) {
		t.Helper()
		for _, want := range []bool{true, false} {
			c := Capture{WantText: want}
			Of(p).Response(&c, []byte(body))
			got := string(c.Text)
			if !want {
				got += text
			}
			if c.Usage != u || got != text || c.ToolCalls != tools {
				t.Errorf("%s %s: %+v", p, body, c)
			}
		}
	}
	f(OpenAIChat, `{"choices":[{"message":{"content":"a\nb"}},{"message":{"content":"c"}},{"message":{"content":null}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
		Usage{Prompt: 1, Completion: 2, Total: 3, Seen: true}, "a\nb c", false)
	f(OpenAIChat, `{"choices":[{"message":{"content":null,"tool_calls":[{}]}}]}`, Usage{}, "", true) // T: ai-proxy3.t 11
	f(OpenAIChat, `{"choices":[{"message":{"tool_calls":[]}}],"usage":null}`, Usage{}, "", false)
	f(OpenAIResponses, `{"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"a"},{"type":"refusal","text":"no"},{"type":"output_text","text":"b"}]},{"type":"function_call"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":9}}`,
		Usage{Prompt: 1, Completion: 2, Total: 9, Seen: true}, "a b", true)
	f(OpenAIEmbeddings, `{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, Usage{Prompt: 8, Total: 8, Seen: true}, "", false)
	f(AnthropicMessages, `{"content":[{"type":"text","text":"a"},{"type":"tool_use"},{"type":"text","text":"b"}],"usage":{"input_tokens":1,"output_tokens":2}}`,
		Usage{Prompt: 1, Completion: 2, Total: 3, Seen: true}, "a b", true)
	f(BedrockConverse, `{"output":{"message":{"content":[{"text":"a"},{"text":"b"}]}},"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}`,
		Usage{Prompt: 1, Completion: 2, Total: 3, Seen: true}, "a b", false)
	for p := Unknown; p < protoCount; p++ {
		for _, body := range []string{``, `null`, `12`, `[]`, `{`, `{"usage":[]}`} {
			f(p, body, Usage{}, "", false)
		}
	}
}

func TestCaptureText(t *testing.T) {
	f := func(limit int, want string, parts ...string) {
		t.Helper()
		c := Capture{WantText: true, MaxText: limit}
		for _, p := range parts {
			raw, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": p}}}})
			Of(OpenAIChat).Event(&c, sse.Event{Data: raw})
		}
		if string(c.Text) != want {
			t.Errorf("limit %d: %q, want %q", limit, c.Text, want)
		}
	}
	f(0, "a b\n", "a ", "b\n")
	f(3, "abc", "ab", "cd", "ef")
	f(3, "aé", "aéé")
	f(2, "a", "a😀")
	f(7, strings.Repeat("\n", 7), strings.Repeat("\n", 500))
	c := Capture{WantText: true}
	c.text(AppendString(nil, bytes.Repeat([]byte("x"), 1<<20)), false)
	if len(c.Text) != DefaultMaxText {
		t.Errorf("%d bytes of text", len(c.Text))
	}
	for n := range 40 { // an escape broken by the cap must not be read
		c := Capture{WantText: true, MaxText: 2}
		raw := `"` + strings.Repeat(" ", n) + strings.Repeat(`\\\ud83d\ude00\u0041\n`, 20) + `"`
		c.text([]byte(raw), false)
		var full string
		if err := json.Unmarshal([]byte(raw), &full); err != nil {
			t.Fatal(err)
		}
		if len(c.Text) > 2 || !strings.HasPrefix(full, string(c.Text)) {
			t.Errorf("%d: %q", n, c.Text)
		}
	}
	c.Usage.Seen, c.ToolCalls = true, true
	c.Reset()
	if c.Usage.Seen || c.ToolCalls || len(c.Text) > 0 || c.WantText || c.content {
		t.Errorf("after Reset: %+v", c)
	}
}

// The error events of ai-proxy.md section 5.5.
func TestAppendFault(t *testing.T) {
	f := func(p Proto, want string) {
		t.Helper()
		got := Of(p).AppendFault([]byte("x"), CodeTruncated, `a "b"`)
		if string(got) != "x"+want {
			t.Errorf("%s: %s", p, got)
		}
		if _, data, ok := strings.Cut(want, "data: "); ok && !json.Valid([]byte(data)) {
			t.Errorf("%s: %s is not JSON", p, data)
		}
	}
	f(OpenAIChat, `data: {"error":{"message":"a \"b\"","type":"upstream_error","code":"upstream_stream_truncated"}}`+"\n\n")
	f(AnthropicMessages, "event: error\n"+`data: {"type":"error","error":{"type":"api_error","message":"a \"b\"","code":"upstream_stream_truncated"}}`+"\n\n")
	f(OpenAIResponses, "event: error\n"+`data: {"type":"error","code":"upstream_stream_truncated","message":"a \"b\"","param":null,"sequence_number":0}`+"\n\n")
	f(OpenAIEmbeddings, "")
	f(Passthrough, "")
	f(BedrockConverse, "")
}

func FuzzEvent(f *testing.F) {
	f.Add("", []byte(`{"choices":[{"delta":{"content":"x","tool_calls":[{"function":{"arguments":"{"}}]}}],"usage":{"prompt_tokens":1}}`))
	f.Add("message_start", []byte(`{"message":{"usage":{"input_tokens":3}}}`))
	f.Add("", []byte(`{"type":"response.completed","response":{"usage":{"input_tokens":3},"output":[{"type":"function_call"}]}}`))
	f.Add("metadata", []byte(`{"usage":{"inputTokens":1}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for p := Unknown; p <= protoCount; p++ {
			whole := Capture{WantText: true, MaxText: 100}
			fast := Capture{content: true}
			ev := sse.Event{Name: []byte(name), Data: data}
			full := Of(p).Event(&whole, ev)
			quick := Of(p).Event(&fast, ev)
			if len(whole.Text) > 100 {
				t.Fatalf("%d bytes of text", len(whole.Text))
			}
			// The shortcut may leave Content out or in, never anything else,
			// as long as no name is spelled with escapes.
			if (full|sse.Content) != (quick|sse.Content) && !bytes.Contains(data, []byte(`\u`)) {
				t.Fatalf("%s %s %q: %b, with the shortcut %b", p, name, data, full, quick)
			}
			if whole.Usage != fast.Usage {
				t.Fatalf("%s %s %q: %+v, with the shortcut %+v", p, name, data, whole.Usage, fast.Usage)
			}
			Of(p).Response(&whole, data)
		}
	})
}
