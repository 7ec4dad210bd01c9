package driver

import (
	"os"
	"testing"

	"headrace/sse"
)

// TestBudgetResponses holds that a conversion allocates nothing once buffers
// have grown. What a stream says is kept, so that its buffers grow with it.
func TestBudgetResponses(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var (
		c   responsesToChat
		st  ConvState
		dst []byte
	)
	f := func(name string, budget float64, do func()) {
		t.Helper()
		do()
		if n := testing.AllocsPerRun(100, do); n > budget {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, e := range deltaEvents {
		ev := sse.Event{Data: []byte(e.data)}
		f(e.name, 0.2, func() { dst = c.AppendEvent(dst[:0], ev, &st) })
	}
	body := load(t, `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"role":"assistant","content":"b"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}],"tools":[{"type":"function","name":"f","parameters":{}}],"text":{"format":{"type":"json_schema","name":"n","schema":{}}},"reasoning":{"effort":"low"},"stream":true}`)
	ask := func() {
		st.Reset()
		dst, _ = c.Request(dst[:0], body, &st)
	}
	f("request", 0, ask)
	for _, name := range []string{"text", "tools", "reasoning", "refusal"} {
		stream, err := os.ReadFile("testdata/responses_to_chat/" + name + "/stream.sse")
		if err != nil {
			t.Fatal(err)
		}
		events := split(t, stream, 1<<20)
		f("whole stream of "+name, 0, func() {
			ask()
			dst = dst[:0]
			for _, ev := range events {
				dst = c.AppendEvent(dst, ev, &st)
			}
			dst = c.AppendEnd(dst, true, &st)
		})
	}
	answer := []byte(chatAnswer)
	f("answer", 0, func() { dst, _, _ = c.AppendResponse(dst[:0], answer, 200, &st) })
	in := compile(t, `{"provider":"deepseek","auth":{}}`)
	f("Converter", 0, func() { in.Route(OpenAIResponses); in.Converter(OpenAIResponses) })
}

func BenchmarkResponsesEvent(b *testing.B) {
	for _, e := range deltaEvents {
		b.Run(e.name, func(b *testing.B) {
			var c responsesToChat
			var st ConvState
			ev := sse.Event{Data: []byte(e.data)}
			dst := c.AppendEvent(nil, ev, &st)
			b.SetBytes(int64(len(ev.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if dst = c.AppendEvent(dst[:0], ev, &st); st.toResponse.size > 1<<20 {
					st.Reset()
				}
			}
		})
	}
}

func BenchmarkResponsesStream(b *testing.B) {
	stream, err := os.ReadFile("testdata/responses_to_chat/tools/stream.sse")
	if err != nil {
		b.Fatal(err)
	}
	var (
		c   responsesToChat
		st  ConvState
		dst []byte
	)
	events := split(b, stream, 1<<20)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		st.Reset()
		dst = dst[:0]
		for _, ev := range events {
			dst = c.AppendEvent(dst, ev, &st)
		}
		dst = c.AppendEnd(dst, true, &st)
	}
}

func BenchmarkResponsesRequest(b *testing.B) {
	for _, name := range []string{"text", "tools"} {
		b.Run(name, func(b *testing.B) {
			raw, err := os.ReadFile("testdata/responses_to_chat/" + name + "/request.json")
			if err != nil {
				b.Fatal(err)
			}
			var (
				c   responsesToChat
				st  ConvState
				dst []byte
			)
			body := load(b, string(raw))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				st.Reset()
				dst, _ = c.Request(dst[:0], body, &st)
			}
		})
	}
}
