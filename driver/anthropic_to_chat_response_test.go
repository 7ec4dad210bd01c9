package driver

import (
	"encoding/json"
	"testing"
)

// Section 4.2.
func TestAnthropicResponse(t *testing.T) {
	var st ConvState
	convert := func(body string, status int) (string, bool, error) {
		t.Helper()
		out, ok, err := anthropicToChat{}.AppendResponse([]byte("+"), []byte(body), status, &st)
		if ok && (err != nil || !json.Valid(out[1:])) || !ok && string(out) != "+" || out[0] != '+' {
			t.Errorf("%s: %q %v %v", body, out, ok, err)
		}
		return string(out[1:]), ok, err
	}
	f := func(mark, body, want string) {
		t.Helper()
		if got, ok, err := convert(body, 200); !ok || got != want {
			t.Errorf("%s: %s %v %v\n got %s\nwant %s", mark, body, ok, err, got, want)
		}
	}
	message := func(content, reason, usage string) string {
		return `{"id":"c1","type":"message","role":"assistant","model":"m","content":[` + content + `],"stop_reason":"` + reason + `","usage":` + usage + `}`
	}
	const zero, empty = `{"input_tokens":0,"output_tokens":0}`, `{"type":"text","text":""}`
	g := func(mark, choice, content, reason string) {
		t.Helper()
		f(mark, `{"id":"c1","model":"m","choices":[`+choice+`]}`, message(content, reason, zero))
	}
	text := func(s string) string { return `{"type":"text","text":"` + s + `"}` }
	g("text", ` {"message":{"content":"a\n\u00e9"},"finish_reason":"stop"},{"message":{"content":"b"}}`, text(`a\n\u00e9`), "end_turn")
	g("T: an 13", `{"message":{"content":null}}`, empty, "end_turn")
	g("T: an 13", `{"message":{"content":""}}`, empty, "end_turn")
	g("no message", `{"finish_reason":null}`, empty, "end_turn")
	g("T: an 7", `{"message":{"content":"a","reasoning_content":"r"}}`, `{"type":"thinking","thinking":"r","signature":""},`+text("a"), "end_turn")
	g("T: an 7", `{"message":{"reasoning_content":"","reasoning":"r"}}`, `{"type":"thinking","thinking":"r","signature":""}`, "end_turn")
	for from, to := range map[string]string{"stop": "end_turn", "length": "max_tokens", "content_filter": "end_turn", "tool_calls": "tool_use", "function_call": "tool_use", "x": "end_turn"} {
		g("finish_reason", `{"message":{},"finish_reason":"`+from+`"}`, empty, to)
	}
	g("finish_reason", `{"message":{"content":"a"},"finish_reason":"tool_calls"}`, text("a"), "tool_use")
	call := func(id, name, args string) string {
		return `{"type":"tool_use","id":"` + id + `","name":"` + name + `","input":` + args + `}`
	}
	g("tool_calls", `{"message":{"content":"a","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0, \"s\":\"\\n\\u00e9\"}"}}]}}`,
		text("a")+","+call("t1", "f", `{"a": 1.0, "s":"\n\u00e9"}`), "end_turn")
	for _, args := range []string{`"x"`, `"{"`, `"{}}"`, `"1"`, `"null"`, `"\"s\""`, `""`, `null`, `1`, `[1]`} {
		g("T: an 54, 55", `{"message":{"tool_calls":[{"function":{"arguments":`+args+`}}]}}`, call("", "", `{}`), "end_turn")
	}
	g("T: an 54", `{"message":{"tool_calls":[{"id":null,"function":null},1,null,{"function":{"name":"f","arguments":" [1, 2] "}}]}}`, call("", "", "{}")+","+call("", "f", "[1, 2]"), "end_turn")
	g("an object", `{"message":{"tool_calls":[{"id":"t","function":{"name":"f","arguments":{"a":1}}}]}}`, call("t", "f", `{"a":1}`), "end_turn")

	// as OpenAI stops behind a call that tool_choice has named
	g("stop behind a call", `{"message":{"tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}`, call("t", "f", `{}`), "tool_use")
	g("cut in a call", `{"message":{"tool_calls":[{"id":"t","function":{"name":"f","arguments":"{"}}]},"finish_reason":"length"}`, call("t", "f", `{}`), "max_tokens")

	u := func(mark, usage, want string) {
		t.Helper()
		f(mark, `{"id":"c1","model":"m","choices":[{}],"usage":`+usage+`}`, message(empty, "end_turn", want))
	}
	u("T: an 12", `null`, zero)
	u("T: an 12", `[]`, zero)
	u("T: an 11", `{"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":null}`, `{"input_tokens":7,"output_tokens":8}`)
	u("T: an 8", `{"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":3}}`, `{"input_tokens":4,"output_tokens":8,"cache_read_input_tokens":3}`)
	u("T: an 8", `{"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":9,"cache_creation_input_tokens":2}}`, `{"input_tokens":0,"output_tokens":8,"cache_read_input_tokens":9,"cache_creation_input_tokens":2}`)
	u("T: an 8", `{"prompt_tokens_details":{"cached_tokens":null,"cache_creation_input_tokens":null}}`, `{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0}`)

	u("DeepSeek", `{"prompt_tokens":7,"completion_tokens":8,"prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":2}`, `{"input_tokens":2,"output_tokens":8,"cache_read_input_tokens":5}`)
	u("DeepSeek, both", `{"prompt_cache_hit_tokens":5,"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":4}}`, `{"input_tokens":3,"output_tokens":8,"cache_read_input_tokens":4}`)

	failed := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"}}`
	}
	f("T: an 9", `{"error":{"message":"m\n","type":"invalid_request_error","code":"c"}}`, failed("invalid_request_error", `m\n`))
	f("T: an 9", `{"error":{"message":"m","type":null,"code":"c"},"choices":[{}]}`, failed("c", "m"))
	f("T: an 9", `{"error":{"message":1}}`, failed("api_error", ""))
	f("T: an 9", `{"error":"m"}`, failed("api_error", "m"))
	f("Google", `[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]`, failed("404", "m"))
	f("OpenRouter", `{"id":"c1","choices":[{"message":{"content":"a"},"finish_reason":"error","error":{"code":502,"message":"m"}}]}`, failed("502", "m"))
	f("finish_reason error", `{"choices":[{"message":{"content":"a"},"finish_reason":"error","error":null}]}`, failed("api_error", "error: the provider did not finish its answer"))
	f("DeepSeek", `{"choices":[{"message":{"content":"a"},"finish_reason":"insufficient_system_resource"}]}`, failed("overloaded_error", "insufficient_system_resource: the provider did not finish its answer"))
	for _, body := range []string{`{"object":"error","message":"m","type":"t","code":404}`, `[{"type":"t","message":"m"}]`} {
		if got, ok, err := convert(body, 404); !ok || err != nil || got != failed("t", "m") {
			t.Errorf("%s: %s %v %v", body, got, ok, err)
		}
		if _, ok, err := convert(body, 200); ok || err == nil {
			t.Errorf("%s is no answer: %v %v", body, ok, err)
		}
	}
	f("no id", `{"choices":[{}]}`, `{"id":"","type":"message","role":"assistant","model":"","content":[`+empty+`],"stop_reason":"end_turn","usage":`+zero+`}`)

	st.Model = []byte(`llm"m`)
	f("llm_model", `{"id":"c1","model":"m","choices":[{}]}`, `{"id":"c1","type":"message","role":"assistant","model":"llm\"m","content":[`+empty+`],"stop_reason":"end_turn","usage":`+zero+`}`)
	st.Reset()

	for _, body := range []string{`{}`, `[]`, `{"choices":[]}`, `{"choices":null}`, `{"choices":{}}`, `{"choices":[null]}`, `{"choices":["x"]}`, `{"error":null}`} {
		if _, ok, err := convert(body, 200); ok || errText(err) != "no choices in response" {
			t.Errorf("%s: %v %v", body, ok, err)
		}
		if _, ok, err := convert(body, 404); ok || err != nil {
			t.Errorf("%s, refused: %v %v", body, ok, err)
		}
	}
	for _, body := range []string{``, ` `, `x`, `{`, `{"choices":[{}]`, `{"choices":[{}]} x`, `null`, `1`, `"s"`, `true`} {
		if _, ok, err := convert(body, 200); ok || err != nil {
			t.Errorf("%s: %v %v", body, ok, err)
		}
	}

	if _, err := converted(t, `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"a.b"}]}]}`, &st); err != nil {
		t.Fatal(err)
	}
	g("T: an 61, 62", `{"message":{"tool_calls":[{"function":{"name":"a_b_2e7336dc"}},{"function":{"name":"a.b"}}]}}`, call("", "a.b", "{}")+","+call("", "a.b", "{}"), "end_turn")
}
