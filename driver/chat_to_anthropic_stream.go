package driver

import "headrace/sse"

// pingComment is nothing to a client; what stands between sees a stream that lives.
const pingComment = ": ping\n\n"

// AppendEvent implements Converter. A stream begins with message_start; what
// comes before it belongs to no message.
func (chatToAnthropic) AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte {
	c := &st.chunks
	if c.ended {
		return dst
	}
	name := eventName(ev)
	switch string(name) {
	case "ping":
		return append(dst, pingComment...)
	case "error":
		f := readFault(lookup(ev.Data, "error"))
		return c.fail(dst, f.message, f.chatType(500), nil)
	case "message_start":
		return c.messageStart(dst, lookup(ev.Data, "message"), st)
	}
	if !c.started || c.finished && hasPrefix(name, "content_") {
		return dst
	}
	switch string(name) {
	case "content_block_start":
		return c.blockStart(dst, lookup(ev.Data, "content_block"), st)
	case "content_block_delta":
		return c.blockDelta(dst, lookup(ev.Data, "delta"), st)
	case "content_block_stop":
		if c.calling {
			dst = c.endCall(dst, st)
		}
		c.calling = false
	case "message_delta":
		c.count(lookup(ev.Data, "usage"))
		if stop := trimmed(lookup(lookup(ev.Data, "delta"), "stop_reason")); len(stop) > 0 && !c.finished {
			return c.finish(dst, stop, st)
		}
	case "message_stop":
		if !c.finished {
			dst = c.finish(dst, nil, st)
		}
		return c.done(dst)
	}
	return dst
}

// AppendEnd implements Converter.
func (chatToAnthropic) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	return st.chunks.end(dst, clean)
}

func (c *chatChunks) messageStart(dst, message []byte, st *ConvState) []byte {
	if c.started || KindOf(message) != Object {
		return dst
	}
	var m anthropicMessage
	m.read(message)
	c.count(m.usage)
	return c.begin(dst, m.id, m.model, st)
}

// count takes usage of Anthropic's in if raw is a report of it.
func (c *chatChunks) count(raw []byte) {
	if KindOf(raw) == Object {
		u := anthropicUsage(raw)
		c.report.merge(&u)
	}
}

// blockStart takes the beginning of a block; that of a text may hold some of it.
func (c *chatChunks) blockStart(dst, raw []byte, st *ConvState) []byte {
	b := readBlock(raw)
	c.calling = b.kind == callBlock
	switch b.kind {
	case textBlock:
		return c.say(dst, "content", b.text, st)
	case thinkingBlock:
		return c.say(dst, "reasoning_content", b.text, st)
	case callBlock:
		return c.call(dst, b.id, b.name, st)
	}
	return dst
}

func (c *chatChunks) blockDelta(dst, raw []byte, st *ConvState) []byte {
	var kind, text, thinking, part []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = m.val
		case "text":
			text = m.val
		case "thinking":
			thinking = m.val
		case "partial_json":
			part = m.val
		}
	}
	switch {
	case isText(kind, "text_delta"):
		return c.say(dst, "content", text, st)
	case isText(kind, "thinking_delta"):
		return c.say(dst, "reasoning_content", thinking, st)
	case isText(kind, "input_json_delta") && c.calling:
		return c.argument(dst, c.calls-1, part, st)
	}
	return dst
}
