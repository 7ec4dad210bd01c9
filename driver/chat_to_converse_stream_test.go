package driver

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/sse"
)

// appendFrame appends a frame with these headers, given as name and value.
func appendFrame(dst []byte, payload string, pairs ...string) []byte {
	var head []byte
	for i := 0; i < len(pairs); i += 2 {
		head = append(append(head, byte(len(pairs[i]))), pairs[i]...)
		head = binary.BigEndian.AppendUint16(append(head, 7), uint16(len(pairs[i+1])))
		head = append(head, pairs[i+1]...)
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(head)+len(payload)+4))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(head)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
	dst = append(append(dst, head...), payload...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

// frame is a frame out of a line "TYPE PAYLOAD", of an exception with "!TYPE".
func frame(line string) []byte {
	kind, payload, _ := strings.Cut(line, " ")
	if kind, ok := strings.CutPrefix(kind, "!"); ok {
		return appendFrame(nil, payload, ":exception-type", kind, ":content-type", "application/json", ":message-type", "exception")
	}
	return appendFrame(nil, payload, ":event-type", kind, ":content-type", "application/json", ":message-type", "event")
}

// frameFile turns the lines of a golden file into the bytes of a stream.
func frameFile(_ *testing.T, file []byte) (stream []byte) {
	for line := range strings.Lines(string(file)) {
		stream = append(stream, frame(strings.TrimSpace(line))...)
	}
	return stream
}

// frameEvent is frame, taken apart again.
func frameEvent(t testing.TB, raw []byte) sse.Event {
	t.Helper()
	var f sse.Frames
	if f.Reset(raw); !f.Next() {
		t.Fatalf("no frame: %q", raw)
	}
	return f.Event()
}

// convertFrames is convertAll for ConverseStream.
func convertFrames(st *ConvState, stream []byte, cuts ...int) []byte {
	var fr sse.Frames
	var out []byte
	from := 0
	for _, to := range append(slices.Clone(cuts), len(stream)) {
		fr.Reset(bytes.Clone(stream[from:to]))
		for from = to; fr.Next(); {
			out = chatToConverse{}.AppendEvent(out, fr.Event(), st)
		}
	}
	return chatToConverse{}.AppendEnd(out, true, st)
}

func TestConverseStream(t *testing.T) {
	const head = `{"id":"chatcmpl-id","object":"chat.completion.chunk","created":7,"model":"m","choices":[`
	run := func(usage, clean bool, lines []string) (string, *ConvState) {
		st := &ConvState{Model: []byte("m"), ID: []byte("id"), Start: time.Unix(7, 0)}
		st.chunks.usage = usage
		var out []byte
		for _, l := range lines {
			out = chatToConverse{}.AppendEvent(out, frameEvent(t, frame(l)), st)
		}
		checkChunks(t, out)
		return string(chatToConverse{}.AppendEnd(out, clean, st)), st
	}
	f := func(name string, usage bool, lines []string, want ...string) {
		t.Helper()
		var all strings.Builder
		const role = `+{"role":"assistant","content":""}`
		if len(want) > 0 && want[0] != role { // Bedrock has not begun properly
			want = slices.Insert(want, 0, role)
		}
		for _, w := range want {
			if w[0] == '+' { // a delta
				w = head + `{"index":0,"delta":` + w[1:]
				if !strings.Contains(w, "finish_reason") {
					w += `,"logprobs":null,"finish_reason":null}]`
				}
				if usage {
					w += `,"usage":null`
				}
				w += "}"
			}
			all.WriteString("data: " + w + "\n\n")
		}
		if got, _ := run(usage, true, lines); got != all.String() {
			t.Errorf("%s:\n got %s\nwant %s", name, got, all.String())
		}
	}
	in := func(lines ...string) []string { return lines }
	finish := func(reason string) string {
		return `+{},"logprobs":null,"finish_reason":"` + reason + `"}]`
	}
	const (
		start  = `messageStart {"role":"assistant"}`
		text   = `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}`
		stop   = `messageStop {"stopReason":"end_turn"}`
		report = `metadata {"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`
		call   = `contentBlockStart {"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}`
		role   = `+{"role":"assistant","content":""}`
		a      = `+{"content":"a"}`
		done   = `[DONE]`
		usage  = head + `],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}}`
		named  = `+{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}`
	)
	f("usage that was asked for", true, in(start, text, stop, report), role, a, finish("stop"), usage, done)
	f("usage that was not", false, in(start, text, stop, report), role, a, finish("stop"), done)
	f("no metadata", true, in(start, stop), role, finish("stop"), done)
	f("metadata without usage", true, in(stop, `metadata {"metrics":{}}`), finish("stop"), done)
	f("no messageStop", true, in(start, text), role, a)
	f("no messageStop, but metadata", true, in(start, report), role)
	f("nothing behind the end", false, in(stop, text, start, call, stop, report, text, report, `!x {}`), finish("stop"), done)
	for reason, want := range map[string]string{"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
		"tool_use": "tool_calls", "guardrail_intervened": "content_filter", "content_filtered": "content_filter", "malformed_tool_use": "stop", "new": "stop"} {
		f(reason, false, in(`messageStop {"stopReason":"`+reason+`"}`), finish(want), done)
	}
	f("no reason", false, in(`messageStop {}`), finish("stop"), done)
	f("a call", false, in(call, `contentBlockDelta {"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"}}}`, `contentBlockStop {"contentBlockIndex":1}`, stop),
		named, `+{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`, finish("stop"), done)
	f("a call without arguments", false, in(call, `contentBlockStop {"contentBlockIndex":1}`, `contentBlockStop {"contentBlockIndex":1}`, stop),
		named, `+{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`, finish("stop"), done)
	f("arguments of no call", false, in(`contentBlockDelta {"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"}}}`, `contentBlockStop {"contentBlockIndex":1}`, stop), finish("stop"), done)
	f("other things", false, in(`contentBlockDelta {"contentBlockIndex":0,"delta":{"citation":{"title":"x"}}}`, `contentBlockDelta {"delta":{"reasoningContent":{"signature":"s"}}}`,
		`contentBlockStart {"start":{"toolResult":{"toolUseId":"t"}}}`, `contentBlockDelta {"delta":{"text":1}}`, `contentBlockDelta {`, `new {}`, ` {}`, stop), finish("stop"), done)

	g := func(line, kind, code, message string) {
		t.Helper()
		want := `data: {"error":{"message":"` + message + `","type":"` + kind + `","param":null,"code":` + code + "}}\n\n"
		got, st := run(true, true, in(line, start, stop, report))
		if got != want || !st.Ended() {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
	g(`!throttlingException {"message":"slow\n"}`, "rate_limit_error", `"throttlingException"`, `slow\n`)
	g(`!validationException {"Message":"m"}`, "invalid_request_error", `"validationException"`, "m")
	g(`!internalServerException {"message":1}`, "server_error", `"internalServerException"`, "")
	g(`!modelStreamErrorException {"message":"m","originalStatusCode":500}`, "server_error", `"modelStreamErrorException"`, "m")
	g(`!"x\ `, "server_error", `"\"x\\"`, "")
	st := new(ConvState)
	raw := appendFrame(nil, "", ":message-type", "error", ":error-code", "InternalError", ":error-message", "a \"b\"")
	if got := (chatToConverse{}).AppendEvent(nil, frameEvent(t, raw), st); !strings.Contains(string(got), `{"message":"a \"b\"","type":"server_error","param":null,"code":"InternalError"}`) {
		t.Errorf("%s", got)
	}

	if got, st := run(true, false, in(start, stop)); strings.Contains(got, done) || st.Ended() {
		t.Errorf("the end of a stream that broke off: %s", got)
	}
	if _, st := run(true, true, in(start, stop)); !st.Ended() {
		t.Error("a complete stream has not ended")
	}
	if _, st := run(true, true, in(start, text)); st.Ended() {
		t.Error("an incomplete stream has ended")
	}
}

func FuzzConverseStream(f *testing.F) {
	for _, dir := range []string{"text", "tools", "error"} {
		f.Add(goldenFile(f, "chat_to_converse", dir, "stream.txt"), true)
	}
	f.Add([]byte("error \nmessageStop {\"stopReason\":\"\\u0065\"}\nmetadata {\"usage\":{\"inputTokens\":1e3}}"), false)
	f.Fuzz(func(t *testing.T, lines []byte, usage bool) {
		st := &ConvState{Model: []byte("\"m\n"), ID: []byte("id")}
		st.chunks.usage = usage
		var out []byte
		for line := range strings.Lines(string(lines)) {
			if len(line) > 1<<15 {
				return
			}
			out = chatToConverse{}.AppendEvent(out, frameEvent(t, frame(strings.TrimSuffix(line, "\n"))), st)
		}
		out = chatToConverse{}.AppendEnd(out, true, st)
		checkChunks(t, out)
		if most := 1000 + 200*len(lines); len(out) > most {
			t.Errorf("%d bytes out of %d", len(out), len(lines))
		}
		// Bytes that are no frame are no exception either.
		st.Reset()
		checkChunks(t, chatToConverse{}.AppendEvent(nil, sse.Event{Name: []byte("exception"), Data: lines, Raw: lines}, st))
	})
}
