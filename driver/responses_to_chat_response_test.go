package driver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestResponsesResponse(t *testing.T) {
	var st ConvState
	st.ID, st.Start, st.Model = []byte("f00d"), time.Unix(1700000000, 0), []byte(`llm"m`)
	convert := func(body string, status int) (string, bool, error) {
		t.Helper()
		out, ok, err := responsesToChat{}.AppendResponse([]byte("+"), []byte(body), status, &st)
		if ok && (err != nil || !json.Valid(out[1:])) || !ok && string(out) != "+" || out[0] != '+' {
			t.Errorf("%s: %q %v %v", body, out, ok, err)
		}
		return string(out[1:]), ok, err
	}
	f := func(name, body string, want ...string) {
		t.Helper()
		got, ok, err := convert(body, 200)
		for _, w := range want {
			if !ok || !strings.Contains(got, w) {
				t.Errorf("%s: %s: %v %v\n got %s\nwant %s", name, body, ok, err, got, w)
			}
		}
	}
	g := func(name, choice string, want ...string) {
		t.Helper()
		f(name, `{"id":"c1","model":"m","choices":[`+choice+`]}`, want...)
	}
	const done, none = `"status":"completed","background":false,"error":null,"incomplete_details":null`, `"usage":null`
	text := func(i, s string) string {
		return `{"id":"msg_c1_` + i + `","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"` + s + `"}]}`
	}
	g("text", `{"message":{"content":"a\n\u00e9"},"finish_reason":"stop"},{"message":{"content":"b"}}`, `{"id":"resp_c1","object":"response","created_at":1700000000,`, done, `"output":[`+text("0", `a\n\u00e9`)+`]`, none)
	for _, nothing := range []string{`{"message":{"content":null}}`, `{"message":{"content":""}}`, `{"finish_reason":null}`, `{"message":{"content":[{"type":"text"}]}}`} {
		g("nothing", nothing, done, `"output":[`+text("0", ``)+`]`)
	}
	g("reasoning", `{"message":{"content":"a","reasoning":"r"}}`, `"output":[{"id":"rs_c1_0","type":"reasoning","status":"completed","summary":[],"content":[{"type":"reasoning_text","text":"r"}]},`+text("1", "a")+`]`)
	g("refusal", `{"message":{"content":"","refusal":"r"}}`, `"output":[{"id":"msg_c1_0","type":"message","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"r"}]}]`)
	for _, reason := range []string{"stop", "tool_calls", "function_call", "new"} {
		g(reason, `{"message":{},"finish_reason":"`+reason+`"}`, done)
	}
	g("length", `{"message":{"content":"a"},"finish_reason":" length"}`, `"status":"incomplete","background":false,"error":null,"incomplete_details":{"reason":"max_output_tokens"}`, `"type":"message","status":"incomplete"`)
	g("filtered", `{"message":{"content":"a"},"finish_reason":"content_filter"}`, `"incomplete_details":{"reason":"content_filter"}`)
	call := func(i, id, name, args string) string {
		return `{"id":"fc_c1_` + i + `","type":"function_call","status":"completed","arguments":"` + args + `","call_id":"` + id + `","name":"` + name + `"}`
	}
	g("calls", `{"message":{"content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0}"}},1,{"id":"t2","function":{"name":"g","arguments":""}}]}}`,
		`"output":[`+call("0", "t1", "f", `{\"a\": 1.0}`)+`,`+call("1", "t2", "g", `{}`)+`]`)
	g("calls without ids", `{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":"\n"}}},{"id":null,"function":null}]}}`,
		`"output":[`+call("0", "call_c1_0", "f", `{\"a\":\"\\n\"}`)+`,`+call("1", "call_c1_1", "", `{}`)+`]`)
	g("cut in a call", `{"message":{"content":"a","tool_calls":[{"id":"t1","function":{"name":"f","arguments":"{"}}]},"finish_reason":"length"}`, text("0", "a")+`,{"id":"fc_c1_1","type":"function_call","status":"incomplete","arguments":"{"`)

	f("its own id", `{"id":"chatcmpl-A_b-9","created":7,"choices":[{}]}`, `"id":"resp_A_b-9"`, `"created_at":7`, `"id":"msg_A_b-9_0"`)
	f("a strange id", `{"id":"a/\"\u00e9b","choices":[{}]}`, `"id":"resp_au00e9b"`)
	f("a long id", `{"id":"`+strings.Repeat("x", 500)+`","choices":[{}]}`, `"id":"resp_`+strings.Repeat("x", 64)+`"`)
	f("no id", `{"choices":[{}]}`, `"id":"resp_f00d"`, `"id":"msg_f00d_0"`, `"model":"llm\"m"`)
	f("usage", `{"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}}`,
		`"usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":3,"cache_write_tokens":0},"output_tokens":8,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}`)
	f("the tier", `{"choices":[{}],"service_tier":"flex"}`, `"service_tier":"flex"`)

	f("an error", `{"error":{"message":"m\n","code":"c","type":"t"},"choices":[]}`, `"status":"failed","background":false,"error":{"code":"c","message":"m\n"}`, `"output":[]`)
	f("a string", `{"error":"m"}`, `"error":{"code":"server_error","message":"m"}`)
	f("a number", `{"error":{"code":429}}`, `"error":{"code":"rate_limit_exceeded","message":""}`)
	f("another number", `{"error":{"code":502,"message":1}}`, `"error":{"code":"server_error","message":""}`)

	f("no error", `{"error":"","choices":[{}]}`, done)

	for _, body := range []string{`{}`, `[]`, `{"choices":[]}`, `{"choices":[null]}`, `{"error":null}`} {
		if _, ok, err := convert(body, 200); ok || errText(err) != "no choices in response" {
			t.Errorf("%s: %v %v", body, ok, err)
		}
	}
	f("OpenRouter", `{"id":"c1","choices":[{"message":{"content":"a"},"finish_reason":"error","error":{"code":502,"message":"m"}}]}`, `"id":"resp_c1"`, `"status":"failed","background":false,"error":{"code":"server_error","message":"m"}`, `"output":[]`)
	g("finish_reason error", `{"message":{"content":"a"},"finish_reason":"error"}`, `"error":{"code":"server_error","message":"error: the provider did not finish its answer"}`)
	g("DeepSeek", `{"message":{"content":"a"},"finish_reason":"insufficient_system_resource"}`, `"error":{"code":"server_error","message":"insufficient_system_resource: the provider did not finish its answer"}`)
	f("Google", `[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]`, `"error":{"code":"rate_limit_exceeded","message":"m"}`)

	// A refusal is given OpenAI's form where it has another.
	for body, want := range map[string]string{
		` [{"error":{"code":404,"message":"m\n","status":"NOT_FOUND"}}]`: `"message":"m\n","type":"invalid_request_error","param":null,"code":"404"`,
		`{"object":"error","message":"m","type":"t","code":"c"}`:         `"message":"m","type":"t","param":null,"code":"c"`,
		`{"error":"m"}`: `"message":"m","type":"invalid_request_error","param":null,"code":null`,
	} {
		if got, ok, err := convert(body, 404); !ok || err != nil || got != `{"error":{`+want+`}}` {
			t.Errorf("%s: %s %v %v", body, got, ok, err)
		}
	}
	for _, body := range []string{`{"error":{"message":"m"}}`, `{"choices":[{}]}`, `[{}]`, `x`} {
		if _, ok, err := convert(body, 404); ok || err != nil {
			t.Errorf("%s, refused: %v %v", body, ok, err)
		}
	}
	for _, body := range []string{``, `x`, `{`, `{"choices":[{}]} x`, `null`, `1`} {
		if _, ok, err := convert(body, 200); ok || err != nil {
			t.Errorf("%s: %v %v", body, ok, err)
		}
	}
}

