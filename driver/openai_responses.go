package driver

import (
	"bytes"
	"strconv"

	"headrace/sse"
)

// openaiResponses is the Responses protocol. It reports usage by itself and
// must not get stream_options (T: ai-proxy.t 26-27).
type openaiResponses struct{ base }

func (openaiResponses) Match(path []byte, b *Body) bool {
	return endsWith(path, "/v1/responses") && has(b, "input")
}

// eventName is the type of an event: its name, or the member type of its data
// where a provider leaves the name out.
func eventName(ev sse.Event) []byte {
	if len(ev.Name) > 0 && string(ev.Name) != "message" {
		return ev.Name
	}
	for m := membersOf(ev.Data); m.next(); {
		if string(m.key) == "type" && KindOf(m.val) == String {
			return m.val[1 : len(m.val)-1]
		}
	}
	return nil
}

func (openaiResponses) Event(c *Capture, ev sse.Event) sse.Mark {
	name := eventName(ev)
	switch string(name) {
	case "response.output_item.added", "response.output_item.done":
		if string(stringIn(lookup(ev.Data, "item"), "type")) == "function_call" {
			c.ToolCalls = true
			return sse.ToolCall
		}
		return 0
	case "response.completed", "response.incomplete":
		return c.responsesEnd(ev.Data) | sse.Done
	case "response.failed":
		return c.responsesEnd(ev.Data) | sse.Done | sse.Failed
	case "error":
		return sse.Done | sse.Failed
	}
	if !bytes.HasSuffix(name, []byte(".delta")) {
		return 0
	}
	if !c.busy() {
		return sse.Content
	}
	delta := lookup(ev.Data, "delta")
	if !nonEmptyString(delta) {
		return 0
	}
	if string(name) == "response.output_text.delta" {
		c.text(delta, false)
	}
	c.content = true
	return sse.Content
}

// responsesEnd reads an event that carries the whole response.
func (c *Capture) responsesEnd(data []byte) (mark sse.Mark) {
	for m := membersOf(lookup(data, "response")); m.next(); {
		switch string(m.key) {
		case "usage":
			if KindOf(m.val) == Object {
				u := responsesUsage(m.val)
				c.Usage.merge(&u)
				mark |= sse.UsageSeen
			}
		case "output":
			for e := elementsOf(m.val); !c.ToolCalls && e.next(); {
				c.ToolCalls = string(stringIn(e.val, "type")) == "function_call"
			}
		}
	}
	if c.ToolCalls {
		mark |= sse.ToolCall
	}
	return mark
}

func (openaiResponses) Response(c *Capture, body []byte) {
	for m := membersOf(body); m.next(); {
		switch string(m.key) {
		case "usage":
			if KindOf(m.val) == Object {
				c.Usage = responsesUsage(m.val)
			}
		case "output":
			for e := elementsOf(m.val); e.next(); {
				switch string(stringIn(e.val, "type")) {
				case "function_call":
					c.ToolCalls = true
				case "message":
					c.parts(lookup(e.val, "content"), "output_text")
				}
			}
		}
	}
}

// parts adds the text of the elements of content that are of the kind typ; an
// empty typ takes those of any kind.
func (c *Capture) parts(content []byte, typ string) {
	if !c.WantText {
		return
	}
	for e := elementsOf(content); e.next(); {
		if typ != "" && string(stringIn(e.val, "type")) != typ {
			continue
		}
		if s := lookup(e.val, "text"); KindOf(s) == String {
			c.text(s, true)
		}
	}
}

func responsesUsage(raw []byte) (u Usage) {
	total := false
	for m := membersOf(raw); m.next(); {
		switch string(m.key) {
		case "input_tokens":
			u.Prompt = integer(m.val)
		case "output_tokens":
			u.Completion = integer(m.val)
		case "total_tokens":
			u.Total, total = integer(m.val), KindOf(m.val) == Number
		case "input_tokens_details":
			u.CacheRead = integer(lookup(m.val, "cached_tokens"))
		case "output_tokens_details":
			u.Reasoning = integer(lookup(m.val, "reasoning_tokens"))
		}
	}
	if !total {
		u.Total = u.Prompt + u.Completion
	}
	u.Seen = true
	return u
}

// AppendFault writes the error event of the official API. Its sequence number
// is 0: the gateway does not count the provider's events.
func (openaiResponses) AppendFault(dst []byte, code, message string) []byte {
	return appendResponsesFault(dst, code, message, 0)
}

func appendResponsesFault(dst []byte, code, message string, sequence int64) []byte {
	dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"code\":"...)
	dst = AppendString(dst, []byte(code))
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, []byte(message))
	dst = strconv.AppendInt(append(dst, `,"param":null,"sequence_number":`...), sequence, 10)
	return append(dst, "}\n\n"...)
}

func (openaiResponses) LogMessages(b *Body) []byte { return rawOf(b, "input") }

func (openaiResponses) EndUser(b *Body) []byte { return openaiUser(b) }
