package driver

import (
	"strconv"

	"headrace/sse"
)

// responseStream is a response as far as it has come.
type responseStream struct {
	asked *Body // the client's request, which a response repeats

	base    []byte // what all ids have in common
	model   []byte // a JSON string
	tier    []byte // a JSON string, empty if the provider names none
	created int64
	usage   Usage
	status  string
	reason  string // of an incomplete response
	items   []outputItem

	// Of streams only.
	sequence int64 // number of the next event
	size     int   // what items take
	open     int   // the item that text goes on in, -1 for none
	calls    callBlocks
	started  bool // response.created is out
	pending  bool // the output is complete, its usage may follow
	stopped  bool // nothing may follow
}

// maxOutput bounds what is kept of a stream to be repeated at its end: far more
// than any model says at once.
const maxOutput = 4 << 20

// So many items of a pooled response keep their buffers, up to a fifth and a
// sixty-fourth of what one buffer may have otherwise.
const (
	keptItems = 4
	textShare = 5
	nameShare = 64
)

func (s *responseStream) reset() {
	items, calls := s.items[:cap(s.items)], s.calls
	if len(items) > keptItems {
		items = nil
	}
	for i := range items {
		it := &items[i]
		it.text = keep(it.text, textShare)
		it.callID, it.name = keep(it.callID, nameShare), keep(it.name, nameShare)
	}
	calls.reset()
	*s = responseStream{
		base: keep(s.base, 1), model: keep(s.model, 1), tier: keep(s.tier, 1),
		items: items[:0], calls: calls,
	}
}

// AppendEvent implements Converter, in the order of events that the official
// API has. The items of calls stay open until the end, for a provider may go
// back to one.
func (responsesToChat) AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte {
	s := &st.toResponse
	if s.stopped {
		return dst
	}
	c, f, kind := chunkOf(ev)
	switch kind {
	case otherChunk, pingChunk:
		return dst
	case lastChunk:
		return s.finish(dst)
	case faultChunk:
		if !s.started {
			dst = s.start(dst, &c, st)
		}
		return s.fail(dst, &f)
	}
	choice := firstOf(c.choices)
	if !s.started {
		if choice == nil {
			return dst // Azure's first chunk: neither an id nor a choice
		}
		dst = s.start(dst, &c, st)
	}
	counted := s.count(c.usage)
	if !s.pending {
		dst = s.choice(dst, choice, st)
	}
	if s.pending && counted && !s.stopped {
		dst = s.complete(dst)
	}
	return dst
}

// AppendEnd implements Converter: a stream that ended without [DONE] is as
// complete as one with it if it has a finish_reason.
func (responsesToChat) AppendEnd(dst []byte, clean bool, st *ConvState) []byte {
	if s := &st.toResponse; clean && s.pending {
		return s.finish(dst)
	}
	return dst
}

// AppendFault implements Faulter.
func (responsesToChat) AppendFault(dst []byte, code, message string, st *ConvState) []byte {
	return appendResponsesFault(dst, code, message, st.toResponse.sequence)
}

func (s *responseStream) start(dst []byte, c *chatDoc, st *ConvState) []byte {
	s.started, s.open, s.status = true, -1, statusInProgress
	s.identify(c, st)
	for _, name := range [...]string{"response.created", "response.in_progress"} {
		dst = s.event(dst, name)
		dst = s.openResponse(append(dst, `,"response":`...), nil)
		dst = append(s.closeResponse(dst), "}\n\n"...)
	}
	return dst
}

// choice appends the events of choices[0].
func (s *responseStream) choice(dst, raw []byte, st *ConvState) []byte {
	what := readChoice(raw)
	said := readSaid(what.delta)
	dst = s.say(dst, reasoningOutput, said.reasoning)
	dst = s.say(dst, textOutput, said.text)
	dst = s.say(dst, refusalOutput, said.refusal)
	for e := elementsOf(said.calls); e.next(); {
		if KindOf(e.val) == Object {
			dst = s.call(dst, readCall(e.val), st)
		}
	}
	if f, failed := what.failure(); failed && !s.stopped {
		return s.fail(dst, &f)
	}
	if reason := trimmed(what.finish); len(reason) > 0 && string(reason) != "null" && !s.stopped {
		s.status, s.reason = responseStatus(reason)
		dst = s.end(dst)
	}
	return dst
}

// end closes all items; what may follow is usage.
func (s *responseStream) end(dst []byte) []byte {
	s.pending = true
	if len(s.items) == 0 {
		dst = s.begin(dst, textOutput)
	}
	last := len(s.items) - 1
	if !s.items[last].shown {
		dst = s.show(dst, last)
	}
	for i := range s.items {
		it := &s.items[i]
		if it.status != "" {
			continue
		}
		status := s.endOf(i)
		if it.kind == callOutput && len(it.text) == 0 && status == statusCompleted {
			it.text = append(it.text, "{}"...)
			dst = s.delta(dst, i, 0)
		}
		dst = s.close(dst, i, status)
	}
	return dst
}

// finish appends what is owed when the provider has nothing more to say.
func (s *responseStream) finish(dst []byte) []byte {
	if s.stopped || !s.started {
		return dst
	}
	if !s.pending {
		s.status = statusCompleted
		dst = s.end(dst)
	}
	return s.complete(dst)
}

func (s *responseStream) complete(dst []byte) []byte {
	if s.status == statusIncomplete {
		return s.last(dst, "response.incomplete", nil)
	}
	return s.last(dst, "response.completed", nil)
}

func (s *responseStream) fail(dst []byte, f *fault) []byte {
	s.status = statusFailed
	return s.last(dst, "response.failed", f)
}

// last appends the event that ends a stream: the whole response.
func (s *responseStream) last(dst []byte, name string, f *fault) []byte {
	s.stopped = true
	dst = s.event(dst, name)
	dst = s.openResponse(append(dst, `,"response":`...), f)
	dst = s.appendOutput(dst)
	return append(s.closeResponse(dst), "}\n\n"...)
}

// event begins an event.
func (s *responseStream) event(dst []byte, name string) []byte {
	dst = append(append(append(dst, "event: "...), name...), "\ndata: {\"type\":\""...)
	dst = append(append(dst, name...), `","sequence_number":`...)
	dst = strconv.AppendInt(dst, s.sequence, 10)
	s.sequence++
	return dst
}
