package driver

// turn writes the message of a run of items that come from the assistant: e
// stands on the first, which has the index i. It returns where the run ends;
// more says that e then stands on another item.
//
// A provider wants text and calls in one message, with the results right behind
// it. Some (DeepSeek) also want back what the model thought before a call.
func (q *responsesRequest) turn(e elements, i int) (after elements, next int, more bool, err error) {
	var counts [inputResult + 1]int
	after, next, more = e, i, true
	for more {
		it, err := readInputItem(after.val, next)
		if err != nil {
			return e, i, false, err
		}
		if !it.kind.spoken() {
			break
		}
		switch it.kind {
		case inputAnswer:
			_, media, err := surveyParts(it.content, place{next, "content"})
			if err == nil && media > 0 {
				err = unsupported(place{next, "content"}.String() + ": media of the assistant")
			}
			if err != nil {
				return e, i, false, err
			}
			counts[inputAnswer]++
		case inputReasoning:
			if hasThoughts(it.content) {
				counts[inputReasoning]++
			}
		default:
			counts[it.kind]++
		}
		next++
		more = after.next()
	}
	if counts[inputAnswer]+counts[inputCall] == 0 {
		return after, next, more, nil
	}
	q.open("assistant")
	if counts[inputAnswer] > 0 {
		q.key("content")
		q.joined(e, next-i, inputAnswer)
	}
	if counts[inputReasoning] > 0 {
		q.key("reasoning_content")
		q.joined(e, next-i, inputReasoning)
	}
	if counts[inputCall] > 0 {
		q.key("tool_calls")
		q.calls(e, next-i)
	}
	q.raw("}")
	return after, next, more, nil
}

// joined writes the text of all items of a kind among the n from e on, as one
// string with an empty line between items.
func (q *responsesRequest) joined(e elements, n int, kind inputKind) {
	q.raw(`"`)
	start := len(q.dst)
	for ; n > 0; n-- {
		if it, _ := readInputItem(e.val, 0); it.kind == kind {
			gap := len(q.dst)
			if gap > start {
				q.raw(`\n\n`)
			}
			from := len(q.dst)
			if q.innerText(it.content); len(q.dst) == from {
				q.dst = q.dst[:gap]
			}
		}
		e.next()
	}
	q.raw(`"`)
}

func (q *responsesRequest) calls(e elements, n int) {
	q.raw("[")
	for ; n > 0; n-- {
		if it, _ := readInputItem(e.val, 0); it.kind == inputCall {
			q.next()
			q.raw(`{"id":`)
			q.dst = append(q.dst, it.callID...)
			q.raw(`,"type":"function","function":{"name":`)
			q.dst = q.names.append(q.dst, it.name)
			q.raw(`,"arguments":`)
			if it.args != nil {
				q.dst = append(q.dst, it.args...)
			} else {
				q.raw(`"{}"`)
			}
			q.raw("}}")
		}
		e.next()
	}
	q.raw("]")
}

// hasThoughts tells whether the content of a reasoning item is legible. That of
// OpenAI's own models is encrypted, or a summary that no provider wants back.
func hasThoughts(content []byte) bool {
	for e := elementsOf(content); e.next(); {
		if p := readInputPart(e.val); p.kind == textPart {
			return true
		}
	}
	return false
}
