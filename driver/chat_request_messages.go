package driver

import (
	"bytes"
	"fmt"
)

// chatRole is who speaks in a message.
type chatRole uint8

const (
	noRole     chatRole = iota // none that is known
	systemRole                 // developer too
	userRole
	assistantRole
	toolRole
	functionRole // what tool was once
)

// chatMessage is an element of messages. All fields but role are JSON as it
// stands in the request, nil for what is not there or null.
type chatMessage struct {
	role           chatRole
	content        []byte
	refusal, audio []byte // of an assistant
	calls, call    []byte // tool_calls and the older function_call
	callID         []byte // of a tool's result
}

func readMessage(raw []byte) (m chatMessage) {
	for f := membersOf(raw); f.next(); {
		switch string(plainKey(f.key)) {
		case "role":
			m.role = roleOf(f.val)
		case "content":
			m.content = notNull(f.val)
		case "refusal":
			m.refusal = notNull(f.val)
		case "audio":
			m.audio = notNull(f.val)
		case "tool_calls":
			m.calls = notNull(f.val)
		case "function_call":
			m.call = notNull(f.val)
		case "tool_call_id":
			m.callID = notNull(f.val)
		}
	}
	return m
}

func roleOf(raw []byte) chatRole {
	switch {
	case isText(raw, "user"):
		return userRole
	case isText(raw, "assistant"):
		return assistantRole
	case isText(raw, "tool"):
		return toolRole
	case isText(raw, "system"), isText(raw, "developer"):
		return systemRole
	case isText(raw, "function"):
		return functionRole
	}
	return noRole
}

// message reads the message at hand and checks what does not depend on the
// provider.
func (q *chatReader) message(raw []byte) chatMessage {
	m := readMessage(raw)
	switch m.role {
	case noRole:
		q.failAt(".role", "it must be system, developer, user, assistant or tool")
	case functionRole:
		q.failAt(".role", "function is deprecated, use tool")
	case toolRole:
		if !nonEmptyString(m.callID) {
			q.failAt(".tool_call_id", "it must be a string")
		}
	case assistantRole:
		switch {
		case m.call != nil:
			q.failAt(".function_call", "it is deprecated, use tool_calls")
		case m.audio != nil:
			q.failAt(".audio", q.to+" takes no audio")
		case m.calls != nil && KindOf(m.calls) != Array:
			q.failAt(".tool_calls", "it must be an array")
		case m.refusal != nil && KindOf(m.refusal) != String:
			q.failAt(".refusal", "it must be a string")
		}
	}
	switch k := KindOf(m.content); {
	case k == String, k == Array, k == None && m.role >= assistantRole:
	default:
		q.failAt(".content", "it must be a string or an array")
	}
	return m
}

// errNothingSaid is for a conversation that nothing comes of.
const errNothingSaid = "a conversation needs a message with content"

// chatCall reads and checks the call with the index i of the message at hand.
func (q *chatReader) chatCall(raw []byte, i int) chatCall {
	kind, c := notNull(lookup(raw, "type")), readCall(raw)
	what, why := "", "it must be a string"
	switch {
	case kind != nil && !isText(kind, "function"):
		what, why = ".type", onlyFunctions
	case !nonEmptyString(c.id):
		what = ".id"
	case !nonEmptyString(c.name):
		what = ".function.name"
	}
	if what != "" {
		q.failAt(fmt.Sprintf(".tool_calls[%d]%s", i, what), why)
	}
	return c
}

// input writes the arguments of the call with the index i: the object that a
// string holds, none for an empty one. Some clients send the object itself.
func (q *chatReader) input(c *chatCall, i int) {
	raw := notNull(c.arguments)
	start := len(q.dst)
	if KindOf(raw) == String {
		q.dst = appendUnescaped(q.dst, raw[1:len(raw)-1])
	} else {
		q.dst = append(q.dst, raw...)
	}
	text := q.dst[start:]
	if skipSpace(text, 0) == len(text) {
		q.dst = append(q.dst[:start], "{}"...)
		return
	}
	doc := document(text)
	if KindOf(doc) != Object {
		q.failAt(fmt.Sprintf(".tool_calls[%d].function.arguments", i), "it must be a string with a JSON object")
		return
	}
	q.dst = q.dst[:start+copy(text, doc)]
}

// partKind says what a part of a message is.
type partKind uint8

