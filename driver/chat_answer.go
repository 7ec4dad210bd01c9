package driver

import (
	"bytes"

	"headrace/sse"
)

// Readers of what a provider of the chat protocol answers, for the converters
// that turn it into something else. All fields are JSON as it stands in the
// answer, nil for what is not there.

// chunkKind says what an event of a stream is to a converter.
type chunkKind uint8

const (
	otherChunk chunkKind = iota // nothing
	pingChunk
	dataChunk
	faultChunk
	lastChunk // [DONE]
)

// chunkOf reads an event of a stream; f says what went wrong.
func chunkOf(ev sse.Event) (c chatDoc, f fault, kind chunkKind) {
	named := false
	switch string(ev.Name) {
	case "", "message":
	case "ping":
		return c, f, pingChunk
	case "error":
		named = true
	default:
		return c, f, otherChunk
	}
	data := bytes.TrimSpace(ev.Data)
	if string(data) == "[DONE]" {
		return c, f, lastChunk
	}
	doc := unwrapped(data)
	whole := c.read(doc)
	switch {
	case whole && isFault(c.fault):
		return c, readFault(c.fault), faultChunk
	case named && whole:
		return c, readFault(doc), faultChunk
	case named:
		return c, fault{message: AppendString(nil, data)}, faultChunk
	case !whole || data[0] == '[':
		return c, f, otherChunk
	}
	return c, f, dataChunk
}

// answerKind says what the body of an answer is to a converter.
type answerKind uint8

const (
	strangeAnswer answerKind = iota // not of this protocol
	failedAnswer
	emptyAnswer // without a choice
	wholeAnswer
)

// answerOf reads a whole answer: its first choice, or what went wrong.
func answerOf(body []byte, status int) (d chatDoc, c chatChoice, f fault, kind answerKind) {
	doc := document(body)
	if k := KindOf(doc); k != Object && k != Array {
		return d, c, f, strangeAnswer
	}
	doc = unwrapped(doc)
	d.read(doc)
	choice := firstOf(d.choices)
	switch {
	case isFault(d.fault):
		return d, c, readFault(d.fault), failedAnswer
	case KindOf(choice) == Object:
	case status >= 400 && isBareFault(doc):
		return d, c, readFault(doc), failedAnswer
	default:
		return d, c, f, emptyAnswer
	}
	c = readChoice(choice)
	if f, failed := c.failure(); failed {
		return d, c, f, failedAnswer
	}
	return d, c, f, wholeAnswer
}

// chatDoc is what counts in a whole answer or in one chunk of a stream.
type chatDoc struct{ id, created, model, tier, choices, usage, fault []byte }

// read tells whether data is one JSON object.
func (d *chatDoc) read(data []byte) bool {
	m := membersOf(data)
	for m.next() {
		switch string(plainKey(m.key)) {
		case "id":
			d.id = m.val
		case "created":
			d.created = m.val
		case "model":
			d.model = m.val
		case "service_tier":
			d.tier = m.val
		case "choices":
			d.choices = m.val
		case "usage":
			d.usage = m.val
		case "error":
			d.fault = m.val
		}
	}
	// The walk has checked the members; what is left must be the end.
	i := skipSpace(m.p, m.i)
	return i < len(m.p) && m.p[i] == '}' && skipSpace(m.p, i+1) == len(m.p)
}

// chatChoice is an element of choices: of a whole answer with a message, of a
// chunk with a delta.
type chatChoice struct{ message, delta, finish, fault []byte }

func readChoice(raw []byte) (c chatChoice) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "message":
			c.message = m.val
		case "delta":
			c.delta = m.val
		case "finish_reason":
			c.finish = m.val
		case "error":
			c.fault = m.val
		}
	}
	return c
}

// chatSaid is what a message or a delta says. reasoning is a string with
// content or nil; some providers call it reasoning, others reasoning_content.
type chatSaid struct{ text, refusal, reasoning, calls []byte }

func readSaid(raw []byte) (s chatSaid) {
	var plain []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "content":
			s.text = m.val
		case "refusal":
			s.refusal = m.val
		case "reasoning_content":
			s.reasoning = m.val
		case "reasoning":
			plain = m.val
		case "tool_calls":
			s.calls = m.val
		}
	}
	s.reasoning = reasoningOf(s.reasoning, plain)
	return s
}

// reasoningOf is the first of two members that is a string with content.
func reasoningOf(content, plain []byte) []byte {
	if nonEmptyString(content) {
		return content
	}
	if nonEmptyString(plain) {
		return plain
	}
	return nil
}

// chatCall is an element of tool_calls, of a stream a piece of one.
type chatCall struct{ index, id, name, arguments []byte }

// begins tells whether a call may begin with c where none is known that it goes
// on with.
func (c *chatCall) begins() bool { return KindOf(c.index) == Number || nonEmptyString(c.name) }

func readCall(raw []byte) (c chatCall) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "index":
			c.index = m.val
		case "id":
			c.id = m.val
		case "function":
			c.name, c.arguments = nil, nil
			for f := membersOf(m.val); f.next(); {
				switch string(plainKey(f.key)) {
				case "name":
					c.name = f.val
				case "arguments":
					c.arguments = f.val
				}
			}
		}
	}
	return c
}
