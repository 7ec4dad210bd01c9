package bench

import (
	"fmt"
	"time"
)

// chat answers as POST /v1/chat/completions does.
func (x *exchange) chat(status int) error {
	t := x.tool()
	if x.stream {
		return x.streamed(status, func() error { return x.chatEvents(t) })
	}
	n := x.tokens()
	b := fmt.Appendf(nil, `{"id":"%s","object":"chat.completion","created":%d,"model":%s,"choices":[{"index":0,"message":{"role":"assistant","content":`,
		x.id("chatcmpl-"), time.Now().Unix(), x.model)
	finish := "stop"
	if t != nil {
		finish, n = "tool_calls", len(fragments(t.args))
		b = fmt.Appendf(b, `null,"refusal":null,"annotations":[],"tool_calls":[{"id":"%s","type":"function","function":{"name":%s,"arguments":%s}}]`,
			x.id("call_"), quote(t.name), quote(t.args))
	} else {
		b = append(x.appendAll(append(b, '"')), `","refusal":null,"annotations":[]`...)
	}
	b = fmt.Appendf(b, `},"logprobs":null,"finish_reason":"%s"}]`, finish)
	if !x.sc.noUsage {
		b = x.appendChatUsage(append(b, `,"usage":`...), n)
	}
	return x.plain(status, append(b, `,"service_tier":"default","system_fingerprint":"fp_mock"}`...))
}

// chatEvents is the stream: role, content, finish, usage if asked for, [DONE].
func (x *exchange) chatEvents(t *tool) error {
	head := fmt.Appendf(nil, `data: {"id":"%s","object":"chat.completion.chunk","created":%d,"model":%s,"service_tier":"default","system_fingerprint":"fp_mock","choices":[`,
		x.id("chatcmpl-"), x.rec.started.Unix(), x.model)
	usage := x.ask.usage && !x.sc.noUsage
	open := string(head) + `{"index":0,"delta":{`
	shut, end := `},"logprobs":null,"finish_reason":null}]`, "}\n\n"
	if usage {
		end = ",\"usage\":null}\n\n"
	}
	if err := x.begin(); err != nil {
		return err
	}
	var err error
	n, finish := 0, "stop"
	if t != nil {
		finish = "tool_calls"
		err = x.event(fmt.Appendf(nil, `%s"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"%s","type":"function","function":{"name":%s,"arguments":""}}],"refusal":null%s%s`,
			open, x.id("call_"), quote(t.name), shut, end))
		x.paced()
		for _, f := range fragments(t.args) {
			if err != nil {
				return err
			}
			n++
			err = x.event(fmt.Appendf(nil, `%s"tool_calls":[{"index":0,"function":{"arguments":%s}}]%s%s`, open, quote(f), shut, end))
		}
	} else {
		err = x.event([]byte(open + `"role":"assistant","content":"","refusal":null` + shut + end))
		x.paced()
		for ; n < x.tokens() && err == nil; n++ {
			b := append(append(x.ev[:0], open...), `"content":"`...)
			b = append(x.appendToken(b, n), `"},"logprobs":null,"finish_reason":null}]`...)
			x.ev = append(b, end...)
			err = x.event(x.ev)
		}
	}
	if err != nil {
		return err
	}
	x.trailer()
	if !usage && x.sc.noDone {
		x.hold = true
	}
	if err = x.event([]byte(open + `},"logprobs":null,"finish_reason":"` + finish + `"}]` + end)); err != nil {
		return err
	}
	if usage {
		x.hold = x.sc.noDone
		b := append(append([]byte(nil), head...), `],"usage":`...)
		if err = x.event(append(x.appendChatUsage(b, n), "}\n\n"...)); err != nil {
			return err
		}
	}
	return x.terminate("data: [DONE]\n\n")
}

func (x *exchange) appendChatUsage(b []byte, completion int) []byte {
	p := x.ask.promptTokens
	return fmt.Appendf(b, `{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		p, completion, p+completion)
}

// begin waits for the first event; what leads in to the first token then
// follows without gaps, so that the delay is the time to the first token.
func (x *exchange) begin() error {
	x.urgent = true
	if x.dry || x.sc.first == 0 {
		return nil
	}
	return x.c.waitUntil(x.next)
}

// paced is called before the first content event.
func (x *exchange) paced() { x.urgent = false }

// trailer is called after the last content event: what follows comes at once.
func (x *exchange) trailer() { x.urgent = true }

// terminate sends the last event, in one write with the end of the body.
func (x *exchange) terminate(ev string) error {
	if x.sc.noDone {
		return nil
	}
	x.hold = true
	return x.event([]byte(ev))
}
