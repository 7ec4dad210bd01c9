package driver

import (
	"encoding/json"
	"strings"
	"testing"

	"headrace/sse"
)

// streamed converts a stream of data lines, one chunk a line.
func streamed(st *ConvState, clean bool, lines ...string) string {
	return streamedBy(anthropicToChat{}, st, clean, lines...)
}

// The rows of section 4.3. An expected line is the data of an event, whose
// name is its type.
func TestAnthropicStream(t *testing.T) {
	f := func(mark string, lines []string, want ...string) {
		t.Helper()
		var all strings.Builder
		for _, w := range want {
			var ev struct{ Type string }
			if err := json.Unmarshal([]byte(w), &ev); err != nil {
				t.Fatalf("%s: %v", w, err)
			}
			all.WriteString("event: " + ev.Type + "\ndata: " + w + "\n\n")
		}
		if got := streamed(new(ConvState), true, append(lines, "[DONE]")...); got != all.String() {
			t.Errorf("%s:\n got %s\nwant %s", mark, got, all.String())
		}
	}
	in := func(lines ...string) []string { return lines }
	chunk := func(choice string) string { return `{"id":"c1","model":"m","choices":[` + choice + `]}` }
	delta := func(d string) string { return chunk(`{"index":0,"delta":` + d + `,"finish_reason":null}`) }
	finish := func(reason string) string { return chunk(`{"delta":{},"finish_reason":` + reason + `}`) }
	block := func(i, b string) string {
		return `{"type":"content_block_start","index":` + i + `,"content_block":` + b + `}`
	}
	part := func(i, d string) string { return `{"type":"content_block_delta","index":` + i + `,"delta":` + d + `}` }
	over := func(i string) string { return `{"type":"content_block_stop","index":` + i + `}` }
	last := func(reason, usage string) string {
		return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `"}` + usage + `}`
	}
	const (
		start  = `{"type":"message_start","message":{"id":"c1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":0,"output_tokens":0}}}`
		stop   = `{"type":"message_stop"}`
		done   = `[DONE]`
		text   = `{"type":"text","text":""}`
		think  = `{"type":"thinking","thinking":""}`
		zero   = `,"usage":{"input_tokens":0,"output_tokens":0}`
		report = `{"id":"c1","model":"m","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":20}}}`
		used   = `,"usage":{"input_tokens":80,"output_tokens":50,"cache_read_input_tokens":20}`
	)
	say := func(s string) string { return `{"type":"text_delta","text":"` + s + `"}` }
	args := func(s string) string { return `{"type":"input_json_delta","partial_json":"` + s + `"}` }

	f("section 11", in(delta(`{"role":"assistant","content":"a"}`), delta(`{"content":"b"}`), finish(`"stop"`), report, done),
		start, block("0", text), part("0", say("a")), part("0", say("b")), over("0"), last("end_turn", used), stop)
	f("T: pc 20", in(delta(`{"role":"assistant","content":"a\n\u00e9"}`)),
		start, block("0", text), part("0", say(`a\n\u00e9`)), over("0"), last("end_turn", zero), stop)
	f("T: pc 16, 20", in(delta(`{"role":"assistant","content":""}`), delta(`{"content":null}`), done), start, last("end_turn", zero), stop)
	f("row 1, any chunk", in(`{"id":"c1","model":"m"}`, done), start, last("end_turn", zero), stop)
	f("row 1, nothing known", in(`{"choices":[]}`, `{"id":"","model":"","choices":[],"prompt_filter_results":[]}`))
	f("row 1, behind a verdict", in(`{"id":"","model":"","choices":[],"prompt_filter_results":[]}`, delta(`{"content":"a"}`)),
		start, block("0", text), part("0", say("a")), over("0"), last("end_turn", zero), stop)
	f("T: an 30", in(delta(`{"reasoning_content":"x"}`), delta(`{"reasoning":"y"}`), delta(`{"reasoning_content":"","reasoning":null,"content":"a"}`), delta(`{"reasoning_content":"z"}`)),
		start, block("0", think), part("0", `{"type":"thinking_delta","thinking":"x"}`), part("0", `{"type":"thinking_delta","thinking":"y"}`), over("0"),
		block("1", text), part("1", say("a")), over("1"), block("2", think), part("2", `{"type":"thinking_delta","thinking":"z"}`), over("2"), last("end_turn", zero), stop)
	f("both in one chunk", in(delta(`{"content":"a","reasoning":"x"}`)),
		start, block("0", think), part("0", `{"type":"thinking_delta","thinking":"x"}`), over("0"), block("1", text), part("1", say("a")), over("1"), last("end_turn", zero), stop)
	f("T: an 33", in(delta(`{"content":"a"}`),
		delta(`{"tool_calls":[{"index":0,"id":"t0","type":"function","function":{"name":"f","arguments":""}}]}`),
		delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}`),
		delta(`{"tool_calls":[{"index":1,"function":{"name":"g","arguments":"{}"}},{"index":0,"function":{"arguments":":1}"}}]}`),
		finish(`"tool_calls"`), done),
		start, block("0", text), part("0", say("a")), over("0"), block("1", `{"type":"tool_use","id":"t0","name":"f","input":{}}`), part("1", args(`{\"a\"`)),
		over("1"), block("2", `{"type":"tool_use","id":"","name":"g","input":{}}`), part("2", args(`{}`)), part("1", args(`:1}`)), over("2"), last("tool_use", zero), stop)
	call := func(i, id, name string) string {
		return block(i, `{"type":"tool_use","id":"`+id+`","name":"`+name+`","input":{}}`)
	}
	f("row 4, no index", in(delta(`{"tool_calls":[{"function":{"arguments":"lost"}},{"index":null},1,null,{"id":"t0"}]}`)), start, last("end_turn", zero), stop)
	f("Gemini: no index, stop", in(delta(`{"tool_calls":[{"id":"t0","function":{"name":"f","arguments":"{}"}}]}`), delta(`{"tool_calls":[{"id":"t1","function":{"name":"f","arguments":"{}"}},{"id":"t1","function":{"name":"f","arguments":" "}},{"function":{"arguments":" "}},{"function":{"name":"g"}},{"function":{"name":"g"}}]}`), finish(`"stop"`)),
		start, call("0", "t0", "f"), part("0", args(`{}`)), over("0"), call("1", "t1", "f"), part("1", args(`{}`)), part("1", args(` `)), part("1", args(` `)), over("1"),
		call("2", "", "g"), over("2"), call("3", "", "g"), over("3"), last("tool_use", zero), stop)
	f("Ollama: index 0 for all", in(delta(`{"tool_calls":[{"index":0,"id":"t0","function":{"name":"f","arguments":"{}"}}]}`), delta(`{"tool_calls":[{"index":0,"id":"t1","function":{"name":"f","arguments":"{}"}}]}`), delta(`{"tool_calls":[{"index":0,"id":"t1","function":{"name":"f","arguments":" "}},{"index":0,"function":{"name":"f","arguments":" "}}]}`)),
		start, call("0", "t0", "f"), part("0", args(`{}`)), over("0"), call("1", "t1", "f"), part("1", args(`{}`)), part("1", args(` `)), part("1", args(` `)), over("1"), last("end_turn", zero), stop)
	f("vLLM: an id for every part", in(delta(`{"tool_calls":[{"index":0,"id":"t0","function":{"name":"f"}}]}`), delta(`{"tool_calls":[{"index":0,"id":"t1","function":{"arguments":"{"}},{"index":0,"id":"t2","function":{"name":null,"arguments":"}"}},{"index":0,"id":"t3","function":{"name":"","arguments":" "}}]}`), finish(`"length"`)),
		start, call("0", "t0", "f"), part("0", args(`{`)), part("0", args(`}`)), part("0", args(` `)), over("0"), last("max_tokens", zero), stop)
	f("text after a call", in(delta(`{"tool_calls":[{"index":3.0,"id":"t0"}]}`), delta(`{"content":"a"}`), delta(`{"tool_calls":[{"index":3,"function":{"arguments":"x"}}]}`)),
		start, block("0", `{"type":"tool_use","id":"t0","name":"","input":{}}`), over("0"), block("1", text), part("1", say("a")), part("0", args("x")), over("1"), last("end_turn", zero), stop)
	f("T: an 31", in(delta(`{"content":"a"}`), chunk(`{"delta":{"content":"b"},"finish_reason":"length"}`), done),
		start, block("0", text), part("0", say("a")), part("0", say("b")), over("0"), last("max_tokens", zero), stop)
	for reason, want := range map[string]string{`" stop\n"`: "end_turn", `"content_filter"`: "end_turn", `"function_call"`: "tool_use", `"new"`: "end_turn", `"l\u0065ngth"`: "max_tokens"} {
		f("row 5 "+reason, in(finish(reason), report), start, last(want, used), stop)
	}
	for _, reason := range []string{`""`, `" "`, `"null"`, `" null "`, `null`, `1`, `{}`} {
		f("row 5, not yet "+reason, in(finish(reason), delta(`{"content":"a"}`)), start, block("0", text), part("0", say("a")), over("0"), last("end_turn", zero), stop)
	}
	both := `{"id":"c1","model":"m","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":4}}}`
	f("T: an 32, usage with the finish", in(both, report, done), start, last("end_turn", `,"usage":{"input_tokens":5,"output_tokens":6}`), stop)
	f("T: an 32", in(finish(`"stop"`), report, delta(`{}`), done), start, last("end_turn", used), stop)
	f("usage behind chunks without", in(finish(`"stop"`), `{"choices":[],"usage":null}`, finish(`"stop"`), report, done), start, last("end_turn", used), stop)
	f("row 6, later content", in(finish(`"stop"`), delta(`{"content":"late"}`), done), start, last("end_turn", zero), stop)
	f("usage", in(finish(`"stop"`), `{"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9,"cache_creation_input_tokens":4}}}`),
		start, last("end_turn", `,"usage":{"input_tokens":0,"output_tokens":1,"cache_read_input_tokens":9,"cache_creation_input_tokens":4}`), stop)
	f("T: an 34", in(finish(`"stop"`), done, done, report, delta(`{"content":"late"}`), `{"error":"late"}`, "ping|{}"), start, last("end_turn", zero), stop)
	f("T: an 53", in(delta(`{"content":"a"}`), done, report), start, block("0", text), part("0", say("a")), over("0"), last("end_turn", zero), stop)
	f("row 10", in(done))
	f("row 10, later chunks count", in(done, delta(`{}`)), start, last("end_turn", zero), stop)
	f("T: pc 22", in(``, ` `, `x`, `{`, `{"id":"c1"`, `{"id":"c1",}`, `{"id":"c1"}}`, `[]`, `null`, `5`, `"s"`, `{"choices":[{"delta":{"content":"a"}}]`, `other|`+delta(`{"content":"a"}`)))
	f("T: pc 22, in between", in(delta(`{"content":"a"}`), `{"choices":[{"delta":{"content":"b"}}`, `message|`+delta(`{"content":"c"}`)),
		start, block("0", text), part("0", say("a")), part("0", say("c")), over("0"), last("end_turn", zero), stop)
	f("T: an 44", in("ping|", delta(`{}`), `ping|{"type":"ping"}`, done), `{"type":"ping"}`, start, `{"type":"ping"}`, last("end_turn", zero), stop)

	failed := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"}}`
	}
	f("error", in(delta(`{"content":"a"}`), `{"error":{"message":"m\n","type":"server_error","code":"c"}}`, done, delta(`{"content":"b"}`)),
		start, block("0", text), part("0", say("a")), failed("server_error", `m\n`))
	f("error first", in(`{"id":"c1","error":{"code":"c"},"choices":[]}`, done), failed("c", ""))
	f("error as a string", in(`{"error":"m"}`), failed("api_error", "m"))
	f("error with a number", in(`{"error":{"code":429,"type":null,"message":{}}}`), failed("429", ""))
	f("error by name", in(`error|{"error":{}}`), failed("api_error", ""))
	f("error by name alone", in(`error|{"message":"m","type":"t"}`, delta(`{"content":"a"}`)), failed("t", "m"))
	f("error by name alone, no JSON", in("error|a \"b\""), failed("api_error", `a \"b\"`))
	f("error in an array", in(delta(`{"content":"a"}`), `[{"error":{"code":503,"message":"m"}}]`), start, block("0", text), part("0", say("a")), failed("503", "m"))
	f("no error in an array", in(`[{"error":null}]`, `[{}]`, `[1]`, `[`+delta(`{"content":"a"}`)+`]`))
	f("error in a choice", in(chunk(`{"delta":{"content":"a"},"finish_reason":"stop","error":{"code":502,"message":"m"}}`), report), start, block("0", text), part("0", say("a")), failed("502", "m"))
	f("finish_reason error", in(chunk(`{"delta":{"content":""},"finish_reason":" error"}`), report), start, failed("api_error", "error: the provider did not finish its answer"))
	f("DeepSeek: no resources", in(delta(`{"content":"a"}`), finish(`"insufficient_system_resource"`), report),
		start, block("0", text), part("0", say("a")), failed("overloaded_error", "insufficient_system_resource: the provider did not finish its answer"))
	f("no error", in(`{"id":"c1","model":"m","error":null}`, `{"error":""}`, `{"error":0}`), start, last("end_turn", zero), stop)
	f("error after the finish", in(finish(`"stop"`), `{"error":"m"}`), start, failed("api_error", "m"))
	f("only choices[0]", in(chunk(`{"delta":{"content":"a"}},{"delta":{"content":"b"}}`), chunk(`1`), chunk(`{"delta":[]}`)),
		start, block("0", text), part("0", say("a")), over("0"), last("end_turn", zero), stop)
	f("escaped keys", in(`{"\u0069d":"c1","m\u006fdel":"m","choices":[{"delt\u0061":{"c\u006fntent":"a"}}]}`), start, block("0", text), part("0", say("a")), over("0"), last("end_turn", zero), stop)
}

