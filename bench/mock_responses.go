package bench

import (
	"fmt"
)

// responses answers as POST /v1/responses does.
func (x *exchange) responses(status int) error {
	t := x.tool()
	if x.stream {
		return x.streamed(status, func() error { return x.responseEvents(t) })
	}
	n := x.tokens()
	item := x.messageItem("completed", x.appendAll(nil))
	if t != nil {
		n, item = len(fragments(t.args)), x.callItem(t, "completed", t.args)
	}
	return x.plain(status, x.response("completed", item, n))
}

// responseEvents is the stream in the official order. Every event names its
// type twice and carries a sequence number; the last one is
// response.completed, there is no [DONE].
func (x *exchange) responseEvents(t *tool) error {
	seq := 0
	send := func(typ, format string, args ...any) error {
		b := fmt.Appendf(x.ev[:0], "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%d,", typ, typ, seq)
		b = fmt.Appendf(b, format, args...)
		x.ev = append(b, "}\n\n"...)
		seq++
		return x.event(x.ev)
	}
	if err := x.begin(); err != nil {
		return err
	}
	if err := send("response.created", `"response":%s`, x.response("in_progress", nil, -1)); err != nil {
		return err
	}
	if err := send("response.in_progress", `"response":%s`, x.response("in_progress", nil, -1)); err != nil {
		return err
	}
	var item []byte
	var n int
	var err error
	if t != nil {
		item, n, err = x.callEvents(t, send)
	} else {
		item, n, err = x.outputEvents(&seq, send)
	}
	if err != nil {
		return err
	}
	x.hold = x.sc.noDone
	if err = send("response.output_item.done", `"output_index":0,"item":%s`, item); err != nil || x.sc.noDone {
		return err
	}
	x.hold = true
	return send("response.completed", `"response":%s`, x.response("completed", item, n))
}

func (x *exchange) outputEvents(seq *int, send func(typ, format string, args ...any) error) (item []byte, n int, err error) {
	id := x.id("msg_")
	steps := [...]struct{ typ, data string }{
		{"response.output_item.added", `"output_index":0,"item":` + string(x.messageItem("in_progress", nil))},
		{"response.content_part.added", `"item_id":"` + id + `","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}`},
	}
	for _, s := range steps {
		if err = send(s.typ, "%s", s.data); err != nil {
			return nil, 0, err
		}
	}
	x.paced()
	var whole []byte
	for ; n < x.tokens(); n++ {
		from := len(whole)
		whole = x.appendToken(whole, n)
		b := append(x.ev[:0], "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":"...)
		b = fmt.Appendf(b, "%d,\"item_id\":\"%s\",\"output_index\":0,\"content_index\":0,\"delta\":\"", *seq, id)
		*seq++
		x.ev = append(append(b, whole[from:]...), "\",\"logprobs\":[]}\n\n"...)
		if err = x.event(x.ev); err != nil {
			return nil, 0, err
		}
	}
	x.trailer()
	if err = send("response.output_text.done", `"item_id":"%s","output_index":0,"content_index":0,"text":"%s","logprobs":[]`, id, whole); err != nil {
		return nil, 0, err
	}
	err = send("response.content_part.done", `"item_id":"%s","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"%s"}`, id, whole)
	return x.messageItem("completed", whole), n, err
}

func (x *exchange) callEvents(t *tool, send func(typ, format string, args ...any) error) (item []byte, n int, err error) {
	id := x.id("fc_")
	if err = send("response.output_item.added", `"output_index":0,"item":%s`, x.callItem(t, "in_progress", "")); err != nil {
		return nil, 0, err
	}
	x.paced()
	for _, f := range fragments(t.args) {
		if err = send("response.function_call_arguments.delta", `"item_id":"%s","output_index":0,"delta":%s`, id, quote(f)); err != nil {
			return nil, 0, err
		}
		n++
	}
	x.trailer()
	err = send("response.function_call_arguments.done", `"item_id":"%s","output_index":0,"name":%s,"arguments":%s`, id, quote(t.name), quote(t.args))
	return x.callItem(t, "completed", t.args), n, err
}

func (x *exchange) messageItem(status string, text []byte) []byte {
	content := "[]"
	if status == "completed" {
		content = `[{"type":"output_text","annotations":[],"logprobs":[],"text":"` + string(text) + `"}]`
	}
	return fmt.Appendf(nil, `{"id":"%s","type":"message","status":"%s","role":"assistant","content":%s}`, x.id("msg_"), status, content)
}

func (x *exchange) callItem(t *tool, status, args string) []byte {
	return fmt.Appendf(nil, `{"id":"%s","type":"function_call","status":"%s","call_id":"%s","name":%s,"arguments":%s}`,
		x.id("fc_"), status, x.id("call_"), quote(t.name), quote(args))
}

// response is the Response object; tokens < 0: without usage.
func (x *exchange) response(status string, item []byte, tokens int) []byte {
	b := fmt.Appendf(nil, `{"id":"%s","object":"response","created_at":%d,"status":"%s","background":false,"error":null,"incomplete_details":null,`+
		`"instructions":null,"max_output_tokens":null,"model":%s,"output":[%s],"parallel_tool_calls":true,"previous_response_id":null,`+
		`"reasoning":{"effort":null,"summary":null},"store":true,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto",`+
		`"tools":[],"top_p":1.0,"truncation":"disabled","usage":`,
		x.id("resp_"), x.rec.started.Unix(), status, x.model, item)
	if p := x.ask.promptTokens; tokens < 0 || x.sc.noUsage {
		b = append(b, "null"...)
	} else {
		b = fmt.Appendf(b, `{"input_tokens":%d,"input_tokens_details":{"cached_tokens":0},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}`,
			p, tokens, p+tokens)
	}
	return append(b, `,"user":null,"metadata":{}}`...)
}
