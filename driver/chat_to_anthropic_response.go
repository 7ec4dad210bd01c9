package driver

// AppendResponse implements Converter. Error objects become OpenAI's, whatever
// the status; what is neither one nor a message is passed on.
func (chatToAnthropic) AppendResponse(dst, body []byte, _ int, st *ConvState) ([]byte, bool, error) {
	var m anthropicMessage
	m.read(document(body))
	if isFault(m.fault) {
		return appendChatFault(dst, m.fault), true, nil
	}
	if KindOf(m.content) != Array {
		return dst, false, nil
	}
	text, thinking, calls := false, false, false
	for e := elementsOf(m.content); e.next(); {
		switch b := readBlock(e.val); b.kind {
		case textBlock:
			text = true
		case thinkingBlock:
			thinking = thinking || nonEmptyString(b.text)
		case callBlock:
			calls = true
		}
	}
	dst = appendIdentity(dst, m.id, "chat.completion", m.model, st)
	dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if calls && !text {
		dst = append(dst, "null"...)
	} else {
		dst = appendJoined(dst, m.content, textBlock)
	}
	dst = append(dst, `,"refusal":null`...)
	if thinking {
		dst = append(dst, `,"reasoning_content":`...)
		dst = appendJoined(dst, m.content, thinkingBlock)
	}
	if calls {
		dst = appendCalls(append(dst, `,"tool_calls":`...), m.content)
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, finishReason(trimmed(m.stop))...)
	dst = append(dst, `"}]`...)
	if KindOf(m.usage) == Object {
		u := anthropicUsage(m.usage)
		dst = appendChatUsage(append(dst, `,"usage":`...), &u)
	}
	return append(dst, '}'), true, nil
}

// appendCalls appends the calls among the blocks of content as OpenAI has them.
func appendCalls(dst, content []byte) []byte {
	out := jsonOut{append(dst, '[')}
	for e := elementsOf(content); e.next(); {
		b := readBlock(e.val)
		if b.kind != callBlock {
			continue
		}
		out.next()
		out.raw(`{"id":`)
		out.dst = append(out.dst, b.id...)
		out.raw(`,"type":"function","function":{"name":`)
		out.dst = append(out.dst, b.name...)
		out.raw(`,"arguments":`)
		if b.input == nil {
			out.raw(`"{}"`)
		} else {
			out.dst = AppendString(out.dst, b.input)
		}
		out.raw("}}")
	}
	return append(out.dst, ']')
}

// anthropicMessage is what counts in an answer of Anthropic's, or in the
// beginning of a stream. All fields are JSON as it stands there.
type anthropicMessage struct{ id, model, content, stop, usage, fault []byte }

func (m *anthropicMessage) read(raw []byte) {
	for f := membersOf(raw); f.next(); {
		switch string(plainKey(f.key)) {
		case "id":
			m.id = f.val
		case "model":
			m.model = f.val
		case "content":
			m.content = f.val
		case "stop_reason":
			m.stop = f.val
		case "usage":
			m.usage = f.val
		case "error":
			m.fault = f.val
		}
	}
}