// A response repeats what was asked for, one line of it.
func TestResponsesEcho(t *testing.T) {
	var st ConvState
	const tools = `[{"type":"function","name":"f","strict":true}]`
	_, err := convertedBy(t, responsesToChat{}, "{\"input\":\"x\",\"instructions\":\"s\",\"max_output_tokens\":5,\"parallel_tool_calls\":false,\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},\"temperature\":0.5,"+
		"\"text\":{\"format\":{\r\n\"type\":\"json_object\"}},\"tool_choice\":\"none\",\"tools\":\n[{\"type\":\"function\",\r\"name\":\"f\",\"strict\":true}],\"top_p\":1.0,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":true,\"truncation\":\"auto\"}", &st)
	if err != nil {
		t.Fatal(err)
	}
	out, _, _ := responsesToChat{}.AppendResponse(nil, []byte(`{"choices":[{}]}`), 200, &st)
	for _, want := range []string{
		`"instructions":"s","max_output_tokens":5,`, `"parallel_tool_calls":false,"previous_response_id":null,`, `"reasoning":{"effort":"low","summary":null},`,
		`"store":false,"temperature":0.5,"text":{"format":{"type":"json_object"}},"tool_choice":"none","tools":` + tools + `,"top_p":1.0,"truncation":"disabled",`, `"user":"u","metadata":{"a":"b"}}`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
	st.Reset()
	if out, _, _ = (responsesToChat{}).AppendResponse(nil, []byte(`{"choices":[{}]}`), 200, &st); !strings.Contains(string(out), `"tools":[],`) || !strings.Contains(string(out), `"user":null,"metadata":{}}`) {
		t.Errorf("of the exchange before: %s", out)
	}
}
