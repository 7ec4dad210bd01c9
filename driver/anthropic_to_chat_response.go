package driver

import (
	"errors"
	"strconv"
)

var errNoChoices = errors.New("no choices in response")

// AppendResponse implements Converter. Error objects become Anthropic's,
// whatever the status; a refusal (400 and up) in a form of the provider's own
// is passed on.
func (anthropicToChat) AppendResponse(dst, body []byte, status int, st *ConvState) ([]byte, bool, error) {
	doc := document(body)
	if k := KindOf(doc); k != Object && k != Array {
		return dst, false, nil
	}
	var id, model, choices, usage, fault []byte
	for m := membersOf(doc); m.next(); {
		switch string(plainKey(m.key)) {
		case "id":
			id = m.val
		case "model":
			model = m.val
		case "choices":
			choices = m.val
		case "usage":
			usage = m.val
		case "error":
			fault = m.val
		}
	}
	if isFault(fault) {
		return appendFaultBody(dst, fault), true, nil
	}
	choice := firstOf(choices)
	if KindOf(choice) != Object {
		if status >= 400 {
			return dst, false, nil
		}
		return dst, false, errNoChoices
	}
	dst = append(dst, `{"id":`...)
	dst = appendStringOr(dst, id)
	dst = append(dst, `,"type":"message","role":"assistant","model":`...)
	if len(st.Model) > 0 {
		dst = AppendString(dst, st.Model)
	} else {
		dst = appendStringOr(dst, model)
	}
	dst = append(dst, `,"content":[`...)
	dst = appendBlocks(dst, lookup(choice, "message"), st)
	dst = append(dst, `],"stop_reason":"`...)
	finish := lookup(choice, "finish_reason")
	dst = append(dst, stopReason(trimmed(finish))...)
	dst = append(dst, `","usage":`...)
	t := chatTallyOf(usage)
	dst = t.appendTo(dst, t.details, t.created)
	return append(dst, '}'), true, nil
}

// appendTo appends a usage object; read and creation say whether it counts
// the cache.
func (t *chatTally) appendTo(dst []byte, read, creation bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), t.input, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens":`...), t.output, 10)
	if read {
		dst = strconv.AppendInt(append(dst, `,"cache_read_input_tokens":`...), t.read, 10)
	}
	if creation {
		dst = strconv.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), t.creation, 10)
	}
	return append(dst, '}')
}

// appendBlocks appends the blocks of an answer; there is always one.
func appendBlocks(dst, message []byte, st *ConvState) []byte {
	var text, reasoning, plain, calls []byte
	for m := membersOf(message); m.next(); {
		switch string(plainKey(m.key)) {
		case "content":
			text = m.val
		case "reasoning_content":
			reasoning = m.val
		case "reasoning":
			plain = m.val
		case "tool_calls":
			calls = m.val
		}
	}
	start := len(dst)
	if s := reasoningOf(reasoning, plain); s != nil {
		dst = append(append(dst, `{"type":"thinking","thinking":`...), s...)
		dst = append(dst, `,"signature":""}`...)
	}
	if nonEmptyString(text) {
		dst = appendCommaSince(dst, start)
		dst = append(append(dst, `{"type":"text","text":`...), text...)
		dst = append(dst, '}')
	}
	for e := elementsOf(calls); e.next(); {
		if KindOf(e.val) != Object {
			continue
		}
		c := readCall(e.val)
		dst = appendCommaSince(dst, start)
		dst = c.appendBlock(dst, st)
		dst = appendArguments(append(dst, `,"input":`...), c.arguments)
		dst = append(dst, '}')
	}
	if len(dst) == start {
		return append(dst, `{"type":"text","text":""}`...)
	}
	return dst
}

func appendCommaSince(dst []byte, start int) []byte {
	if len(dst) > start {
		return append(dst, ',')
	}
	return dst
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

// appendBlock begins a tool_use block.
func (c *chatCall) appendBlock(dst []byte, st *ConvState) []byte {
	dst = append(dst, `{"type":"tool_use","id":`...)
	dst = appendStringOr(dst, c.id)
	dst = append(dst, `,"name":`...)
	return st.names.appendClient(dst, c.name)
}

// appendArguments appends the object or array that the JSON string raw holds,
// {} if it holds something else. Some providers send the object itself.
func appendArguments(dst, raw []byte) []byte {
	switch KindOf(raw) {
	case Object:
		return append(dst, raw...)
	case String:
		start := len(dst)
		dst = appendUnescaped(dst, raw[1:len(raw)-1])
		doc := document(dst[start:])
		if k := KindOf(doc); k == Object || k == Array {
			return dst[:start+copy(dst[start:], doc)]
		}
		dst = dst[:start]
	}
	return append(dst, "{}"...)
}
