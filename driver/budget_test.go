package driver

import (
	"testing"

	"headrace/sse"
)

// budget holds that do allocates at most most times once buffers have grown.
func budget(t *testing.T, name string, most float64, do func()) {
	t.Helper()
	if underRace {
		t.Skip("the race detector allocates")
	}
	do()
	if n := testing.AllocsPerRun(100, do); n > most {
		t.Errorf("%s: %v allocations", name, n)
	}
}

// TestBudget holds that the way of a request through this package allocates
// nothing once buffers have grown.
func TestBudget(t *testing.T) {
	f := func(name string, do func()) {
		t.Helper()
		budget(t, name, 0, do)
	}
	in := compile(t, `{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"},"query":{"q":"1"}},"options":{"model":"m","temperature":1},
		"override":{"llm_options":{"max_tokens":5},"request_body":{"openai-chat":{"metadata":{"a":{"b":1}}}}}}`)
	raw := []byte(`{"model":"x\n","\u0061":"\u00e9","messages":[{"role":"user","content":"hi\n"}],"stream":true,"metadata":{"a":{"c":1}},"user":"u","tools":[{}]}`)
	path := []byte("/v1/chat/completions")
	var (
		body, out Body
		dst       []byte
		segs      [][]byte
		st        Shaping
	)
	f("Load", func() {
		if body.Load(raw) != nil {
			t.Fatal("not valid")
		}
	})
	f("Get", func() {
		body.Get("stream")
		body.Get("none")
		body.IsTrue("stream")
	})
	f("GetString", func() {
		body.arena = body.arena[:1]
		body.GetString("model")
	})
	f("Detect", func() {
		p := Detect(path, &body)
		Of(p).Streaming(path, &body)
		Of(p).EndUser(&body)
		Of(p).ToolCount(&body)
		Of(p).LogMessages(&body)
		in.Route(p)
	})
	f("Fork, Set, Delete", func() {
		body.Fork(&out)
		out.Set("model", includeUsage)
		out.Set("new", includeUsage)
		out.Delete("user")
	})
	f("Shape", func() {
		body.Fork(&out)
		in.Shape(&out, OpenAIChat, OpenAIChat, &st)
	})
	f("AppendTo", func() { dst = out.AppendTo(dst[:0]) })
	f("Segments", func() { segs = out.Segments(segs[:0]) })
	f("Reset", func() {
		body.Reset()
		if body.Load(raw) != nil {
			t.Fatal("not valid")
		}
	})

	rq := HeadInput{Method: []byte("POST"), Path: []byte("/a b"), Query: []byte("a=1&q=2"), Headers: []byte(clientHead), Extra: []byte("X-Id: 1\r\n"), ContentLength: 1234}
	for _, rq.Target = range []Proto{OpenAIChat, Passthrough} {
		f("AppendHead "+rq.Target.String(), func() { dst, _ = in.AppendHead(dst[:0], &rq) })
	}
	aws := compile(t, bedrockConfig+`,"override":{"llm_options":{"max_tokens":5}}}`)
	rq.Target, rq.Stream, rq.Model = BedrockConverse, true, []byte("arn:aws:bedrock:us-east-1:123456789012:inference-profile/x")
	f("AppendHead bedrock", func() { dst, _ = aws.AppendHead(dst[:0], &rq) })
	f("Shape bedrock", func() {
		body.Fork(&out)
		aws.Shape(&out, BedrockConverse, BedrockConverse, &st)
	})

	c := Capture{WantText: true}
	events := map[Proto]sse.Event{
		OpenAIChat:        {Data: []byte(`{"id":"x","choices":[{"index":0,"delta":{"content":"hi \u00e9\n","tool_calls":[{"function":{"arguments":"{"}}]}}],"usage":{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}}`)},
		OpenAIResponses:   {Data: []byte(`{"type":"response.completed","response":{"output":[{"type":"function_call"}],"usage":{"input_tokens":1}}}`)},
		AnthropicMessages: {Name: []byte("content_block_delta"), Data: []byte(`{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}`)},
		BedrockConverse:   {Name: []byte("metadata"), Data: []byte(`{"usage":{"inputTokens":1}}`)},
	}
	for p, ev := range events {
		pr := Of(p)
		f("Event "+p.String(), func() {
			c.Text = c.Text[:0]
			pr.Event(&c, ev)
		})
	}
	answer := []byte(chatAnswer)
	f("Response", func() {
		c.Text = c.Text[:0]
		Of(OpenAIChat).Response(&c, answer)
	})
	f("AppendFault", func() { dst = Of(OpenAIChat).AppendFault(dst[:0], CodeTruncated, "upstream stream truncated") })
}

const chatAnswer = `{"choices":[{"message":{"content":"hello\nthere"}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`

const clientHead = "Host: gateway:9080\r\nUser-Agent: OpenAI/Python 1.40\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n" +
	"Connection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 6000\r\nAuthorization: Bearer client\r\n" +
	"X-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\nX-Stainless-Async: false\r\n\r\n"