// A stream that broke off gets nothing: the relay says why.
func TestAnthropicStreamBroken(t *testing.T) {
	var st ConvState
	const chunk = `{"id":"c1","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}`
	if got := streamed(&st, false, chunk); strings.Contains(got, "message_delta") || !strings.HasSuffix(got, "\n\n") {
		t.Errorf("%s", got)
	}
	if st.Ended() {
		t.Error("a broken stream has ended")
	}
	for lines, whole := range map[string]bool{
		chunk: true,
		`{"id":"c1","choices":[{"delta":{"content":"a"}}]}`:         false,
		`{"id":"c1","choices":[{"delta":{},"finish_reason":null}]}`: false,
	} {
		st.Reset()
		if got := streamed(&st, true, lines); strings.Contains(got, "message_stop") != whole || st.Ended() != whole {
			t.Errorf("%s, and no more: %s", lines, got)
		}
	}
	st.Reset()
	if got := streamed(&st, true); got != "" {
		t.Errorf("something came of nothing: %s", got)
	}
}

// llama.cpp's error is no event by the standard.
func TestFaultField(t *testing.T) {
	for stream, want := range map[string]string{
		"error: {\"message\":\"m\"}\n\n":              `error|{"message":"m"}`,
		"error: {\"message\":\"m\"}\r\nid: 1\r\n\r\n": `error|{"message":"m"}`,
		"error: \n\n":                          `error|`,
		"error: {}\ndata: {\"id\":\"c1\"}\n\n": `|{"id":"c1"}`,
		": error: {}\n\n":                      "nothing",
		"event: error\n\n":                     "nothing",
		"errors: {}\n\n":                       "nothing",
	} {
		for _, ev := range blocks(stream) {
			got := "nothing"
			if ev = FaultField(ev); ev.Data != nil {
				got = string(ev.Name) + "|" + string(ev.Data)
			}
			if got != want {
				t.Errorf("%q: %s, want %s", stream, got, want)
			}
		}
	}
}

