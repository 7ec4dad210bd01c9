package driver

import (
	"testing"

	"headrace/sse"
)

func BenchmarkEvent(b *testing.B) {
	chunk := []byte(`{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	f := func(name string, p Proto, ev sse.Event, c Capture) {
		b.Run(name, func(b *testing.B) {
			pr := Of(p)
			b.ReportAllocs()
			for b.Loop() {
				c.Text = c.Text[:0]
				pr.Event(&c, ev)
			}
		})
	}
	f("chat", OpenAIChat, sse.Event{Data: chunk}, Capture{content: true})
	f("chat-text", OpenAIChat, sse.Event{Data: chunk}, Capture{WantText: true})
	f("anthropic", AnthropicMessages, sse.Event{Name: []byte("content_block_delta"), Data: []byte(`{}`)}, Capture{content: true})
	f("responses", OpenAIResponses, sse.Event{Name: []byte("response.output_text.delta"), Data: []byte(`{}`)}, Capture{content: true})
}

func BenchmarkAppendHead(b *testing.B) {
	in := compile(b, `{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}}}`)
	rq := HeadInput{Target: OpenAIChat, Headers: []byte(clientHead), ContentLength: 6000}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = in.AppendHead(dst[:0], &rq)
	}
}

func BenchmarkShape(b *testing.B) {
	in := compile(b, `{"provider":"openai","auth":{},"options":{"model":"gpt-4o-mini"}}`)
	var body, out Body
	if err := body.Load(chatBody(6 << 10)); err != nil {
		b.Fatal(err)
	}
	var st Shaping
	b.ReportAllocs()
	for b.Loop() {
		body.Fork(&out)
		in.Shape(&out, OpenAIChat, OpenAIChat, &st)
	}
}
