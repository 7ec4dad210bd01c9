package driver

import (
	"strconv"

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
		return c.report(dst, ev.Data, st)
	case "exception", "error":
		c.ended = true
		dst = appendException(append(dst, "data: "...), ev)
		return append(dst, "\n\n"...)
	}
	if c.stopped {
		return dst
	}
	switch string(ev.Name) {
	case "messageStart":
		return c.shut(append(c.open(dst, st), `"role":"assistant","content":""`...), "")
	case "contentBlockStart":
		if use := lookup(lookup(ev.Data, "start"), "toolUse"); isClientCall(use) {
			return c.beginCall(dst, lookup(ev.Data, "contentBlockIndex"), use, st)
		}
	case "contentBlockDelta":
		return c.converseDelta(dst, ev.Data, st)
	case "contentBlockStop":
		if i, ok := c.calls.of(lookup(ev.Data, "contentBlockIndex")); ok && c.bare && i == c.tools-1 {
			return c.argument(dst, i, noArguments, st)
		}
	case "messageStop":
		return c.finish(dst, finishReason(lookup(ev.Data, "stopReason")), st)
	}
	return dst
}

// report ends the stream of an answer that is complete.
func (c *chatChunks) report(dst, data []byte, st *ConvState) []byte {
	if !c.stopped {
		return dst
	}
	usage := lookup(data, "usage")
	if KindOf(usage) != Object {
		return c.done(dst, nil, st)
	}
	u := converseReport(usage)
	return c.done(dst, &u, st)
}

// noArguments ends a call that has none: clients parse them.
var noArguments = []byte(`"{}"`)

// AppendEnd implements Converter: an answer is complete without its report of
// usage, but not without messageStop.
func (chatToConverse) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	if c := &st.chunks; clean && c.stopped && !c.ended {
		return c.done(dst, nil, st)
	}
	return dst
}

// converseDelta appends the chunk for a contentBlockDelta.
func (c *chatChunks) converseDelta(dst, data []byte, st *ConvState) []byte {
	delta := lookup(data, "delta")
	for m := membersOf(delta); m.next(); {
		name, said := "", m.val
		switch string(plainKey(m.key)) {
		case "text":
			name = `"content":`
		case "reasoningContent":
			name, said = `"reasoning_content":`, lookup(m.val, "text")
		case "toolUse":
			input := lookup(m.val, "input")
			if i, ok := c.calls.of(lookup(data, "contentBlockIndex")); ok && nonEmptyString(input) {
				return c.argument(dst, i, input, st)
			}
		}
		if name != "" && nonEmptyString(said) {
			return c.shut(append(append(c.open(dst, st), name...), said...), "")
		}
	}
	return dst
}

// beginCall appends the chunk that names a call.
func (c *chatChunks) beginCall(dst, block, use []byte, st *ConvState) []byte {
	c.calls.add(block, c.tools)
	dst = strconv.AppendInt(append(c.open(dst, st), `"tool_calls":[{"index":`...), int64(c.tools), 10)
	dst = appendCallHead(append(dst, ','), use)
	c.tools++
	c.bare = true
	return c.shut(append(dst, `""}}]`...), "")
}

// argument appends a chunk with a part of a call's arguments, a JSON string.
func (c *chatChunks) argument(dst []byte, call int, part []byte, st *ConvState) []byte {
	c.bare = false
	dst = strconv.AppendInt(append(c.open(dst, st), `"tool_calls":[{"index":`...), int64(call), 10)
	dst = append(append(dst, `,"function":{"arguments":`...), part...)
	return c.shut(append(dst, "}}]"...), "")
}

// appendException appends OpenAI's error object for a frame that is an
// exception, or an error that AWS has no class for.
func appendException(dst []byte, ev sse.Event) []byte {
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
	return appendChatError(dst, message, chatErrorType(exceptionStatus(code)), code)
}
