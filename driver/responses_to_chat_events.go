package driver

import "strconv"

// The events about one item of a response.

// say goes on with the open item, or begins one if it is of another kind.
func (s *responseStream) say(dst []byte, kind outputKind, part []byte) []byte {
	if !nonEmptyString(part) || s.stopped {
		return dst
	}
	if s.open < 0 || s.items[s.open].kind != kind {
		dst = s.begin(dst, kind)
		s.open = len(s.items) - 1
		dst = s.show(dst, s.open)
	}
	it := &s.items[s.open]
	at := len(it.text)
	it.text = append(it.text, part[1:len(part)-1]...)
	s.size += len(it.text) - at
	return s.grown(dst, s.open, at)
}

// call goes on with a call, or begins one. A call is shown when its name is
// known: the client wants it first.
func (s *responseStream) call(dst []byte, c chatCall, st *ConvState) []byte {
	if s.stopped {
		return dst
	}
	i, ok := s.calls.of(&c)
	if !ok {
		if !c.begins() {
			return dst
		}
		dst = s.begin(dst, callOutput)
		i = len(s.items) - 1
		s.calls.add(&c, i)
	}
	it := &s.items[i]
	before, at := it.size(), len(it.text)
	if it.learn(&c, st); !it.shown && len(it.name) > 0 {
		dst = s.show(dst, i)
	}
	it.text = appendArgumentsText(it.text, c.arguments)
	s.size += it.size() - before
	return s.grown(dst, i, at)
}

// begin makes another item the last one, closing the one that text went on in.
func (s *responseStream) begin(dst []byte, kind outputKind) []byte {
	dst = s.closeText(dst)
	if n := len(s.items); n > 0 && !s.items[n-1].shown {
		dst = s.show(dst, n-1) // items come in the order of their numbers
	}
	s.size += s.add(kind).size()
	return dst
}

func (s *responseStream) closeText(dst []byte) []byte {
	if s.open >= 0 {
		dst = s.close(dst, s.open, statusCompleted)
		s.open = -1
	}
	return dst
}

// grown appends the event about what item i has got behind at, if it is shown.
func (s *responseStream) grown(dst []byte, i, at int) []byte {
	it := &s.items[i]
	switch {
	case s.size > maxOutput:
		return s.fail(dst, &tooLong)
	case !it.shown || len(it.text) == at:
		return dst
	}
	return s.delta(dst, i, at)
}

var tooLong = fault{message: []byte(`"the answer is longer than the gateway can repeat at its end"`)}

// itemEvent begins an event about item i, which it names by id.
func (s *responseStream) itemEvent(dst []byte, name string, i int) []byte {
	dst = append(s.event(dst, name), `,"item_id":`...)
	dst = s.appendItemID(dst, s.items[i].kind, i)
	dst = strconv.AppendInt(append(dst, `,"output_index":`...), int64(i), 10)
	if s.items[i].kind != callOutput {
		dst = append(dst, `,"content_index":0`...)
	}
	return dst
}

// wholeItem appends an event that carries item i.
func (s *responseStream) wholeItem(dst []byte, name string, i int, status string) []byte {
	dst = strconv.AppendInt(append(s.event(dst, name), `,"output_index":`...), int64(i), 10)
	dst = s.appendItem(append(dst, `,"item":`...), &s.items[i], i, status)
	return append(dst, "}\n\n"...)
}

// show makes item i known to the client, with the text that waited for it.
func (s *responseStream) show(dst []byte, i int) []byte {
	s.items[i].shown = true
	dst = s.wholeItem(dst, "response.output_item.added", i, statusInProgress)
	if kind := s.items[i].kind; kind != callOutput {
		dst = append(s.itemEvent(dst, "response.content_part.added", i), `,"part":`...)
		dst = append(appendPart(dst, kind, nil), "}\n\n"...)
	}
	if len(s.items[i].text) > 0 {
		return s.delta(dst, i, 0)
	}
	return dst
}

// delta appends the event about the text of item i from at on.
func (s *responseStream) delta(dst []byte, i, at int) []byte {
	it := &s.items[i]
	dst = append(s.itemEvent(dst, outputForms[it.kind].delta, i), `,"delta":"`...)
	dst = append(dst, it.text[at:]...)
	if it.kind == textOutput {
		return append(dst, "\",\"logprobs\":[]}\n\n"...)
	}
	return append(dst, "\"}\n\n"...)
}

// close appends the events that end item i.
func (s *responseStream) close(dst []byte, i int, status string) []byte {
	it := &s.items[i]
	it.status = status
	form := &outputForms[it.kind]
	dst = append(s.itemEvent(dst, form.done, i), `,"`...)
	dst = append(append(append(dst, form.member...), `":"`...), it.text...)
	dst = append(dst, '"')
	switch it.kind {
	case textOutput:
		dst = append(dst, `,"logprobs":[]`...)
	case callOutput:
		dst = appendStringOr(append(dst, `,"name":`...), it.name)
	}
	dst = append(dst, "}\n\n"...)
	if it.kind != callOutput {
		dst = append(s.itemEvent(dst, "response.content_part.done", i), `,"part":`...)
		dst = append(appendPart(dst, it.kind, it.text), "}\n\n"...)
	}
	return s.wholeItem(dst, "response.output_item.done", i, status)
}
