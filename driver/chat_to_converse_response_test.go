package driver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestConverseResponse(t *testing.T) {
	st := ConvState{Model: []byte(`m"`), ID: []byte("id"), Start: time.Unix(7, 0)}
	convert := func(body string, status int) (string, bool, error) {
		t.Helper()
		out, ok, err := chatToConverse{}.AppendResponse([]byte("+"), []byte(body), status, &st)
		if ok && (err != nil || !json.Valid(out[1:])) || !ok && string(out) != "+" {
			t.Errorf("%s: %q %v %v", body, out, ok, err)
		}
		return string(out[1:]), ok, err
	}
	f := func(content, more, message, finish, usage string) {
		t.Helper()
		body := ` {"output":{"message":{"role":"assistant","content":` + content + `}}` + more + `} `
		said, rest, _ := strings.Cut(message, ",\"")
		if rest != "" {
			rest = `,"` + rest
		}
		want := `{"id":"chatcmpl-id","object":"chat.completion","created":7,"model":"m\"","choices":[{"index":0,"message":{"role":"assistant","content":` + said +
			`,"refusal":null` + rest + `},"logprobs":null,"finish_reason":"` + finish + `"}]` + usage + `}`
		if got, ok, err := convert(body, 200); !ok || got != want {
			t.Errorf("%s: %v %v\n got %s\nwant %s", body, ok, err, got, want)
		}
	}
	f(`[{"text":"a\n\u00e9"},{"text":"b"}]`, ``, `"a\n\u00e9b"`, "stop", "")
	f(`[]`, ``, `""`, "stop", "")
	f(`null`, `,"stopReason":null`, `""`, "stop", "")
	f(`[{"text":""},{"text":1},{"new":{}},1]`, `,"stopReason":"content_filtered"`, `""`, "content_filter", "")
	f(`[{"te\u0078t":"a"}]`, `,"st\u006fpReason":"max_tokens"`, `"a"`, "length", "")
	f(`[{"reasoningContent":{"reasoningText":{"text":"r","signature":"s"}}},{"reasoningContent":{"redactedContent":"AA"}}]`, ``, `"","reasoning_content":"r"`, "stop", "")
	f(`[{"citationsContent":{"content":[{"text":"a"},{"text":"b"}]}},{"citationsContent":{"content":[]}}]`, ``, `"ab"`, "stop", "")
	call := func(args string) string {
		return `null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":` + args + `}}]`
	}
	f(`[{"toolUse":{"toolUseId":"t","name":"f","input":{"a":"b\n"}}}]`, `,"stopReason":"tool_use"`, call(`"{\"a\":\"b\\n\"}"`), "tool_calls", "")
	for _, input := range []string{``, `,"input":null`, `,"input":"x"`, `,"input":[1]`} {
		f(`[{"toolUse":{"toolUseId":"t","name":"f"`+input+`}}]`, ``, call(`"{}"`), "stop", "")
	}
	f(`[{"toolUse":{"toolUseId":"t","name":"f","type":"server_tool_use"}},{"text":"a"}]`, ``, `"a"`, "stop", "")
	f(`[]`, `,"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":99}`, `""`, "stop", `,"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}`)
	f(`[]`, `,"usage":{"inputTokens":3,"outputTokens":4,"cacheReadInputTokens":10,"cacheWriteInputTokens":20}`, `""`, "stop",
		`,"usage":{"prompt_tokens":33,"completion_tokens":4,"total_tokens":37,"prompt_tokens_details":{"cached_tokens":10,"cache_creation_input_tokens":20}}`)
	f(`[]`, `,"usage":null`, `""`, "stop", "")

	e := func(body string, status int, kind, code, message string) {
		t.Helper()
		want := `{"error":{"message":` + message + `,"type":"` + kind + `","param":null,"code":` + code + `}}`
		if got, ok, err := convert(body, status); !ok || got != want {
			t.Errorf("%s: %v %v\n got %s\nwant %s", body, ok, err, got, want)
		}
	}
	for status, kind := range map[int]string{400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "invalid_request_error", 408: "server_error",
		413: "invalid_request_error", 424: "server_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"} {
		e(`{"message":"m\n"}`, status, kind, "null", `"m\n"`)
	}
	e(`{"__type":"com.amazon.coral.validate#ValidationException","Message":"m"}`, 400, "invalid_request_error", `"ValidationException"`, `"m"`)
	st.ErrorClass = []byte("ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/")
	e(`{"message":"m"}`, 429, "rate_limit_error", `"ThrottlingException"`, `"m"`)
	e(`{"__type":"ServiceQuotaExceededException","message":"m"}`, 400, "invalid_request_error", `"ServiceQuotaExceededException"`, `"m"`)
	st.ErrorClass = nil
	e(`{"__type":1,"message":"m","output":{"message":{}}}`, 500, "server_error", "null", `"m"`)
	e(`{"message":"m"}`, 200, "invalid_request_error", "null", `"m"`)

	for _, body := range []string{`{}`, `{"output":{}}`, `{"output":{"message":[]}}`, `{"message":1}`} {
		if _, ok, err := convert(body, 200); ok || errText(err) != "no output in response" {
			t.Errorf("%s: %v %v", body, ok, err)
		}
		if _, ok, err := convert(body, 403); ok || err != nil {
			t.Errorf("%s, refused: %v %v", body, ok, err)
		}
	}
	for _, body := range []string{``, `x`, `{`, `{"message":"m"} x`, `[]`, `null`, `1`, `"s"`} {
		if _, ok, err := convert(body, 400); ok || err != nil {
			t.Errorf("%s: %v %v", body, ok, err)
		}
	}
}
