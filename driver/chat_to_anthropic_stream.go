package driver

import (
	"strconv"

	"headrace/sse"
)

// chunkStream is how far a stream of OpenAI's chunks has come.
type chunkStream struct {
	counts bool // the client wants to know the usage

	head     []byte // of every chunk, up to its choices
	started  bool   // the first chunk is out
	finished bool   // the finish_reason is out
	stopped  bool   // nothing may follow
	calling  bool   // the open block is a call
	argued   bool   // it has got arguments
	calls    int
	usage    Usage
}

func (s *chunkStream) reset() { *s = chunkStream{head: keep(s.head, 1)} }

// pingComment is nothing to a client; what stands between sees a stream that lives.
const pingComment = ": ping\n\n"

// AppendEvent implements Converter. A stream begins with message_start; what
// comes before it belongs to no message.
func (chatToAnthropic) AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte {
	s := &st.toChunks
	if s.stopped {
		return dst
	}
	name := eventName(ev)
	switch string(name) {
	case "ping":
		return append(dst, pingComment...)
	case "error":
		s.stopped = true
		dst = appendChatFault(append(dst, "data: "...), lookup(ev.Data, "error"))
		return append(dst, "\n\n"...)
	case "message_start":
		return s.start(dst, lookup(ev.Data, "message"), st)
	}
	if !s.started || s.finished && hasPrefix(name, "content_") {
		return dst
	}
	switch string(name) {
	case "content_block_start":
		return s.block(dst, lookup(ev.Data, "content_block"))
	case "content_block_delta":
		return s.delta(dst, lookup(ev.Data, "delta"))
	case "content_block_stop":
		if s.calling && !s.argued { // a call without arguments has none to stream
			dst = s.arguments(dst, []byte(`"{}"`))
		}
		s.calling = false
	case "message_delta":
		s.count(lookup(ev.Data, "usage"))
		return s.finish(dst, trimmed(lookup(lookup(ev.Data, "delta"), "stop_reason")))
	case "message_stop":
		return s.stop(s.finish(dst, []byte("end_turn")))
	}
	return dst
}

// AppendEnd implements Converter. A body that ends before the answer does is
// an error to the client, also where the provider ended it cleanly.
func (chatToAnthropic) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	s := &st.toChunks
	switch {
	case !clean || !s.started || s.stopped:
		return dst
	case s.finished:
		return s.stop(dst)
	}
	s.stopped = true
	return appendOpenAIFault(dst, CodeTruncated, "the upstream ended the stream before the answer was complete")
}

func (s *chunkStream) start(dst, message []byte, st *ConvState) []byte {
	if s.started || KindOf(message) != Object {
		return dst
	}
	s.started = true
	var m anthropicMessage
	m.read(message)
	s.head = appendIdentity(append(s.head[:0], "data: "...), m.id, "chat.completion.chunk", m.model, st)
	s.head = append(s.head, `,"choices":[`...)
	s.count(m.usage)
	dst = append(s.open(dst), `"role":"assistant","content":""`...)
	return s.close(dst)
}

// open begins a chunk with a delta.
func (s *chunkStream) open(dst []byte) []byte {
	return append(append(dst, s.head...), `{"index":0,"delta":{`...)
}

func (s *chunkStream) close(dst []byte) []byte {
	return s.end(append(dst, `},"logprobs":null,"finish_reason":null}]`...))
}

// end ends a chunk that does not report usage.
func (s *chunkStream) end(dst []byte) []byte {
	if s.counts {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// block takes the beginning of a block; that of a text may hold some of it.
func (s *chunkStream) block(dst, raw []byte) []byte {
	b := readBlock(raw)
	s.calling, s.argued = b.kind == callBlock, false
	switch b.kind {
	case textBlock:
		return s.say(dst, "content", b.text)
	case thinkingBlock:
		return s.say(dst, "reasoning_content", b.text)
	case callBlock:
		dst = strconv.AppendInt(append(s.open(dst), `"tool_calls":[{"index":`...), int64(s.calls), 10)
		s.calls++
		dst = append(append(dst, `,"id":`...), b.id...)
		dst = append(append(dst, `,"type":"function","function":{"name":`...), b.name...)
		return s.close(append(dst, `,"arguments":""}}]`...))
	}
	return dst
}

func (s *chunkStream) delta(dst, raw []byte) []byte {
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
		return s.say(dst, "content", text)
	case isText(kind, "thinking_delta"):
		return s.say(dst, "reasoning_content", thinking)
	case isText(kind, "input_json_delta") && s.calling && nonEmptyString(part):
		s.argued = true
		return s.arguments(dst, part)
	}
	return dst
}

// say appends a chunk with the JSON string text, unless that is empty.
func (s *chunkStream) say(dst []byte, member string, text []byte) []byte {
	if !nonEmptyString(text) {
		return dst
	}
	dst = append(append(append(s.open(dst), '"'), member...), `":`...)
	return s.close(append(dst, text...))
}

func (s *chunkStream) arguments(dst, part []byte) []byte {
	dst = strconv.AppendInt(append(s.open(dst), `"tool_calls":[{"index":`...), int64(s.calls-1), 10)
	dst = append(append(dst, `,"function":{"arguments":`...), part...)
	return s.close(append(dst, "}}]"...))
}

// count takes usage in if raw is a report of it.
func (s *chunkStream) count(raw []byte) {
	if KindOf(raw) == Object {
		u := anthropicUsage(raw)
		s.usage.merge(&u)
	}
}

// finish appends the finish_reason, once and if there is one.
func (s *chunkStream) finish(dst, stop []byte) []byte {
	if s.finished || len(stop) == 0 {
		return dst
	}
	s.finished = true
	dst = append(append(dst, s.head...), `{"index":0,"delta":{},"logprobs":null,"finish_reason":"`...)
	dst = append(append(dst, finishReason(stop)...), `"}]`...)
	return s.end(dst)
}

// stop appends the end of the stream.
func (s *chunkStream) stop(dst []byte) []byte {
	s.stopped = true
	if s.counts && s.usage.Seen {
		dst = append(append(dst, s.head...), `],"usage":`...)
		dst = append(appendChatUsage(dst, &s.usage), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}
