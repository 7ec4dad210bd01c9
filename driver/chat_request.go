package driver

import (
	"bytes"
	"fmt"
	"strconv"
)

// Readers of what a client of the chat protocol asks, for the converters that
// turn it into something else. All fields are JSON as it stands in the request,
// nil for what is not there or null.

// chatMessage is an element of messages.
type chatMessage struct {
	role, content  []byte
	refusal, audio []byte // of an assistant
	calls, call    []byte // tool_calls and the older function_call
	callID         []byte // of a tool's result
}

func readMessage(raw []byte) (m chatMessage) {
	for f := membersOf(raw); f.next(); {
		switch string(plainKey(f.key)) {
		case "role":
			m.role = notNull(f.val)
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

// partKind says what a part of a message's content is.
type partKind uint8

const (
	otherPart partKind = iota // of another type, or without what its type is about
	textPart
	imagePart
	filePart
)

// chatPart is an element of content. Which fields are set depends on its kind.
type chatPart struct {
	kind     partKind
	text     []byte // a string
	url      []byte // of an image: a string
	data     []byte // of a file: a string, or nil
	filename []byte // of a file: a string, or nil
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
	case isText(kind, "text") && KindOf(text) == String:
		p.kind, p.text = textPart, text
	case isText(kind, "refusal") && KindOf(refusal) == String:
		p.kind, p.text = textPart, refusal
	case isText(kind, "image_url"):
		if KindOf(image) == Object {
			image = lookup(image, "url")
		}
		if KindOf(image) == String {
			p.kind, p.url = imagePart, image
		}
	case isText(kind, "file") && KindOf(file) == Object:
		p.kind = filePart
		for m := membersOf(file); m.next(); {
			switch string(plainKey(m.key)) {
			case "file_data":
				p.data = stringOrNil(m.val)
			case "filename":
				p.filename = stringOrNil(m.val)
			}
		}
	}
	return p
}

// stringOrNil is raw if it is a string with content.
func stringOrNil(raw []byte) []byte {
	if nonEmptyString(raw) {
		return raw
	}
	return nil
}

// dataURL takes the data URL in the JSON string raw apart: its media type
// without parameters, and its data in base64 as it stands in the string.
func dataURL(raw []byte) (mediaType, data []byte, ok bool) {
	head, data, _ := bytes.Cut(raw[1:len(raw)-1], []byte(","))
	if bytes.IndexByte(head, '\\') >= 0 {
		head = appendUnescaped(nil, head)
	}
	const scheme, encoding = "data:", ";base64"
	n := len(head) - len(encoding)
	if len(data) == 0 || n < len(scheme) || !bytes.EqualFold(head[:len(scheme)], []byte(scheme)) ||
		!bytes.EqualFold(head[n:], []byte(encoding)) {
		return nil, nil, false
	}
	mediaType, _, _ = bytes.Cut(head[len(scheme):n], []byte(";"))
	return mediaType, data, true
}

// chatTool is an element of tools.
type chatTool struct{ kind, name, description, parameters, strict []byte }

func readChatTool(raw []byte) (t chatTool) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			t.kind = notNull(m.val)
		case "function":
			for f := membersOf(m.val); f.next(); {
				switch string(plainKey(f.key)) {
				case "name":
					t.name = notNull(f.val)
				case "description":
					t.description = notNull(f.val)
				case "parameters":
					t.parameters = notNull(f.val)
				case "strict":
					t.strict = notNull(f.val)
				}
			}
		}
	}
	return t
}

// toolChoice is what tool_choice demands.
type toolChoice uint8

const (
	toolsAuto toolChoice = iota // as there was none
	toolsNone
	toolsRequired
	toolNamed
	toolsOther // a choice that is not known
)

// readToolChoice reads tool_choice; name is a JSON string, of the tool that is
// demanded.
func readToolChoice(raw []byte) (c toolChoice, name []byte) {
	switch {
	case raw == nil || isText(raw, "auto"):
		return toolsAuto, nil
	case isText(raw, "none"):
		return toolsNone, nil
	case isText(raw, "required"):
		return toolsRequired, nil
	}
	name = lookup(lookup(raw, "function"), "name")
	if isText(lookup(raw, "type"), "function") && nonEmptyString(name) {
		return toolNamed, name
	}
	return toolsOther, nil
}

// unconverted are members of a request that only OpenAI's own protocol has a
// word for; a value that asks for nothing is no reason to refuse it.
var unconverted = [...]struct {
	name string
	asks func(raw []byte) bool
}{
	{"n", func(raw []byte) bool { return !isNumber(raw, 1) }},
	{"logprobs", isNotFalse},
	{"top_logprobs", isNotZero},
	{"logit_bias", isNotEmpty},
	{"presence_penalty", isNotZero},
	{"frequency_penalty", isNotZero},
	{"seed", always},
	{"modalities", isNotTextOnly},
	{"audio", always},
	{"prediction", always},
	{"functions", isNotEmpty},
	{"function_call", always},
	{"web_search_options", always},
}

// unconvertedIn returns the first of them that src asks for, "" if there is none.
func unconvertedIn(src *Body) string {
	for i := range unconverted {
		u := &unconverted[i]
		if raw := notNull(rawOf(src, u.name)); raw != nil && u.asks(raw) {
			return u.name
		}
	}
	return ""
}

func always([]byte) bool { return true }

func isNotFalse(raw []byte) bool { return KindOf(raw) != False }

func isNotZero(raw []byte) bool { return !isNumber(raw, 0) }

// isNotEmpty tells whether raw is anything but an object or array without content.
func isNotEmpty(raw []byte) bool {
	if k := KindOf(raw); k != Object && k != Array {
		return true
	}
	return skipSpace(raw, 1) != len(raw)-1
}

func isNotTextOnly(raw []byte) bool {
	n := 0
	for e := elementsOf(raw); e.next(); n++ {
		if !isText(e.val, "text") {
			return true
		}
	}
	return n == 0
}

func isNumber(raw []byte, want float64) bool {
	if KindOf(raw) != Number {
		return false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return err == nil && f == want
}

// fieldError says which member of a client's request cannot be converted, and why.
type fieldError struct{ field, why string }

func (e *fieldError) Error() string { return fmt.Sprintf("cannot convert %s: %s", e.field, e.why) }
