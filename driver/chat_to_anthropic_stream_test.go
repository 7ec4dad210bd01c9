package driver

import (
	"strings"
	"testing"
	"time"
)

func TestNativeStream(t *testing.T) {
	f := func(mark string, counts bool, lines []string, want ...string) {
		t.Helper()
		st := ConvState{Start: time.Unix(7, 0)}
		st.chunks.usage = counts
		all := ""
		for _, w := range want {
			if !strings.HasPrefix(w, ":") {
				w = "data: " + w
			}
			all += w + "\n\n"
		}
		got := streamedBy(chatToAnthropic{}, &st, true, lines...)
		if got != all {
			t.Errorf("%s:\n got %s\nwant %s", mark, got, all)
		}
		checkChunks(t, []byte(got))
		if st.Ended() != (mark != "cut" && st.chunks.started || strings.Contains(got, `"error"`)) {
			t.Errorf("%s: ended %v", mark, st.Ended())
		}
	}
	in := func(lines ...string) []string { return lines }
	chunk := func(choices string) string {
		return `{"id":"i","object":"chat.completion.chunk","created":7,"model":"m","choices":[` + choices + `]`
	}
	delta := func(d string) string {
		return chunk(`{"index":0,"delta":{`+d+`},"logprobs":null,"finish_reason":null}`) + `}`
	}
	finish := func(reason string) string {
		return chunk(`{"index":0,"delta":{},"logprobs":null,"finish_reason":"`+reason+`"}`) + `}`
	}
	event := func(kind, rest string) string { return kind + `|{"type":"` + kind + `",` + rest + `}` }
	said := func(d string) string { return event("content_block_delta", `"index":0,"delta":{`+d+`}`) }
	opened := func(b string) string { return event("content_block_start", `"index":0,"content_block":{`+b+`}`) }
	ended := func(reason string) string { return event("message_delta", `"delta":{"stop_reason":`+reason+`}`) }
	const (
		done  = `[DONE]`
		stop  = `message_stop|{"type":"message_stop"}`
		shut  = `content_block_stop|{"type":"content_block_stop","index":0}`
		ping  = `ping|{"type":"ping"}`
		text  = `"type":"text_delta","text":`
		quiet = `: ping`
	)
	start := event("message_start", `"message":{"id":"i","model":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}`)
	first := delta(`"role":"assistant","content":""`)

	f("text", false, in(start, said(text+`"a\n\u00e9"`), said(text+`""`), said(text+`null`), ended(`"end_turn"`), stop),
		first, delta(`"content":"a\n\u00e9"`), finish("stop"), done)
	f("ping", false, in(ping, start, ping, ended(`"end_turn"`), stop, ping), quiet, first, quiet, finish("stop"), done)
	f("no names", false, in(strings.SplitN(start, "|", 2)[1], strings.SplitN(said(text+`"a"`), "|", 2)[1], `{"type":"message_stop"}`), first, delta(`"content":"a"`), finish("stop"), done)
	f("text in the block", false, in(start, opened(`"type":"text","text":"a"`), stop), first, delta(`"content":"a"`), finish("stop"), done)
	f("thinking", false, in(start, opened(`"type":"thinking","thinking":"h","signature":""`), said(`"type":"thinking_delta","thinking":"m"`), said(`"type":"signature_delta","signature":"s"`),
		said(`"type":"citations_delta","citation":{}`), said(`"type":"new_delta","text":"x"`), said(`"text":"x"`), stop),
		first, delta(`"reasoning_content":"h"`), delta(`"reasoning_content":"m"`), finish("stop"), done)
	call := func(index, id string) string {
		return delta(`"tool_calls":[{"index":` + index + `,"id":"` + id + `","type":"function","function":{"name":"f","arguments":""}}]`)
	}
	args := func(index, part string) string {
		return delta(`"tool_calls":[{"index":` + index + `,"function":{"arguments":"` + part + `"}}]`)
	}
	part := func(s string) string { return said(`"type":"input_json_delta","partial_json":"` + s + `"`) }
	f("calls", false, in(start, opened(`"type":"tool_use","id":"a","name":"f","input":{}`), part(``), part(`{\"x\":`), part(`1}`), shut,
		opened(`"type":"tool_use","id":"b","name":"f","input":{}`), part(``), shut, ended(`"tool_use"`), stop),
		first, call("0", "a"), args("0", `{\"x\":`), args("0", `1}`), call("1", "b"), args("1", `{}`), finish("tool_calls"), done)
	f("calls of the provider's own", false, in(start, opened(`"type":"server_tool_use","id":"a","name":"f"`), part(`{}`), shut, part(`{}`),
		opened(`"type":"tool_use","id":"a"`), part(`{}`), shut, stop), first, finish("stop"), done)
	for from, to := range map[string]string{`"max_tokens"`: "length", `"refusal"`: "content_filter", `"pause_turn"`: "stop", `" stop_sequence "`: "stop"} {
		f("reason "+from, false, in(start, ended(from), ended(`"tool_use"`), stop), first, finish(to), done)
	}
	for _, reason := range []string{`null`, `""`, `5`} {
		f("no reason "+reason, false, in(start, ended(reason), said(text+`"a"`), stop), first, delta(`"content":"a"`), finish("stop"), done)
	}

	// Usage is for those who ask.
	null := func(s string) string { return s[:len(s)-1] + `,"usage":null}` }
	used := func(prompt, completion, total, details string) string {
		return chunk(``) + `,"usage":{"prompt_tokens":` + prompt + `,"completion_tokens":` + completion + `,"total_tokens":` + total + `,"prompt_tokens_details":{"cached_tokens":` + details + `}}}`
	}
	f("usage", true, in(start, event("message_delta", `"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}`), stop),
		null(first), null(finish("stop")), used("3", "9", "12", "0"), done)
	f("usage with the cache", true, in(start, event("message_delta", `"delta":{},"usage":{"input_tokens":4,"cache_read_input_tokens":20,"cache_creation_input_tokens":100,"output_tokens":9}`), stop),
		null(first), null(finish("stop")), used("124", "9", "133", `20,"cache_creation_input_tokens":100`), done)
	f("no usage", true, in(event("message_start", `"message":{"id":"i","model":"m"}`), ended(`"end_turn"`), stop), null(first), null(finish("stop")), done)

	failed := func(kind, message string) string {
		return `{"error":{"message":"` + message + `","type":"` + kind + `","param":null,"code":null}}`
	}
	f("error", false, in(start, event("error", `"error":{"type":"overloaded_error","message":"m\n"}`), said(text+`"a"`), stop, ping), first, failed("overloaded_error", `m\n`))
	f("error first", false, in(event("error", `"error":"m"`), start), failed("server_error", "m"))
	f("error without a form", false, in(start, `error|oops`), first, failed("server_error", ""))
	f("after the end", false, in(start, stop, stop, start, said(text+`"a"`), event("error", `"error":{}`)), first, finish("stop"), done)
	f("after the reason", false, in(start, ended(`"end_turn"`), said(text+`"a"`), opened(`"type":"text","text":"a"`), stop), first, finish("stop"), done)
	f("a second start", false, in(start, event("message_start", `"message":{"id":"j","model":"n"}`), stop), first, finish("stop"), done)
	f("before the start", false, in(said(text+`"a"`), ended(`"end_turn"`), stop, event("message_start", `"message":5`), start, stop), first, finish("stop"), done)
	f("nothing", false, in(``, `x`, `{`, `new|{}`, `{"choices":[]}`, done))

	// A body that ends is no answer that ends: the relay says so.
	f("cut", true, in(start, said(text+`"a"`)), null(first), null(delta(`"content":"a"`)))
	f("cut behind the reason", true, in(start, ended(`"max_tokens"`)), null(first), null(finish("length")), used("3", "1", "4", "0"), done)
}

