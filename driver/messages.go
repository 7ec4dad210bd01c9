package driver

import (
	"math"
	"unicode/utf8"
)

// LastUserText appends what the user said last: the text of the last message
// with the role user that has any, its parts joined by one space (ai-proxy.md
// section 6.5 step 2). Without such a message it returns dst and false. It
// takes any bytes and allocates nothing but dst.
func LastUserText(dst []byte, p Proto, b *Body) ([]byte, bool) {
	return LastUserTextMax(dst, p, b, math.MaxInt)
}

// LastUserTextMax is LastUserText for callers that need no more than the first
// limit bytes; the cut does not go through a character.
func LastUserTextMax(dst []byte, p Proto, b *Body, limit int) ([]byte, bool) {
	content := lastUserContent(p, b)
	switch {
	case nonEmptyString(content):
		dst, _ = appendText(dst, content, len(dst), limit)
		return dst, true
	case KindOf(content) != Array:
		return dst, false
	}
	start := len(dst)
	for e, whole := elementsOf(content), true; whole && e.next(); {
		raw := partText(e.val)
		if raw == nil {
			continue
		}
		if n := len(dst) - start; n > 0 {
			if n+1 >= limit {
				break
			}
			dst = append(dst, ' ')
		}
		dst, whole = appendText(dst, raw, start, limit)
	}
	return dst, true
}

// lastUserContent finds the content that LastUserText reads: a string that is
// not empty, an array that holds text, or nil.
func lastUserContent(p Proto, b *Body) (content []byte) {
	var list []byte
	switch p {
	case OpenAIChat, AnthropicMessages, BedrockConverse:
		list = rawOf(b, "messages")
	case OpenAIResponses, OpenAIEmbeddings:
		list = rawOf(b, "input")
		if KindOf(list) == String {
			return list
		}
		if p == OpenAIEmbeddings {
			return nil
		}
	}
	for e := elementsOf(list); e.next(); {
		var role, said []byte
		for m := membersOf(e.val); m.next(); {
			switch {
			case keyIs(m.key, "role"):
				role = m.val
			case keyIs(m.key, "content"):
				said = m.val
			}
		}
		if isText(role, "user") && hasText(said) {
			content = said
		}
	}
	return content
}

func hasText(content []byte) bool {
	if KindOf(content) != Array {
		return nonEmptyString(content)
	}
	for e := elementsOf(content); e.next(); {
		if partText(e.val) != nil {
			return true
		}
	}
	return false
}

// partText returns the string of a part that is text and not empty, else nil.
// The parts of Bedrock have no type, those of Responses one of their own.
func partText(part []byte) []byte {
	var kind, text []byte
	for m := membersOf(part); m.next(); {
		switch {
		case keyIs(m.key, "type"):
			kind = m.val
		case keyIs(m.key, "text"):
			text = m.val
		}
	}
	if !nonEmptyString(text) || kind != nil && !isText(kind, "text") && !isText(kind, "input_text") {
		return nil
	}
	return text
}

// isText compares the JSON string raw with a text; other values are not equal.
func isText(raw []byte, text string) bool {
	return nonEmptyString(raw) && keyIs(raw[1:len(raw)-1], text)
}

// appendText appends the text of the JSON string raw, as far as no more than
// limit bytes then follow dst[start].
func appendText(dst, raw []byte, start, limit int) (grown []byte, whole bool) {
	s := raw[1 : len(raw)-1]
	room := max(limit-(len(dst)-start), 0)
	if len(s) <= room { // unescaping never makes it longer
		return appendUnescaped(dst, s), true
	}
	// One escape writes at most three bytes, six bytes of raw at least one.
	if most := 6 * room; len(s) > most+12 {
		s = wholeEscapes(s[:most+12])
	}
	from, end := len(dst), len(dst)+room
	if dst = appendUnescaped(dst, s); len(dst) <= end {
		return dst, true
	}
	for cut := end; cut >= from && cut > end-utf8.UTFMax; cut-- {
		if utf8.RuneStart(dst[cut]) {
			return dst[:cut], false
		}
	}
	return dst[:end], false // not UTF-8
}
