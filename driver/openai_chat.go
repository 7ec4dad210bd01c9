package driver

import "headrace/sse"

// openaiChat is the Chat Completions protocol.
type openaiChat struct{ base }

func (openaiChat) Match(_ []byte, b *Body) bool { return hasList(b, "messages") }

var includeUsage = []byte(`{"include_usage":true}`)

// Prepare makes the provider report usage at the end of a stream, in place of
// whatever options the client had sent.
func (openaiChat) Prepare(b *Body, st *Shaping) bool {
	if !b.IsTrue("stream") {
		return false
	}
	raw, _ := b.Get("stream_options")
	st.ClientUsage = KindOf(lookup(raw, "include_usage")) == True
	b.Set("stream_options", includeUsage)
	return true
}

func (openaiChat) Event(c *Capture, ev sse.Event) sse.Mark {
	data := ev.Data
	if string(data) == "[DONE]" {
		return sse.Done
	}
	if len(data) == 0 || data[0] != '{' {
		return 0
	}
	if !c.busy() && !chatCounts(c, data) {
		return 0
	}
	var mark sse.Mark
	var choices, report []byte
	for m := membersOf(data); m.next(); {
		switch string(m.key) {
		case "choices":
			choices = m.val
		case "usage":
			report = m.val
		case "error":
			if m.val[0] != 'n' {
				mark |= sse.Failed
			}
		}
	}
	some := false
	for e := elementsOf(choices); e.next(); some = true {
		mark |= chatDelta(c, lookup(e.val, "delta"))
	}
	if KindOf(report) == Object {
		u := chatUsage(report)
		c.Usage.merge(&u)
		mark |= sse.UsageSeen
		if !some && KindOf(choices) == Array {
			mark |= sse.UsageOnly
		}
	}
	c.content = c.content || mark&sse.Content != 0
	return mark
}

// chatCounts tells whether a chunk may say more than that text went on: it has
// a member usage, error or tool_calls that is not null, at whatever depth. It
// may be wrong in saying yes, never in saying no, but for names that are
// spelled with escapes. Most of a stream goes by with this look alone.
func chatCounts(c *Capture, data []byte) bool {
	for i := scanNames(data, 0); i < len(data); i = scanNames(data, i+1) {
		name := data[i+1:]
		switch name[0] {
		case 'u':
			if hasPrefix(name, `usage"`) && !isNull(name[len(`usage"`):]) {
				return true
			}
		case 'e':
			if hasPrefix(name, `error"`) && !isNull(name[len(`error"`):]) {
				return true
			}
		case 't':
			if !c.ToolCalls && hasPrefix(name, `tool_calls"`) {
				return true
			}
		}
	}
	return false
}

func hasPrefix(p []byte, s string) bool { return len(p) >= len(s) && string(p[:len(s)]) == s }

func chatDelta(c *Capture, delta []byte) (mark sse.Mark) {
	for m := membersOf(delta); m.next(); {
		switch string(m.key) {
		case "content":
			if nonEmptyString(m.val) {
				mark |= sse.Content
				c.text(m.val, false)
			}
		case "reasoning_content", "reasoning", "refusal":
			if nonEmptyString(m.val) {
				mark |= sse.Content
			}
		case "tool_calls":
			for e := elementsOf(m.val); e.next(); {
				mark |= sse.ToolCall
				c.ToolCalls = true
				if nonEmptyString(lookup(lookup(e.val, "function"), "arguments")) {
					mark |= sse.Content
				}
			}
		}
	}
	return mark
}

func (openaiChat) Response(c *Capture, body []byte) {
	for m := membersOf(body); m.next(); {
		switch string(m.key) {
		case "usage":
			if KindOf(m.val) == Object {
				c.Usage = chatUsage(m.val)
			}
		case "choices":
			for e := elementsOf(m.val); e.next(); {
				message := lookup(e.val, "message")
				if s := lookup(message, "content"); KindOf(s) == String {
					c.text(s, true)
				}
				if e := elementsOf(lookup(message, "tool_calls")); e.next() {
					c.ToolCalls = true
				}
			}
		}
	}
}

// chatUsage reads a usage object of chat; total defaults to the sum.
func chatUsage(raw []byte) (u Usage) {
	total, cached, hit := false, false, int64(0)
	for m := membersOf(raw); m.next(); {
		switch string(m.key) {
		case "prompt_tokens":
			u.Prompt = integer(m.val)
		case "completion_tokens":
			u.Completion = integer(m.val)
		case "total_tokens":
			u.Total, total = integer(m.val), KindOf(m.val) == Number
		case "prompt_cache_hit_tokens": // deepseek
			hit = integer(m.val)
		case "prompt_tokens_details":
			for d := membersOf(m.val); d.next(); {
				switch string(d.key) {
				case "cached_tokens":
					u.CacheRead, cached = integer(d.val), KindOf(d.val) == Number
				case "cache_creation_input_tokens":
					u.CacheCreation = integer(d.val)
				}
			}
		case "completion_tokens_details":
			u.Reasoning = integer(lookup(m.val, "reasoning_tokens"))
		}
	}
	if !total {
		u.Total = u.Prompt + u.Completion
	}
	if !cached {
		u.CacheRead = hit
	}
	u.Seen = true
	return u
}

func (openaiChat) AppendFault(dst []byte, code, message string) []byte {
	return appendOpenAIFault(dst, code, message)
}

func (openaiChat) LogMessages(b *Body) []byte { return rawOf(b, "messages") }

func (openaiChat) EndUser(b *Body) []byte { return openaiUser(b) }
