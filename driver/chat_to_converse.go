package driver

import (
	"bytes"
	"errors"
)

// chatToConverse lets OpenAI's chat clients reach Bedrock's Converse and
// ConverseStream. APISIX has no such conversion; docs/providers.md tells what
// has a counterpart and what is lost.
type chatToConverse struct{}

func (chatToConverse) Pair() (client, provider Proto) { return OpenAIChat, BedrockConverse }

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
	r := chatReply{content: lookup(message, "content"), read: readConverseBlock, stop: stop, usage: converseUsage(usage)}
	return r.appendTo(dst, st), true, nil
}

// readConverseBlock reads a block of an answer.
func readConverseBlock(raw []byte) (b block) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "text":
			b.kind, b.text = textBlock, m.val
		case "reasoningContent":
			b.kind, b.text = thinkingBlock, lookup(lookup(m.val, "reasoningText"), "text")
		case "citationsContent":
			b.kind, b.cited = textBlock, lookup(m.val, "content")
		case "toolUse":
			b.readToolUse(m.val)
		}
	}
	return b
}

// readToolUse makes b a call if raw is one that the client has to answer.
func (b *block) readToolUse(raw []byte) {
	if KindOf(raw) != Object {
		return
	}
	b.kind = callBlock
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "toolUseId":
			b.id = m.val
		case "name":
			b.name = m.val
		case "input":
			b.input = m.val
		case "type":
			if isText(m.val, "server_tool_use") {
				b.kind = noBlock
				return
			}
		}
	}
}

// converseUsage is bedrockUsage with the tokens that came from a cache or went
// into one, which inputTokens are without.
func converseUsage(raw []byte) (u Usage) {
	if KindOf(raw) != Object {
		return u
	}
	u = bedrockUsage(raw)
	u.CacheRead, u.CacheCreation = integer(lookup(raw, "cacheReadInputTokens")), integer(lookup(raw, "cacheWriteInputTokens"))
	return u
}

// messageOf is the text of an error of AWS, a JSON string; nil if there is none.
func messageOf(raw []byte) (message []byte) {
	for m := membersOf(raw); m.next(); {
		if k := plainKey(m.key); (string(k) == "message" || string(k) == "Message") && KindOf(m.val) == String {
			message = m.val
		}
	}
	return message
}

// classOf is the name of an error class without the namespace before it and the
// address behind.
func classOf(class []byte) []byte {
	class, _, _ = bytes.Cut(class, []byte(":"))
	return class[bytes.LastIndexByte(class, '#')+1:]
}