func blocks(stream string) (list []sse.Event) {
	var sc sse.Scanner
	sc.Init(1 << 20)
	sc.Reset([]byte(stream))
	for sc.Next() {
		list = append(list, sc.Event())
	}
	return list
}

// Renamed tools are called by the client's names (T: an 61, 62).
func TestAnthropicStreamNames(t *testing.T) {
	var st ConvState
	if _, err := converted(t, `{"tools":[{"name":"a.b"}],"messages":[{"role":"user","content":"x"}]}`, &st); err != nil {
		t.Fatal(err)
	}
	got := streamed(&st, true, `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"a_b_2e7336dc"}}]}}]}`)
	if !strings.Contains(got, `"content_block":{"type":"tool_use","id":"t","name":"a.b","input":{}}`) {
		t.Error(got)
	}
	st.Reset()
	if got := streamed(&st, true, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"a_b_2e7336dc"}}]}}]}`); !strings.Contains(got, `"name":"a_b_2e7336dc"`) {
		t.Errorf("a name of the exchange before: %s", got)
	}
}

// A provider that calls very many tools at once does not make it slow.
func TestAnthropicStreamManyCalls(t *testing.T) {
	var b strings.Builder
	const n = 20000
	b.WriteString(`{"choices":[{"delta":{"tool_calls":[`)
	for i := range 2 * n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"index":` + strings.Repeat("1", i%n%17+1) + `.` + strings.Repeat("0", i%n/17%9) + string(rune('1'+i%9)) + `e` + string(rune('0'+i%n/2000)) + `}`)
	}
	b.WriteString(`]}}]}`)
	var st ConvState
	got := streamed(&st, true, b.String())
	starts, blocks := strings.Count(got, "event: content_block_start"), len(st.toMessages.calls.list)
	if starts != blocks || blocks < 100 {
		t.Errorf("%d starts, %d blocks", starts, blocks)
	}
	st.Reset()
	if st.toMessages.calls.latest != nil || len(st.toMessages.calls.list) != 0 {
		t.Error("calls are left over")
	}
}
