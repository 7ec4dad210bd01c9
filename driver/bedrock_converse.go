package driver

import "headrace/sse"

// bedrockConverse is the Converse protocol of AWS Bedrock. Its streams come in
// AWS event frames: Name is the frame's :event-type, Data its payload.
type bedrockConverse struct{ base }

// ErrorHeader names the header in which a provider that speaks p tells the class
// of an error, "" where the body tells it. The SDKs of AWS read nothing else.
func ErrorHeader(p Proto) string {
	if p == BedrockConverse {
		return "x-amzn-errortype"
	}
	return ""
}

func (bedrockConverse) Match(path []byte, b *Body) bool {
	return (endsWith(path, conversePath) || endsWith(path, streamPath)) && hasList(b, "messages")
}

// Streaming is asked for by the body or, as the AWS SDKs do, by the path.
func (bedrockConverse) Streaming(path []byte, b *Body) bool {
	return endsWith(path, streamPath) || b.IsTrue("stream")
}

// Prepare takes stream out: in this protocol the path says it.
func (bedrockConverse) Prepare(b *Body, _ *Shaping) bool {
	if !has(b, "stream") {
		return false
	}
	b.Delete("stream")
	return true
}

func (bedrockConverse) Event(c *Capture, ev sse.Event) sse.Mark {
	switch string(ev.Name) {
	case "contentBlockDelta":
		delta := lookup(ev.Data, "delta")
		if s := lookup(delta, "text"); nonEmptyString(s) {
			c.text(s, false)
			c.content = true
			return sse.Content
		}
		if nonEmptyString(lookup(lookup(delta, "toolUse"), "input")) {
			c.content = true
			return sse.Content
		}
	case "messageStop":
		return sse.Stopped // metadata, the usage, comes behind it
	case "metadata":
		if raw := lookup(ev.Data, "usage"); KindOf(raw) == Object {
			u := bedrockUsage(raw)
			c.Usage.merge(&u)
			return sse.Done | sse.UsageSeen
		}
		return sse.Done
	case "exception", "error":
		return sse.Done | sse.Failed
	}
	return 0
}

func (bedrockConverse) Response(c *Capture, body []byte) {
	if raw := lookup(body, "usage"); KindOf(raw) == Object {
		c.Usage = bedrockUsage(raw)
	}
	if c.WantText {
		c.parts(lookup(lookup(lookup(body, "output"), "message"), "content"), "")
	}
}

func bedrockUsage(raw []byte) (u Usage) {
	total := false
	for m := membersOf(raw); m.next(); {
		switch string(m.key) {
		case "inputTokens":
			u.Prompt = integer(m.val)
		case "outputTokens":
			u.Completion = integer(m.val)
		case "totalTokens":
			u.Total, total = integer(m.val), KindOf(m.val) == Number
		}
	}
	if !total {
		u.Total = u.Prompt + u.Completion
	}
	u.Seen = true
	return u
}

func (bedrockConverse) LogMessages(b *Body) []byte { return rawOf(b, "messages") }
