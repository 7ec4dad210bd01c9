package driver

import "strconv"

// outputKind is what an item of a response's output is.
type outputKind uint8

const (
	reasoningOutput outputKind = iota
	textOutput
	refusalOutput
	callOutput
)

// outputForms are how the kinds look on the wire: the prefix of their ids,
// their part up to its text, and the events about that.
var outputForms = [...]struct{ prefix, part, delta, done, member string }{
	reasoningOutput: {"rs_", `{"type":"reasoning_text","text":"`, "response.reasoning_text.delta", "response.reasoning_text.done", "text"},
	textOutput:      {"msg_", `{"type":"output_text","annotations":[],"logprobs":[],"text":"`, "response.output_text.delta", "response.output_text.done", "text"},
	refusalOutput:   {"msg_", `{"type":"refusal","refusal":"`, "response.refusal.delta", "response.refusal.done", "refusal"},
	callOutput:      {"fc_", "", "response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"},
}

// outputItem is an item of the output. A message has one part: what is a
// refusal is another message than the text before it.
type outputItem struct {
	kind   outputKind
	shown  bool   // the client knows of it
	status string // "" until it is done
	text   []byte // so far: the content of a JSON string
	callID []byte // of a call: a JSON string, empty for none
	name   []byte // of a call: a JSON string, empty as long as it is not known
}

// size is what an item counts of maxOutput.
func (it *outputItem) size() int { return 256 + len(it.text) + len(it.callID) + len(it.name) }

// add makes an item behind the others. Its buffers are those of an earlier one.
func (s *responseStream) add(kind outputKind) *outputItem {
	n := len(s.items)
	if n == cap(s.items) {
		s.items = append(s.items, outputItem{})
	}
	s.items = s.items[:n+1]
	it := &s.items[n]
	*it = outputItem{kind: kind, text: it.text[:0], callID: it.callID[:0], name: it.name[:0]}
	return it
}

// learn takes in what a call is called.
func (it *outputItem) learn(c *chatCall, st *ConvState) {
	if len(it.callID) == 0 && nonEmptyString(c.id) {
		it.callID = append(it.callID, c.id...)
	}
	if len(it.name) == 0 && nonEmptyString(c.name) {
		it.name = st.names.appendClient(it.name, c.name)
	}
}

// appendArgumentsText appends the arguments of a call as the content of a JSON
// string. Some providers send the object itself.
func appendArgumentsText(dst, raw []byte) []byte {
	switch KindOf(raw) {
	case String:
		return append(dst, raw[1:len(raw)-1]...)
	case Object:
		at := len(dst)
		dst = AppendString(dst, raw)
		return append(dst[:at], dst[at+1:len(dst)-1]...)
	}
	return dst
}

// endOf is the status that item i ends with: the last one of an incomplete
// answer is incomplete.
func (s *responseStream) endOf(i int) string {
	if i == len(s.items)-1 && s.status == statusIncomplete {
		return statusIncomplete
	}
	return statusCompleted
}

// appendOutput appends all items; those that are not done are incomplete.
func (s *responseStream) appendOutput(dst []byte) []byte {
	for i := range s.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		it := &s.items[i]
		status := it.status
		if status == "" {
			status = statusIncomplete
		}
		dst = s.appendItem(dst, it, i, status)
	}
	return dst
}

// appendItemID appends the id of item i as a JSON string.
func (s *responseStream) appendItemID(dst []byte, kind outputKind, i int) []byte {
	dst = append(append(append(dst, '"'), outputForms[kind].prefix...), s.base...)
	dst = strconv.AppendInt(append(dst, '_'), int64(i), 10)
	return append(dst, '"')
}

// appendPart appends the part of an item with the text that is given.
func appendPart(dst []byte, kind outputKind, text []byte) []byte {
	dst = append(append(dst, outputForms[kind].part...), text...)
	return append(dst, `"}`...)
}

// appendItem appends item i; one in progress is still empty.
func (s *responseStream) appendItem(dst []byte, it *outputItem, i int, status string) []byte {
	dst = s.appendItemID(append(dst, `{"id":`...), it.kind, i)
	begun := status != statusInProgress
	if it.kind == callOutput {
		dst = append(append(dst, `,"type":"function_call","status":"`...), status...)
		dst = append(dst, `","arguments":"`...)
		if begun {
			dst = append(dst, it.text...)
		}
		dst = s.appendCallID(append(dst, `","call_id":`...), it, i)
		dst = append(dst, `,"name":`...)
		return append(appendStringOr(dst, it.name), '}')
	}
	if it.kind == reasoningOutput {
		dst = append(append(dst, `,"type":"reasoning","status":"`...), status...)
		dst = append(dst, `","summary":[],"content":[`...)
	} else {
		dst = append(append(dst, `,"type":"message","status":"`...), status...)
		dst = append(dst, `","role":"assistant","content":[`...)
	}
	if begun {
		dst = appendPart(dst, it.kind, it.text)
	}
	return append(dst, "]}"...)
}

// appendCallID appends the id that the result of a call is given with. A
// provider without ids gets one of ours back.
func (s *responseStream) appendCallID(dst []byte, it *outputItem, i int) []byte {
	if len(it.callID) > 0 {
		return append(dst, it.callID...)
	}
	dst = append(append(dst, `"call_`...), s.base...)
	dst = strconv.AppendInt(append(dst, '_'), int64(i), 10)
	return append(dst, '"')
}
