package driver

import (
	"bytes"
	"fmt"
)

// partKinds says of which kinds the parts of a content may be.
type partKinds uint8

const (
	textParts      partKinds = iota
	userParts                // media too
	assistantParts           // refusals too
)

const notContent = "it must be a string or an array"

// content writes the blocks that a content becomes, a string or an array of parts.
func (q *messagesRequest) content(raw []byte, may partKinds) {
	switch KindOf(raw) {
	case None:
	case String:
		q.textBlock(raw)
	case Array:
		for i, e := 0, elementsOf(raw); e.next() && q.err == nil; i++ {
			if where, why := q.part(e.val, may); why != "" {
				q.failAt(fmt.Sprintf(".content[%d]%s", i, where), why)
			}
		}
	default:
		q.failAt(".content", notContent)
	}
}

// textBlock writes the JSON string raw; Anthropic's API takes no empty text.
func (q *messagesRequest) textBlock(raw []byte) {
	if nonEmptyString(raw) {
		q.next()
		q.raw(`{"type":"text","text":`)
		q.dst = append(append(q.dst, raw...), '}')
	}
}

// chatPart is a part of a content; its fields are JSON as it stands there.
type chatPart struct{ kind, text, refusal, image, file []byte }

func readPart(raw []byte) (p chatPart) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			p.kind = m.val
		case "text":
			p.text = m.val
		case "refusal":
			p.refusal = m.val
		case "image_url":
			p.image = m.val
		case "file":
			p.file = m.val
		}
	}
	return p
}

// part writes a part of a content. where and why say what is wrong with it.
func (q *messagesRequest) part(raw []byte, may partKinds) (where, why string) {
	switch p := readPart(raw); {
	case isText(p.kind, "text"):
		return ".text", q.plain(p.text)
	case isText(p.kind, "refusal") && may == assistantParts:
		return ".refusal", q.plain(p.refusal)
	case isText(p.kind, "image_url") && may == userParts:
		return ".image_url.url", q.image(lookup(p.image, "url"))
	case isText(p.kind, "file") && may == userParts:
		return ".file", q.file(p.file)
	case isText(p.kind, "input_audio"):
		return "", "Anthropic's API takes no audio"
	}
	return ".type", "it is not supported here"
}

func (q *messagesRequest) plain(raw []byte) (why string) {
	if KindOf(raw) != String {
		return "it must be a string"
	}
	q.textBlock(raw)
	return ""
}

func (q *messagesRequest) image(raw []byte) (why string) {
	const want = "it must be an http or https URL, or a data URL in base64 with its media type"
	if KindOf(raw) != String {
		return want
	}
	url, _ := unquoted(raw, nil)
	media, data, ok := cutDataURL(url)
	switch {
	case ok:
		q.next()
		q.raw(`{"type":"image","source":{"type":"base64","media_type":`)
		q.dst = AppendString(q.dst, media)
		q.key("data")
		q.dst = append(AppendString(q.dst, data), "}}"...)
	case hasScheme(url, "https:"), hasScheme(url, "http:"):
		q.next()
		q.raw(`{"type":"image","source":{"type":"url","url":`)
		q.dst = append(append(q.dst, raw...), "}}"...)
	default:
		return want
	}
	return ""
}

// file writes a PDF that the client has sent along.
func (q *messagesRequest) file(raw []byte) (why string) {
	const want = "it must have file_data, a data URL in base64 of type application/pdf"
	data, name := lookup(raw, "file_data"), lookup(raw, "filename")
	if KindOf(data) != String {
		return want
	}
	url, _ := unquoted(data, nil)
	media, content, ok := cutDataURL(url)
	if !ok || !equalLower(media, []byte("application/pdf")) {
		return want
	}
	q.next()
	q.raw(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":`)
	q.dst = append(AppendString(q.dst, content), '}')
	if nonEmptyString(name) {
		q.member("title", name)
	}
	q.raw("}")
	return ""
}

// cutDataURL reads a data URL in base64: data:image/png;base64,AAAA.
func cutDataURL(url []byte) (media, data []byte, ok bool) {
	if !hasScheme(url, "data:") {
		return nil, nil, false
	}
	head, data, ok := bytes.Cut(url[len("data:"):], []byte(","))
	params, found := bytes.CutSuffix(head, []byte(";base64"))
	media, _, _ = bytes.Cut(params, []byte(";"))
	return media, data, ok && found && len(media) > 0
}

// hasScheme tells whether url begins with a scheme and its colon.
func hasScheme(url []byte, scheme string) bool {
	return len(url) > len(scheme) && equalLower(url[:len(scheme)], []byte(scheme))
}
