package driver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// short gives each event of a converted stream as a line: its type without
// "response.", the item's number and what counts of it.
func short(t *testing.T, stream string) (lines []string) {
	t.Helper()
	for _, ev := range split(t, []byte(stream), len(stream)+1) {
		var e map[string]any
		if err := json.Unmarshal(ev.Data, &e); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimPrefix(string(ev.Name), "response.")
		if i, ok := e["output_index"]; ok {
			line += fmt.Sprint(" ", i)
		}
		for _, name := range []string{"delta", "text", "refusal", "arguments", "message"} {
			if s, ok := e[name].(string); ok {
				line += " " + s
			}
		}
		item := obj(e["item"])
		for _, name := range []string{"type", "status", "call_id", "name"} {
			if s, ok := item[name].(string); ok {
				line += " " + s
			}
		}
		r := obj(e["response"])
		for _, v := range []any{obj(r["incomplete_details"])["reason"], obj(r["error"])["code"], obj(r["error"])["message"], obj(r["usage"])["total_tokens"]} {
			if v != nil {
				line += fmt.Sprint(" ", v)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestResponsesStream(t *testing.T) {
	f := func(name string, in []string, want ...string) {
		t.Helper()
		out := streamedBy(responsesToChat{}, new(ConvState), true, append(in, "[DONE]")...)
		checkResponses(t, []byte(out))
		if len(want) > 0 {
			want = append([]string{"created", "in_progress"}, want...)
		}
		if got := short(t, out); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	in := func(lines ...string) []string { return lines }
	chunk := func(choice string) string { return `{"id":"c1","model":"m","choices":[` + choice + `]}` }
	delta := func(d string) string { return chunk(`{"index":0,"delta":` + d + `,"finish_reason":null}`) }
	finish := func(reason string) string { return chunk(`{"delta":{},"finish_reason":` + reason + `}`) }
	calls := func(c string) string { return delta(`{"tool_calls":[` + c + `]}`) }
	const (
		done   = `[DONE]`
		usage  = `{"prompt_tokens":100,"completion_tokens":50}`
		report = `{"id":"c1","model":"m","choices":[],"usage":` + usage + `}`
	)
	text := func(i, all string, deltas ...string) (lines []string) {
		lines = append(lines, "output_item.added "+i+" message in_progress", "content_part.added "+i)
		for _, d := range deltas {
			lines = append(lines, "output_text.delta "+i+" "+d)
		}
		return append(lines, "output_text.done "+i+" "+all, "content_part.done "+i)
	}
	over := func(i, kind, status string) string { return "output_item.done " + i + " " + kind + " " + status }
	lines := func(parts ...any) (all []string) {
		for _, p := range parts {
			if s, ok := p.(string); ok {
				all = append(all, s)
			} else {
				all = append(all, p.([]string)...)
			}
		}
		return all
	}
	a := lines(text("0", "a", "a"), over("0", "message", "completed"))
	empty := lines(text("0", ""), over("0", "message", "completed"))

	f("text", in(delta(`{"role":"assistant","content":""}`), delta(`{"content":"a"}`), delta(`{"content":"b"}`), finish(`"stop"`), report, done),
		lines(text("0", "ab", "a", "b"), over("0", "message", "completed"), "completed 150")...)
	f("without usage", in(delta(`{"content":"a"}`), finish(`"stop"`), done), lines(a, "completed")...)
	f("without a finish", in(delta(`{"content":"a"}`), done), lines(a, "completed")...)
	f("usage with the finish", in(chunk(`{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":`+usage+`,"x":[`), report, done), lines(a, "completed 150")...)
	f("usage all along", in(chunk(`{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1},"x":[`), finish(`"stop"`), chunk(`],"x":[`), report, done), lines(a, "completed 150")...)
	f("two finishes", in(delta(`{"content":"a"}`), finish(`"stop"`), finish(`"length"`), report), lines(a, "completed 150")...)
	f("text after the finish", in(delta(`{"content":"a"}`), finish(`"stop"`), delta(`{"content":"late"}`), report, delta(`{"content":"later"}`)), lines(a, "completed 150")...)
	f("no text", in(delta(`{}`), finish(`"stop"`), done), lines(empty, "completed")...)
	f("cut off", in(delta(`{"content":"a"}`), finish(`"length"`), report), lines(text("0", "a", "a"), over("0", "message", "incomplete"), "incomplete max_output_tokens 150")...)
	f("filtered", in(delta(`{"content":"a"}`), finish(`"content_filter"`)), lines(text("0", "a", "a"), over("0", "message", "incomplete"), "incomplete content_filter")...)
	for _, reason := range []string{`""`, `" "`, `"null"`, `null`, `1`, `{}`} {
		f("no finish "+reason, in(finish(reason), delta(`{"content":"a"}`)), lines(a, "completed")...)
	}

	f("all at once", in(delta(`{"content":"a","reasoning":"r","refusal":"n"}`)),
		lines("output_item.added 0 reasoning in_progress", "content_part.added 0", "reasoning_text.delta 0 r", "reasoning_text.done 0 r", "content_part.done 0", over("0", "reasoning", "completed"),
			text("1", "a", "a"), over("1", "message", "completed"),
			"output_item.added 2 message in_progress", "content_part.added 2", "refusal.delta 2 n", "refusal.done 2 n", "content_part.done 2", over("2", "message", "completed"), "completed")...)

	begun := func(i, id, name string) string {
		return "output_item.added " + i + " function_call in_progress " + id + " " + name
	}
	args := func(i, s string) string { return "function_call_arguments.delta " + i + " " + s }
	called := func(i, all, id, name string) []string {
		return lines("function_call_arguments.done "+i+" "+all, over(i, "function_call", "completed")+" "+id+" "+name)
	}
	one := `{"index":0,"id":"t0","type":"function","function":{"name":"f","arguments":""}}`
	f("a call", in(calls(one), calls(`{"index":0,"function":{"arguments":"{\"a\""}}`), calls(`{"index":0,"function":{"arguments":":1}"}}`), finish(`"tool_calls"`), report),
		lines(begun("0", "t0", "f"), args("0", `{"a"`), args("0", ":1}"), called("0", `{"a":1}`, "t0", "f"), "completed 150")...)
	f("calls that take turns, and text", in(delta(`{"content":"a"}`), calls(one), calls(`{"index":1,"id":"t1","function":{"name":"g","arguments":"{"}},{"index":0,"function":{"arguments":"x"}}`), calls(`{"index":1,"function":{"arguments":"}"}}`), delta(`{"content":"b"}`), calls(`{"index":0,"function":{"arguments":"y"}}`)),
		lines(a, begun("1", "t0", "f"), begun("2", "t1", "g"), args("2", "{"), args("1", "x"), args("2", "}"),
			"output_item.added 3 message in_progress", "content_part.added 3", "output_text.delta 3 b", args("1", "y"),
			called("1", "xy", "t0", "f"), called("2", "{}", "t1", "g"), "output_text.done 3 b", "content_part.done 3", over("3", "message", "completed"), "completed")...)
	f("no arguments", in(calls(one), finish(`"tool_calls"`)), lines(begun("0", "t0", "f"), args("0", "{}"), called("0", "{}", "t0", "f"), "completed")...)
	f("cut off in a call", in(calls(one), calls(`{"index":1,"id":"t1","function":{"name":"g"}}`), finish(`"length"`)),
		lines(begun("0", "t0", "f"), begun("1", "t1", "g"), args("0", "{}"), called("0", "{}", "t0", "f"), "function_call_arguments.done 1 ", over("1", "function_call", "incomplete")+" t1 g", "incomplete max_output_tokens")...)
	f("no index", in(calls(`{"id":"t0","function":{"name":"f","arguments":"{"}}`), calls(`{"function":{"arguments":"}"}}`), calls(`{"id":"t1","function":{"name":"f","arguments":"{}"}}`), calls(`{"function":{"name":"g","arguments":"[]"}}`)),
		lines(begun("0", "t0", "f"), args("0", "{"), args("0", "}"), begun("1", "t1", "f"), args("1", "{}"), begun("2", "call_c1_2", "g"), args("2", "[]"),
			called("0", "{}", "t0", "f"), called("1", "{}", "t1", "f"), called("2", "[]", "call_c1_2", "g"), "completed")...)
	f("the same index", in(calls(`{"index":0,"id":"t0","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"t1","function":{"name":"g","arguments":"{"}}`), calls(`{"index":0,"function":{"arguments":"}"}}`)),
		lines(begun("0", "t0", "f"), args("0", "{}"), begun("1", "t1", "g"), args("1", "{"), args("1", "}"), called("0", "{}", "t0", "f"), called("1", "{}", "t1", "g"), "completed")...)
	f("Gemini: no index, stop", in(calls(`{"id":"t0","function":{"name":"f","arguments":"{}"}}`), calls(`{"id":"t1","function":{"name":"f","arguments":"["}},{"id":"t1","function":{"name":"f","arguments":"]"}}`), finish(`"stop"`)),
		lines(begun("0", "t0", "f"), args("0", "{}"), begun("1", "t1", "f"), args("1", "["), args("1", "]"), called("0", "{}", "t0", "f"), called("1", "[]", "t1", "f"), "completed")...)
	f("vLLM: an id for every part", in(calls(`{"index":0,"id":"t0","function":{"name":"f"}}`), calls(`{"index":0,"id":"t1","function":{"arguments":"{"}},{"index":0,"id":"t2","function":{"name":null,"arguments":"}"}},{"index":0,"id":"t3","function":{"name":"","arguments":" "}}`)),
		lines(begun("0", "t0", "f"), args("0", "{"), args("0", "}"), args("0", " "), called("0", "{} ", "t0", "f"), "completed")...)
	f("parts of no call", in(calls(`{"function":{"arguments":"lost"}},{"index":null},{"id":"t0"},1,null`), delta(`{"content":"a"}`)), lines(a, "completed")...)
	f("everything repeated", in(calls(`{"index":0,"id":"t0","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":"t0","function":{"name":"f","arguments":"}"}}`), calls(`{"index":0,"id":"other"}`)),
		lines(begun("0", "t0", "f"), args("0", "{"), args("0", "}"), called("0", "{}", "t0", "f"), "completed")...)
	f("the name comes late", in(calls(`{"index":0,"id":"t0","function":{"arguments":"{"}}`), calls(`{"index":0,"function":{"name":"f","arguments":"}"}}`)),
		lines(begun("0", "t0", "f"), args("0", "{"), args("0", "}"), called("0", "{}", "t0", "f"), "completed")...)
	f("the name never comes", in(calls(`{"index":0,"id":"t0","function":{"arguments":"{}"}}`), delta(`{"content":"a"}`), calls(`{"index":7},1,null`)),
		lines(begun("0", "t0", ""), args("0", "{}"), text("1", "a", "a")[:3], "output_text.done 1 a", "content_part.done 1", over("1", "message", "completed"),
			begun("2", "call_c1_2", ""), called("0", "{}", "t0", ""), args("2", "{}"), called("2", "{}", "call_c1_2", ""), "completed")...)

	f("nothing", in(``, `x`, `{`, `[]`, `null`, `[DONE]`, `{"choices":[]}`, `other|`+delta(`{"content":"a"}`), `ping|{}`))
	f("Azure's first chunk", in(`{"id":"","model":"","created":0,"choices":[]}`, delta(`{"content":"a"}`)), lines(a, "completed")...)
	f("pings and broken chunks", in(delta(`{"content":"a"}`), `ping|{}`, `{"choices":[{"delta":{"content":"b"}}`), lines(a, "completed")...)
	f("only choices[0]", in(chunk(`{"delta":{"content":"a"}},{"delta":{"content":"b"}}`), chunk(`1`), chunk(`{"delta":[]}`)), lines(a, "completed")...)

	broken := lines(text("0", "", "a")[:3])
	f("an error", in(delta(`{"content":"a"}`), `{"error":{"message":"m","type":"server_error","code":"c"}}`, done, delta(`{"content":"b"}`)), lines(broken, "failed c m")...)
	f("an error by name", in(delta(`{"content":"a"}`), `error|{"error":{"code":429,"message":"m"}}`), lines(broken, "failed rate_limit_exceeded m")...)
	f("an error by name alone", in(delta(`{"content":"a"}`), `error|{"message":"m","type":"t"}`), lines(broken, "failed server_error m")...)
	f("an error by name alone, no JSON", in(delta(`{"content":"a"}`), `error|a "b"`), lines(broken, `failed server_error a "b"`)...)
	f("an error in an array", in(delta(`{"content":"a"}`), `[{"error":{"code":429,"message":"m"}}]`), lines(broken, "failed rate_limit_exceeded m")...)
	f("no error in an array", in(`[{"error":null}]`, `[{}]`, `[1]`, `[`+delta(`{"content":"a"}`)+`]`))
	f("an error in a choice", in(chunk(`{"delta":{"content":"a"},"finish_reason":"stop","error":{"code":502,"message":"m"}}`), report), lines(broken, "failed server_error m")...)
	const gaveUp = ": the provider did not finish its answer"
	f("finish_reason error", in(delta(`{"content":"a"}`), finish(`" error"`), report), lines(broken, "failed server_error error"+gaveUp)...)
	f("DeepSeek: no resources", in(delta(`{"content":"a"}`), finish(`"insufficient_system_resource"`), report), lines(broken, "failed server_error insufficient_system_resource"+gaveUp)...)
	f("an error first", in(`{"error":"m"}`, done), "failed server_error m")
	f("an error after the finish", in(delta(`{"content":"a"}`), finish(`"stop"`), `{"error":"m"}`), lines(a, "failed server_error m")...)
	f("no error", in(`{"error":null,"choices":[{"delta":{"content":"a"}}]}`, `{"error":""}`), lines(a, "completed")...)
}

// A stream that broke off gets nothing: the relay says why, with the number
// that is next.
func TestResponsesStreamBroken(t *testing.T) {
	var st ConvState
	const chunk = `{"id":"c1","choices":[{"delta":{"content":"a"}}]}`
	got := streamedBy(responsesToChat{}, &st, false, chunk)
	if n := len(short(t, got)); n != 5 || st.Ended() {
		t.Errorf("%d events: %s", n, got)
	}
	fault := string(responsesToChat{}.AppendFault(nil, CodeTimeout, "slow", &st))
	if want := "event: error\ndata: {\"type\":\"error\",\"code\":\"" + CodeTimeout + "\",\"message\":\"slow\",\"param\":null,\"sequence_number\":5}\n\n"; fault != want {
		t.Errorf("%s", fault)
	}
	for lines, whole := range map[string]bool{
		chunk: false,
		`{"id":"c1","choices":[{"delta":{},"finish_reason":null}]}`:                  false,
		`{"id":"c1","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}`:   true,
		`{"id":"c1","choices":[{"delta":{"content":"a"},"finish_reason":"length"}]}`: true,
	} {
		st.Reset()
		got := streamedBy(responsesToChat{}, &st, true, lines)
		if last := strings.Contains(got, "event: response.completed") || strings.Contains(got, "event: response.incomplete"); last != whole || st.Ended() != whole {
			t.Errorf("%s, and no more: %s", lines, got)
		}
	}
	st.Reset()
	if got := streamedBy(responsesToChat{}, &st, true); got != "" || st.Ended() {
		t.Errorf("something came of nothing: %s", got)
	}
}

// What is kept of a stream to be repeated is bounded, whatever it consists of.
func TestResponsesStreamBound(t *testing.T) {
	f := func(name, chunk string) {
		t.Helper()
		var st ConvState
		var out []byte
		most := 0
		for n := 0; !st.Ended(); n++ {
			out = append(out[:0], streamedBy(responsesToChat{}, &st, false, strings.ReplaceAll(chunk, "#", fmt.Sprint(n)))...)
			if most = max(most, len(out)); n > 100000 {
				t.Fatalf("%s: no end", name)
			}
		}
		size := 0
		for i := range st.toResponse.items {
			size += cap(st.toResponse.items[i].text)
		}
		if !strings.HasPrefix(string(out[max(0, strings.Index(string(out), "event: response.failed")):]), "event: response.failed") || size > 2*maxOutput+1<<20 || most > 3*maxOutput {
			t.Errorf("%s: %d kept, %d at once", name, size, most)
		}
		start := time.Now()
		st.Reset()
		if got := cap(st.toResponse.items); got > keptItems || time.Since(start) > time.Second {
			t.Errorf("%s: %d items left over", name, got)
		}
	}
	long := strings.Repeat("x", 1<<16)
	f("text", `{"choices":[{"delta":{"content":"`+long+`"}}]}`)
	f("items", `{"choices":[{"delta":{"content":"a","reasoning":"b","refusal":"c"}}]}`)
	f("calls", `{"choices":[{"delta":{"tool_calls":[{"index":#,"id":"t","function":{"name":"f"}}]}}]}`)
	f("names", `{"choices":[{"delta":{"tool_calls":[{"index":#,"function":{"name":"`+long+`"}}]}}]}`)
	f("a hidden call", `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"`+long+`"}}]}}]}`)
}
