package bench

import "fmt"

// messages answers as Anthropic's POST /v1/messages does.
func (x *exchange) messages(status int) error {
	t := x.tool()
	if x.stream {
		return x.streamed(status, func() error { return x.messageEvents(t) })
	}
	n, stop := x.tokens(), "end_turn"
	b := fmt.Appendf(nil, `{"id":"%s","type":"message","role":"assistant","model":%s,"content":[`, x.id("msg_"), x.model)
	if t != nil {
		n, stop = len(fragments(t.args)), "tool_use"
		b = fmt.Appendf(b, `{"type":"tool_use","id":"%s","name":%s,"input":%s}`, x.id("toolu_"), quote(t.name), t.args)
	} else {
		b = append(x.appendAll(append(b, `{"type":"text","text":"`...)), `"}`...)
	}
	b = fmt.Appendf(b, `],"stop_reason":"%s","stop_sequence":null`, stop)
	if !x.sc.noUsage {
		b = fmt.Appendf(b, `,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%d,"service_tier":"standard"}`,
			x.ask.promptTokens, n)
	}
	return x.plain(status, append(b, '}'))
}

// messageEvents is the stream: message_start, a content block with its deltas
// and a ping, message_delta with the final usage, message_stop.
func (x *exchange) messageEvents(t *tool) error {
	usage := ""
	if !x.sc.noUsage {
		usage = fmt.Sprintf(`,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1,"service_tier":"standard"}`, x.ask.promptTokens)
	}
	block := `{"type":"text","text":""}`
	if t != nil {
		block = fmt.Sprintf(`{"type":"tool_use","id":"%s","name":%s,"input":{}}`, x.id("toolu_"), quote(t.name))
	}
	if err := x.begin(); err != nil {
		return err
	}
	lead := [...]string{
		fmt.Sprintf("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":%s,\"content\":[],\"stop_reason\":null,\"stop_sequence\":null%s}}\n\n",
			x.id("msg_"), x.model, usage),
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":" + block + "}\n\n",
		"event: ping\ndata: {\"type\":\"ping\"}\n\n",
	}
	for _, ev := range lead {
		if err := x.event([]byte(ev)); err != nil {
			return err
		}
	}
	const delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
	x.paced()
	n, stop := 0, "end_turn"
	if t != nil {
		stop = "tool_use"
		for _, f := range fragments(t.args) {
			if err := x.event(fmt.Appendf(nil, "%s\"input_json_delta\",\"partial_json\":%s}}\n\n", delta, quote(f))); err != nil {
				return err
			}
			n++
		}
	} else {
		for ; n < x.tokens(); n++ {
			b := append(append(x.ev[:0], delta...), `"text_delta","text":"`...)
			x.ev = append(x.appendToken(b, n), "\"}}\n\n"...)
			if err := x.event(x.ev); err != nil {
				return err
			}
		}
	}
	x.trailer()
	if err := x.event([]byte("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n")); err != nil {
		return err
	}
	usage = ""
	if !x.sc.noUsage {
		usage = fmt.Sprintf(`,"usage":{"output_tokens":%d}`, n)
	}
	x.hold = x.sc.noDone
	if err := x.event(fmt.Appendf(nil, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null}%s}\n\n", stop, usage)); err != nil {
		return err
	}
	return x.terminate("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
}