const (
	otherPart partKind = iota
	textPart
	refusalPart
	imagePart
	filePart
	audioPart
	storedPart // refers to a file that only OpenAI or another server has
)

// chatPart is an element of content. Which fields are set depends on its kind;
// all but kind and media are JSON as it stands in the request.
type chatPart struct {
	kind  partKind
	text  []byte // a string, nil for a broken part
	url   []byte // of an image or file: a string, nil for a broken part
	media []byte // its type, if the URL holds the data
	data  []byte // in base64, without quotes
	name  []byte // of a file: a string with content or nil
}

func readPart(raw []byte) (p chatPart) {
	var kind, text, refusal, image, file []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = m.val
		case "text":
			text = m.val
		case "refusal":
			refusal = m.val
		case "image_url":
			image = m.val
		case "file":
			file = m.val
		}
	}
	switch {
	case isText(kind, "text"):
		p.kind, p.text = textPart, stringOrNil(text)
	case isText(kind, "refusal"):
		p.kind, p.text = refusalPart, stringOrNil(refusal)
	case isText(kind, "image_url"):
		if p.kind = imagePart; KindOf(image) == Object {
			image = lookup(image, "url")
		}
		p.url = stringOrNil(image)
	case isText(kind, "file"):
		p.kind, p.url = filePart, stringOrNil(lookup(file, "file_data"))
		if name := lookup(file, "filename"); nonEmptyString(name) {
			p.name = name
		}
	case isText(kind, "input_audio"):
		p.kind = audioPart
	}
	if p.url != nil {
		p.media, p.data = dataURL(p.url)
	}
	return p
}

func stringOrNil(raw []byte) []byte {
	if KindOf(raw) == String {
		return raw
	}
	return nil
}

// nextPart reads the next part of a message of role and checks that it may be
// there.
func (q *chatReader) nextPart(e *elements, role chatRole) (p chatPart, ok bool) {
	if q.err == nil && e.next() {
		q.part++
		p = readPart(e.val)
		q.checkPart(&p, role)
	}
	if ok = q.err == nil && p.kind != otherPart; !ok {
		q.part = -1
	}
	return p, ok
}

func (q *chatReader) checkPart(p *chatPart, role chatRole) {
	switch {
	case p.kind == textPart:
		if p.text == nil {
			q.failAt(".text", "it must be a string")
		}
	case p.kind == refusalPart && role == assistantRole:
		if p.text == nil {
			q.failAt(".refusal", "it must be a string")
		}
	case p.kind == audioPart:
		q.failAt("", q.to+" takes no audio")
	case role != userRole && role != toolRole:
		q.failAt("", "only text is possible here")
	case p.kind == filePart:
		if p.data == nil {
			q.failAt(".file.file_data", "it must be a data URL in base64 with its media type")
		}
	case p.kind != imagePart:
		q.failAt("", q.to+" takes parts of the types text, image_url and file")
	}
}

// dataURL takes the data URL in the JSON string raw apart: its media type
// without parameters, and its data in base64 as it stands in the string. Of
// any other there is no data.
func dataURL(raw []byte) (media, data []byte) {
	head, data, _ := bytes.Cut(raw[1:len(raw)-1], []byte(","))
	if bytes.IndexByte(head, '\\') >= 0 {
		head = appendUnescaped(nil, head)
	}
	const scheme, encoding = "data:", ";base64"
	n := len(head) - len(encoding)
	if len(data) == 0 || n <= len(scheme) || !hasScheme(head, scheme) || !bytes.EqualFold(head[n:], []byte(encoding)) {
		return nil, nil
	}
	if media, _, _ = bytes.Cut(head[len(scheme):n], []byte(";")); len(media) == 0 {
		return nil, nil
	}
	return media, data
}

// hasScheme tells whether url begins with a scheme and its colon.
func hasScheme(url []byte, scheme string) bool {
	return len(url) > len(scheme) && bytes.EqualFold(url[:len(scheme)], []byte(scheme))
}

// isBlankText tells whether raw is a string of nothing but white space. Neither
// Anthropic's API nor Bedrock takes such a text.
func isBlankText(raw []byte) bool {
	if KindOf(raw) != String {
		return false
	}
	for s := raw[1 : len(raw)-1]; len(s) > 0; s = s[1:] {
		switch {
		case s[0] == '\\' && (s[1] == 'n' || s[1] == 'r' || s[1] == 't'):
			s = s[1:]
		case s[0] != ' ':
			return false
		}
	}
	return true
}
