package driver

import "headrace/sse"

// anthropicMessages is Anthropic's native protocol.
type anthropicMessages struct{ base }

func (anthropicMessages) Match(path []byte, b *Body) bool {
	return (b.Kind() == Object || b.Kind() == Array) && endsWith(path, "/v1/messages")
}

func (anthropicMessages) Event(c *Capture, ev sse.Event) sse.Mark {
	switch string(eventName(ev)) {
	case "content_block_delta":
		if !c.busy() {
			return sse.Content
		}
		return c.anthropicDelta(lookup(ev.Data, "delta"))
	case "content_block_start":
		if string(stringIn(lookup(ev.Data, "content_block"), "type")) == "tool_use" {
			c.ToolCalls = true
			return sse.ToolCall
		}
	case "message_start":
		return c.anthropicUsage(lookup(lookup(ev.Data, "message"), "usage"))
	case "message_delta":
		return c.anthropicUsage(lookup(ev.Data, "usage"))
	case "message_stop":
		return sse.Done
	case "error":
		return sse.Done | sse.Failed
	}
	return 0
}

func (c *Capture) anthropicDelta(delta []byte) (mark sse.Mark) {
	for m := membersOf(delta); m.next(); {
		switch string(m.key) {
		case "text":
			if nonEmptyString(m.val) {
				mark = sse.Content
				c.text(m.val, false)
			}
		case "thinking", "partial_json":
			if nonEmptyString(m.val) {
				mark = sse.Content
			}
		}
	}
	c.content = c.content || mark != 0
	return mark
}

func (c *Capture) anthropicUsage(raw []byte) sse.Mark {
	if KindOf(raw) != Object {
		return 0
	}
	u := anthropicUsage(raw)
	c.Usage.merge(&u)
	return sse.UsageSeen
}

// anthropicUsage reads a usage object; the total is always the sum.
func anthropicUsage(raw []byte) (u Usage) {
	for m := membersOf(raw); m.next(); {
		switch string(m.key) {
		case "input_tokens":
			u.Prompt = integer(m.val)
		case "output_tokens":
			u.Completion = integer(m.val)
		case "cache_read_input_tokens":
			u.CacheRead = integer(m.val)
		case "cache_creation_input_tokens":
			u.CacheCreation = integer(m.val)
		case "output_tokens_details":
			u.Reasoning = integer(lookup(m.val, "thinking_tokens"))
		}
	}
	u.Total = u.Prompt + u.Completion
	u.Seen = true
	return u
}

func (anthropicMessages) Response(c *Capture, body []byte) {
	for m := membersOf(body); m.next(); {
		switch string(m.key) {
		case "usage":
			if KindOf(m.val) == Object {
				c.Usage = anthropicUsage(m.val)
			}
		case "content":
			c.parts(m.val, "text")
			for e := elementsOf(m.val); !c.ToolCalls && e.next(); {
				c.ToolCalls = string(stringIn(e.val, "type")) == "tool_use"
			}
		}
	}
}

// AppendFault writes Anthropic's error event; code is an extra member, which
// their clients ignore.
func (anthropicMessages) AppendFault(dst []byte, code, message string) []byte {
	dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":"...)
	dst = AppendString(dst, []byte(message))
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, []byte(code))
	return append(dst, "}}\n\n"...)
}

func (anthropicMessages) LogMessages(b *Body) []byte { return rawOf(b, "messages") }

func (anthropicMessages) EndUser(b *Body) []byte {
	return stringIn(rawOf(b, "metadata"), "user_id")
}
