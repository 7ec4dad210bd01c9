package driver

import (
	"encoding/json"
	"testing"
	"time"
)

func TestNativeResponse(t *testing.T) {
	st := ConvState{Start: time.Unix(7, 0), ID: []byte("own")}
	convert := func(body string, status int) (string, bool) {
		t.Helper()
		out, ok, err := chatToAnthropic{}.AppendResponse([]byte("+"), []byte(body), status, &st)
		if err != nil || ok && !json.Valid(out[1:]) || !ok && string(out) != "+" || out[0] != '+' {
			t.Errorf("%s: %q %v %v", body, out, ok, err)
		}
		return string(out[1:]), ok
	}
	f := func(body, want string) {
		t.Helper()
		for _, status := range []int{200, 400, 529} {
			if got, ok := convert(body, status); !ok || got != want {
				t.Errorf("%s: %v\n got %s\nwant %s", body, ok, got, want)
			}
		}
	}
	answer := func(message, finish, usage string) string {
		return `{"id":"i","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant",` + message +
			`},"logprobs":null,"finish_reason":"` + finish + `"}]` + usage + `}`
	}
	g := func(blocks, message string) {
		t.Helper()
		f(`{"id":"i","model":"m","content":[`+blocks+`],"stop_reason":"end_turn"}`, answer(message, "stop", ""))
	}
	g(``, `"content":"","refusal":null`)
	g(`{"type":"text","text":"a\n"},{"type":"text","text":"b"}`, `"content":"a\nb","refusal":null`)
	g(`1,null,{},{"type":"text"},{"type":"server_tool_use","id":"s","name":"n","input":{}},{"type":"text","text":""}`, `"content":"","refusal":null`)
	g(`{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a"},{"type":"redacted_thinking","data":"x"}`, `"content":"a","refusal":null,"reasoning_content":"t"`)
	g(`{"type":"thinking","thinking":"","signature":"s"}`, `"content":"","refusal":null`)
	call := func(id, args string) string {
		return `{"id":"` + id + `","type":"function","function":{"name":"f","arguments":` + args + `}}`
	}
	g(`{"type":"tool_use","id":"c","name":"f","input":{"a" : "\n"}},{"type":"tool_use","id":"d","name":"f"},{"type":"tool_use","id":"e"}`,
		`"content":null,"refusal":null,"tool_calls":[`+call("c", `"{\"a\" : \"\\n\"}"`)+`,`+call("d", `"{}"`)+`]`)
	g(`{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"f","input":{}}`, `"content":"a","refusal":null,"tool_calls":[`+call("c", `"{}"`)+`]`)

	for from, to := range map[string]string{`"end_turn"`: "stop", `"stop_sequence"`: "stop", `"pause_turn"`: "stop", `"max_tokens"`: "length",
		`"model_context_window_exceeded"`: "length", `"tool_use"`: "tool_calls", `"refusal"`: "content_filter", `"new"`: "stop", `null`: "stop", `1`: "stop"} {
		f(`{"id":"i","model":"m","content":[],"stop_reason":`+from+`}`, answer(`"content":"","refusal":null`, to, ""))
	}
	u := func(usage, want string) {
		t.Helper()
		if want != "" {
			want = `,"usage":{` + want + `}`
		}
		f(`{"id":"i","model":"m","content":[],"usage":`+usage+`}`, answer(`"content":"","refusal":null`, "stop", want))
	}
	u(`null`, ``)
	u(`[]`, ``)
	u(`{}`, `"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0}`)
	u(`{"input_tokens":7,"output_tokens":8,"cache_read_input_tokens":null,"cache_creation_input_tokens":0}`,
		`"prompt_tokens":7,"completion_tokens":8,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0}`)
	u(`{"input_tokens":7,"output_tokens":8,"cache_read_input_tokens":90,"cache_creation_input_tokens":300,"output_tokens_details":{"thinking_tokens":5}}`,
		`"prompt_tokens":397,"completion_tokens":8,"total_tokens":405,"prompt_tokens_details":{"cached_tokens":90,"cache_creation_input_tokens":300},"completion_tokens_details":{"reasoning_tokens":5}`)

	fault := func(kind, message string) string {
		return `{"error":{"message":"` + message + `","type":"` + kind + `","param":null,"code":null}}`
	}
	f(`{"type":"error","error":{"type":"rate_limit_error","message":"m\n"},"request_id":"r"}`, fault("rate_limit_error", `m\n`))
	for status, kind := range map[int]string{200: "invalid_request_error", 400: "invalid_request_error", 429: "rate_limit_error", 529: "server_error"} {
		for body, message := range map[string]string{`{"error":{"type":null,"message":1},"content":[]}`: "", `{"error":"m"}`: "m"} {
			if got, ok := convert(body, status); !ok || got != fault(kind, message) {
				t.Errorf("%s: %v %s", body, ok, got)
			}
		}
	}
	f(` {"err\u006fr":{"m\u0065ssage":"m","typ\u0065":"t"}} `, fault("t", "m"))

	st.Model = []byte(`llm"m`)
	f(`{"id":"i","model":"m","content":[]}`, `{"id":"i","object":"chat.completion","created":7,"model":"llm\"m","choices":[{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}]}`)
	st.Model = nil
	f(`{"content":[]}`, `{"id":"chatcmpl-own","object":"chat.completion","created":7,"model":"","choices":[{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}]}`)

	// What has neither form is passed on as it is.
	for _, body := range []string{``, ` `, `x`, `{`, `{"content":[]`, `{"content":[]} x`, `null`, `1`, `"s"`, `[]`, `{}`, `{"content":"a"}`, `{"error":null}`, `{"error":5}`, `<html>`} {
		for _, status := range []int{200, 404, 502} {
			if _, ok := convert(body, status); ok {
				t.Errorf("%s was converted", body)
			}
		}
	}
}
