package driver

import (
	"bytes"

	"headrace/sse"
)

// AppendEvent implements Converter for the frames of ConverseStream.
func (chatToConverse) AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte {
	c := &st.chunks
	if c.ended {
		return dst
	}
	switch string(ev.Name) {
	case "metadata":
		if !c.finished {
			return dst
		}
		c.report = converseUsage(lookup(ev.Data, "usage"))
		return c.done(dst)
	case "exception", "error":
		return c.exception(dst, ev)
	}
	if c.finished {
		return dst
	}
	switch string(ev.Name) {
	case "messageStart":
		if !c.started {
			return c.begin(dst, nil, nil, st)
		}
	case "contentBlockStart":
		var b block
		if b.readToolUse(lookup(lookup(ev.Data, "start"), "toolUse")); b.kind == callBlock {
			c.blocks.add(callAt(ev), c.calls)
			return c.call(dst, b.id, b.name, st)
		}
	case "contentBlockDelta":
		return c.converseDelta(dst, ev, st)
	case "contentBlockStop":
		if i, ok := c.blocks.of(callAt(ev)); ok && i == c.calls-1 {
			return c.endCall(dst, st)
		}
	case "messageStop":
		return c.finish(dst, trimmed(lookup(ev.Data, "stopReason")), st)
	}
	return dst
}

// AppendEnd implements Converter.
func (chatToConverse) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	return st.chunks.end(dst, clean)
}

// converseDelta appends the chunk for a contentBlockDelta.
func (c *chatChunks) converseDelta(dst []byte, ev sse.Event, st *ConvState) []byte {
	for m := membersOf(lookup(ev.Data, "delta")); m.next(); {
		switch string(plainKey(m.key)) {
		case "text":
			return c.say(dst, "content", m.val, st)
		case "reasoningContent":
			return c.say(dst, "reasoning_content", lookup(m.val, "text"), st)
		case "toolUse":
			if i, ok := c.blocks.of(callAt(ev)); ok {
				return c.argument(dst, i, lookup(m.val, "input"), st)
			}
		}
	}
	return dst
}

// callAt is the call whose block a frame is about.
func callAt(ev sse.Event) *chatCall {
	return &chatCall{index: lookup(ev.Data, "contentBlockIndex")}
}

// exception ends the stream for a frame that is an exception, or an error that
// AWS has no class for.
func (c *chatChunks) exception(dst []byte, ev sse.Event) []byte {
	code := sse.FrameHeader(ev.Raw, ":exception-type")
	if len(code) == 0 {
		code = sse.FrameHeader(ev.Raw, ":error-code")
	}
	message := messageOf(ev.Data)
	if message == nil {
		if text := sse.FrameHeader(ev.Raw, ":error-message"); len(text) > 0 {
			message = AppendString(nil, text)
		}
	}
	return c.fail(dst, message, chatErrorType(exceptionStatus(code)), code)
}

// exceptionStatus is the status of an exception by its name, which begins with
// a small letter in streams and with a capital elsewhere.
func exceptionStatus(name []byte) int {
	for _, e := range [...]struct {
		name   string
		status int
	}{
		{"validationException", 400}, {"accessDeniedException", 403}, {"resourceNotFoundException", 404},
		{"throttlingException", 429}, {"serviceQuotaExceededException", 400}, {"modelNotReadyException", 429},
	} {
		if bytes.EqualFold(name, []byte(e.name)) {
			return e.status
		}
	}
	return 500
}
