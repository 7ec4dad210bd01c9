package driver

import (
	"bytes"
	"errors"
)

var errNoOutput = errors.New("no output in response")

// AppendResponse implements Converter. Errors of AWS, whatever their status,
// become OpenAI's.
func (chatToConverse) AppendResponse(dst, body []byte, status int, st *ConvState) ([]byte, bool, error) {
	doc := document(body)
	if KindOf(doc) != Object {
		return dst, false, nil
	}
	var output, stop, usage, class []byte
	for m := membersOf(doc); m.next(); {
		switch string(plainKey(m.key)) {
		case "output":
			output = m.val
		case "stopReason":
			stop = m.val
		case "usage":
			usage = m.val
		case "__type":
			class = m.val
		}
	}
	message := lookup(output, "message")
	if status >= 400 || KindOf(message) != Object {
		text := messageOf(doc)
		switch {
		case text != nil:
			if KindOf(class) == String {
				class, _ = unquoted(class, nil)
			} else {
				class = st.ErrorClass
			}
			return appendChatError(dst, text, chatErrorType(status), classOf(class)), true, nil
		case status >= 400:
			return dst, false, nil
		}
		return dst, false, errNoOutput
	}
	dst = append(appendReplyHead(dst, "chat.completion", st), `{"index":0,"message":{"role":"assistant"`...)
	dst = appendSaid(dst, lookup(message, "content"))
	dst = append(append(dst, `,"refusal":null},"logprobs":null,"finish_reason":"`...), finishReason(stop)...)
	dst = append(dst, `"}]`...)
	if KindOf(usage) == Object {
		u := converseReport(usage)
		dst = u.appendTo(append(dst, `,"usage":`...))
	}
	return append(dst, '}'), true, nil
}

// classOf is the name of an error class without the namespace before it and the
// address behind.
func classOf(class []byte) []byte {
	class, _, _ = bytes.Cut(class, []byte(":"))
	return class[bytes.LastIndexByte(class, '#')+1:]
}

// converseBlock is a block of an answer's content. text and reasoning are
// strings; call is a toolUse that the client has to answer.
type converseBlock struct{ text, reasoning, cited, call []byte }

func readConverseBlock(raw []byte) (b converseBlock) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "text":
			b.text = stringOrNil(m.val)
		case "reasoningContent":
			b.reasoning = stringOrNil(lookup(lookup(m.val, "reasoningText"), "text"))
		case "citationsContent":
			b.cited = lookup(m.val, "content")
		case "toolUse":
			if isClientCall(m.val) {
				b.call = m.val
			}
		}
	}
	return b
}

// isClientCall tells whether a toolUse is none that Bedrock answers itself.
func isClientCall(raw []byte) bool {
	return KindOf(raw) == Object && !isText(lookup(raw, "type"), "server_tool_use")
}

// appendSaid appends the members of a message for the blocks of an answer.
func appendSaid(dst, blocks []byte) []byte {
	var reasoning, text, calls bool
	for e := elementsOf(blocks); e.next(); {
		b := readConverseBlock(e.val)
		reasoning = reasoning || b.reasoning != nil
		text = text || b.text != nil || b.cited != nil
		calls = calls || b.call != nil
	}
	dst = append(dst, `,"content":`...)
	switch {
	case text:
		dst = append(dst, '"')
		for e := elementsOf(blocks); e.next(); {
			b := readConverseBlock(e.val)
			dst = appendContentOf(dst, b.text)
			for c := elementsOf(b.cited); c.next(); {
				dst = appendContentOf(dst, lookup(c.val, "text"))
			}
		}
		dst = append(dst, '"')
	case calls:
		dst = append(dst, "null"...)
	default:
		dst = append(dst, `""`...)
	}
	if reasoning {
		dst = append(dst, `,"reasoning_content":"`...)
		for e := elementsOf(blocks); e.next(); {
			dst = appendContentOf(dst, readConverseBlock(e.val).reasoning)
		}
		dst = append(dst, '"')
	}
	if !calls {
		return dst
	}
	o := jsonOut{append(dst, `,"tool_calls":[`...)}
	for e := elementsOf(blocks); e.next(); {
		call := readConverseBlock(e.val).call
		if call == nil {
			continue
		}
		o.next()
		o.dst = appendCallHead(append(o.dst, '{'), call)
		if input := lookup(call, "input"); KindOf(input) == Object {
			o.dst = AppendString(o.dst, input)
		} else {
			o.raw(`"{}"`)
		}
		o.raw("}}")
	}
	return append(o.dst, ']')
}

// appendCallHead appends a call of a tool up to its arguments.
func appendCallHead(dst, use []byte) []byte {
	dst = appendStringOr(append(dst, `"id":`...), lookup(use, "toolUseId"))
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = appendStringOr(dst, lookup(use, "name"))
	return append(dst, `,"arguments":`...)
}

// appendContentOf appends what stands between the quotes of the JSON string raw.
func appendContentOf(dst, raw []byte) []byte {
	if KindOf(raw) != String {
		return dst
	}
	return append(dst, raw[1:len(raw)-1]...)
}
