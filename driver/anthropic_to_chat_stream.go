package driver

import (
	"strconv"

	"headrace/sse"
)

// messageStream is how far a stream of Anthropic's events has come.
type messageStream struct {
	started bool // message_start is out
	pending bool // the answer is complete, its usage may follow
	stopped bool // nothing may follow
	open    blockKind
	index   int // of the latest block
	next    int // index of the next block
	calls   callBlocks

	reason string // for message_delta
	usage  chatTally
	counts bool // usage is known
	late   bool // it came after the finish_reason
}

func (s *messageStream) reset() {
	calls := s.calls
	calls.reset()
	*s = messageStream{calls: calls}
}

const (
	pingEvent    = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	messageStop  = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	messageStart = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
	messageDelta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\""
	blockStart   = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"
	blockDelta   = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"
	blockStop    = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"
)

// AppendEvent implements Converter (ai-proxy.md section 4.3).
func (anthropicToChat) AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte {
	s := &st.toMessages
	if s.stopped {
		return dst
	}
	c, f, kind := chunkOf(ev)
	switch kind {
	case otherChunk:
		return dst
	case pingChunk:
		return append(dst, pingEvent...)
	case lastChunk:
		return s.finish(dst)
	case faultChunk:
		return s.fail(dst, &f)
	}
	choice := firstOf(c.choices)
	switch {
	case s.pending:
		// The report may come behind more chunks without one: Azure's
		// verdicts, the second finish_reason of OpenRouter.
		if !s.counts {
			if s.count(c.usage, true); !s.counts {
				return dst
			}
		}
		return s.stop(dst)
	case !s.started:
		if choice == nil && !nonEmptyString(c.id) {
			return dst // Azure begins with a verdict on the prompt
		}
		s.started = true
		dst = appendStringOr(append(dst, messageStart...), c.id)
		dst = appendStringOr(append(dst, `,"type":"message","role":"assistant","model":`...), c.model)
		dst = append(dst, `,"content":[],"usage":{"input_tokens":0,"output_tokens":0}}}`+"\n\n"...)
	}
	if choice == nil {
		return dst
	}
	return s.choice(dst, choice, &c, st)
}

// AppendEnd implements Converter: a stream that ended without [DONE] is as
// complete as one with it if it has a finish_reason. Ollama has none behind an
// error.
func (anthropicToChat) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	if s := &st.toMessages; clean && s.pending {
		return s.finish(dst)
	}
	return dst
}

// fail appends the error event that ends a stream.
func (s *messageStream) fail(dst []byte, f *fault) []byte {
	s.stopped = true
	return append(appendFaultBody(append(dst, "event: error\ndata: "...), f), "\n\n"...)
}

// choice appends the events of choices[0].
func (s *messageStream) choice(dst, raw []byte, c *chatDoc, st *ConvState) []byte {
	what := readChoice(raw)
	said := readSaid(what.delta)
	if part := said.reasoning; part != nil {
		if s.open != thinkingBlock {
			dst = s.begin(dst, thinkingBlock)
			dst = append(dst, `{"type":"thinking","thinking":""}}`+"\n\n"...)
		}
		dst = appendDelta(dst, s.index, `{"type":"thinking_delta","thinking":`, part)
	}
	if nonEmptyString(said.text) {
		if s.open != textBlock {
			dst = s.begin(dst, textBlock)
			dst = append(dst, `{"type":"text","text":""}}`+"\n\n"...)
		}
		dst = appendDelta(dst, s.index, `{"type":"text_delta","text":`, said.text)
	}
	for e := elementsOf(said.calls); e.next(); {
		dst = s.call(dst, readCall(e.val), st)
	}
	if f, failed := what.failure(); failed {
		return s.fail(dst, &f)
	}
	if reason := trimmed(what.finish); len(reason) > 0 && string(reason) != "null" {
		dst = s.end(dst)
		s.pending, s.reason = true, stopReason(reason, len(s.calls.list) > 0)
		s.count(c.usage, false)
	}
	return dst
}

func (s *messageStream) call(dst []byte, c chatCall, st *ConvState) []byte {
	block, ok := s.calls.of(&c)
	if !ok {
		if !c.begins() {
			return dst
		}
		dst = s.begin(dst, callBlock)
		dst = c.appendBlock(dst, st)
		dst = append(dst, `,"input":{}}}`+"\n\n"...)
		block = s.index
		s.calls.add(&c, block)
	}
	if nonEmptyString(c.arguments) {
		dst = appendDelta(dst, block, `{"type":"input_json_delta","partial_json":`, c.arguments)
	}
	return dst
}

// begin closes the open block and begins the event that opens another.
func (s *messageStream) begin(dst []byte, kind blockKind) []byte {
	dst = s.end(dst)
	s.open, s.index = kind, s.next
	s.next++
	dst = strconv.AppendInt(append(dst, blockStart...), int64(s.index), 10)
	return append(dst, `,"content_block":`...)
}

// end closes the open block if there is one.
func (s *messageStream) end(dst []byte) []byte {
	if s.open == noBlock {
		return dst
	}
	s.open = noBlock
	dst = strconv.AppendInt(append(dst, blockStop...), int64(s.index), 10)
	return append(dst, "}\n\n"...)
}

func appendDelta(dst []byte, index int, head string, part []byte) []byte {
	dst = strconv.AppendInt(append(dst, blockDelta...), int64(index), 10)
	dst = append(append(dst, `,"delta":`...), head...)
	return append(append(dst, part...), "}}\n\n"...)
}

// count takes usage in if raw is a report of it.
func (s *messageStream) count(raw []byte, late bool) {
	if KindOf(raw) == Object {
		s.usage, s.counts, s.late = chatTallyOf(raw), true, late
	}
}

// finish appends what is owed when the provider has nothing more to say.
func (s *messageStream) finish(dst []byte) []byte {
	if s.stopped || !s.started {
		return dst
	}
	if !s.pending {
		dst = s.end(dst)
		s.reason, s.usage = "end_turn", chatTally{}
	}
	return s.stop(dst)
}

// stop appends message_delta and message_stop. There is always usage, if only
// zeros: Anthropic's own clients break where it is missing.
func (s *messageStream) stop(dst []byte) []byte {
	s.stopped = true
	dst = append(append(append(dst, messageDelta...), s.reason...), `"},"usage":`...)
	dst = s.usage.appendTo(dst, s.usage.read > 0, s.late && s.usage.created)
	return append(append(dst, "}\n\n"...), messageStop...)
}
