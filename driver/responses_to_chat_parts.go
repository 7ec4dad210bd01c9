package driver

import "fmt"

// inputPart is a part of a message; all fields but kind are JSON as it stands
// in the request.
type inputPart struct {
	kind         partKind
	typ          []byte
	text         []byte // a string
	url, detail  []byte // of an image; detail may be nil
	data, nameOf []byte // of a file; nameOf may be nil
}

func readInputPart(raw []byte) (p inputPart) {
	var refusal []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			p.typ = m.val
		case "text":
			p.text = m.val
		case "refusal":
			refusal = m.val
		case "image_url":
			p.url = m.val
		case "detail":
			p.detail = notNull(m.val)
		case "file_data":
			p.data = m.val
		case "filename":
			p.nameOf = notNull(m.val)
		}
	}
	switch {
	case isText(p.typ, "refusal"):
		p.kind, p.text = textPart, refusal
	case isText(p.typ, "input_text"), isText(p.typ, "output_text"), isText(p.typ, "reasoning_text"):
		p.kind = textPart
	case isText(p.typ, "input_image"):
		if p.kind = imagePart; KindOf(p.url) != String {
			p.kind = storedPart
		}
	case isText(p.typ, "input_file"):
		if p.kind = filePart; KindOf(p.data) != String {
			p.kind = storedPart
		}
	}
	if p.kind == textPart && KindOf(p.text) != String {
		p.kind = otherPart
	}
	return p
}

// place is where parts stand in the request, for errors.
type place struct {
	item   int
	member string
}

func (p place) String() string { return fmt.Sprintf("input[%d].%s", p.item, p.member) }

// surveyParts counts the texts and the media of a content and refuses what
// cannot be converted.
func surveyParts(content []byte, at place) (texts, media int, err error) {
	i := 0
	for e := elementsOf(content); e.next(); i++ {
		p := readInputPart(e.val)
		switch p.kind {
		case textPart:
			texts++
			continue
		case imagePart, filePart:
			media++
			continue
		}
		what := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case p.kind == storedPart:
			return 0, 0, unsupported(what + ": a file that is not in the request")
		case KindOf(p.typ) != String:
			return 0, 0, invalid(what)
		case isText(p.typ, "input_text") || isText(p.typ, "output_text") || isText(p.typ, "refusal"):
			return 0, 0, invalid(what + ".text")
		}
		return 0, 0, unsupportedType(what+": part type", p.typ)
	}
	return texts, media, nil
}

// content writes the member of that name for a string, for a list of parts or
// for nothing. Text alone becomes one string where join says so, or where it is
// one part: not every provider takes lists.
func (q *responsesRequest) content(raw []byte, at place, join bool) error {
	texts, media, err := surveyParts(raw, at)
	if err != nil {
		return err
	}
	q.key("content")
	if media == 0 && (join || texts < 2) {
		q.raw(`"`)
		q.innerText(raw)
		q.raw(`"`)
		return nil
	}
	q.raw("[")
	for e := elementsOf(raw); e.next(); {
		q.next()
		p := readInputPart(e.val)
		q.part(&p)
	}
	q.raw("]")
	return nil
}

// innerText writes the text of a string or of parts without quotes.
func (q *responsesRequest) innerText(raw []byte) {
	if KindOf(raw) == String {
		q.dst = append(q.dst, raw[1:len(raw)-1]...)
		return
	}
	for e := elementsOf(raw); e.next(); {
		if p := readInputPart(e.val); p.kind == textPart {
			q.dst = append(q.dst, p.text[1:len(p.text)-1]...)
		}
	}
}

func (q *responsesRequest) part(p *inputPart) {
	switch p.kind {
	case textPart:
		q.raw(`{"type":"text"`)
		q.member("text", p.text)
	case imagePart:
		q.raw(`{"type":"image_url","image_url":{"url":`)
		q.dst = append(q.dst, p.url...)
		switch {
		case isText(p.detail, "original"): // is not known to a chat
			q.text("detail", "high")
		case p.detail != nil:
			q.member("detail", p.detail)
		}
		q.raw("}")
	case filePart:
		q.raw(`{"type":"file","file":{"file_data":`)
		q.dst = append(q.dst, p.data...)
		if p.nameOf != nil {
			q.member("filename", p.nameOf)
		}
		q.raw("}")
	}
	q.raw("}")
}
