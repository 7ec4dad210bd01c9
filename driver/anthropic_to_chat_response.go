package driver

import (
	"errors"
	"strconv"
)

var errNoChoices = errors.New("no choices in response")

// AppendResponse implements Converter. Errors become Anthropic's, whatever the
// status; a refusal (400 and up) in a form that is not known is passed on.
func (anthropicToChat) AppendResponse(dst, body []byte, status int, st *ConvState) ([]byte, bool, error) {
	d, c, f, kind := answerOf(body, status)
	switch {
	case kind == failedAnswer:
		return appendFaultBody(dst, &f), true, nil
	case kind == emptyAnswer && status < 400:
		return dst, false, errNoChoices
	case kind != wholeAnswer:
		return dst, false, nil
	}
	dst = append(dst, `{"id":`...)
	dst = appendStringOr(dst, d.id)
	dst = append(dst, `,"type":"message","role":"assistant","model":`...)
	if len(st.Model) > 0 {
		dst = AppendString(dst, st.Model)
	} else {
		dst = appendStringOr(dst, d.model)
	}
	dst = append(dst, `,"content":[`...)
	said := readSaid(c.message)
	dst = appendBlocks(dst, said, st)
	dst = append(dst, `],"stop_reason":"`...)
	dst = append(dst, stopReason(trimmed(c.finish), firstOf(said.calls) != nil)...)
	dst = append(dst, `","usage":`...)
	t := chatTallyOf(d.usage)
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
func appendBlocks(dst []byte, said chatSaid, st *ConvState) []byte {
	start := len(dst)
	if said.reasoning != nil {
		dst = append(append(dst, `{"type":"thinking","thinking":`...), said.reasoning...)
		dst = append(dst, `,"signature":""}`...)
	}
	if nonEmptyString(said.text) {
		dst = appendCommaSince(dst, start)
		dst = append(append(dst, `{"type":"text","text":`...), said.text...)
		dst = append(dst, '}')
	}
	for e := elementsOf(said.calls); e.next(); {
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