// A stream that broke off gets nothing: the relay says why.
func TestNativeStreamBroken(t *testing.T) {
	var st ConvState
	got := streamedBy(chatToAnthropic{}, &st, false, `{"type":"message_start","message":{}}`, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`)
	if strings.Contains(got, "DONE") || strings.Contains(got, "error") || st.Ended() {
		t.Errorf("%s", got)
	}
}

// What every chunk repeats is bounded, whatever the provider calls itself.
func TestNativeStreamNames(t *testing.T) {
	st := ConvState{Start: time.Unix(7, 0), ID: []byte("own")}
	long := strings.Repeat("i", 1000)
	got := streamedBy(chatToAnthropic{}, &st, true, `{"type":"message_start","message":{"id":"`+long+`","model":"`+long+`"}}`)
	if !strings.HasPrefix(got, `data: {"id":"chatcmpl-own","object":"chat.completion.chunk","created":7,"model":"",`) {
		t.Error(got)
	}
	st.Reset()
	st.Model, st.Start = []byte("llm\n"), time.Unix(0, 0)
	got = streamedBy(chatToAnthropic{}, &st, true, `{"type":"message_start","message":{"id":"i","model":"m"}}`)
	if !strings.HasPrefix(got, `data: {"id":"i","object":"chat.completion.chunk","created":0,"model":"llm\n",`) {
		t.Error(got)
	}
}
