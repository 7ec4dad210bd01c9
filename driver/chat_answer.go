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
	faultChunk // fault says what went wrong
	lastChunk  // [DONE]
)

// chunkOf reads an event of a stream.
func chunkOf(ev sse.Event) (c chatDoc, kind chunkKind) {
	named := false
	switch string(ev.Name) {
	case "", "message":
	case "ping":
		return c, pingChunk
	case "error":
		named = true
	default:
		return c, otherChunk
	}
	data := bytes.TrimSpace(ev.Data)
	if string(data) == "[DONE]" {
		return c, lastChunk
	}
	switch {
	case !c.read(data):
		return c, otherChunk
	case c.failed():
		return c, faultChunk
	case named:
		return c, otherChunk
	}
	return c, dataChunk
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

// failed tells whether there is an error.
func (d *chatDoc) failed() bool { return KindOf(d.fault) == Object || nonEmptyString(d.fault) }

// chatChoice is an element of choices: of a whole answer with a message, of a
// chunk with a delta.
type chatChoice struct{ message, delta, finish []byte }

func readChoice(raw []byte) (c chatChoice) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "message":
			c.message = m.val
		case "delta":
			c.delta = m.val
		case "finish_reason":
			c.finish = m.val
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

// chatCall is an element of tool_calls.
type chatCall struct{ index, id, name, arguments []byte }

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
