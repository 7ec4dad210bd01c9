package driver

import "bytes"

// anthropicToChat lets Anthropic's clients reach providers of OpenAI's chat
// protocol (ai-proxy.md sections 4.1 to 4.3).
type anthropicToChat struct{}

func (anthropicToChat) Pair() (client, provider Proto) { return AnthropicMessages, OpenAIChat }

// stopReason translates a finish_reason, whose text it gets; called says that
// the answer has calls. OpenAI itself stops with "stop" behind a call that
// tool_choice has named, Gemini behind any call of a stream.
func stopReason(finish []byte, called bool) string {
	switch string(finish) {
	case "length":
		return "max_tokens"
	case "tool_calls", "function_call":
		return "tool_use"
	case "stop":
		if called {
			return "tool_use"
		}
	}
	return "end_turn"
}

// appendFaultBody appends Anthropic's error object for OpenAI's.
func appendFaultBody(dst []byte, f *fault) []byte {
	dst = append(dst, `{"type":"error","error":{"type":`...)
	switch {
	case nonEmptyString(f.kind):
		dst = append(dst, f.kind...)
	case nonEmptyString(f.code):
		dst = append(dst, f.code...)
	case KindOf(f.code) == Number: // OpenRouter's codes are statuses
		dst = append(append(append(dst, '"'), f.code...), '"')
	default:
		dst = append(dst, `"api_error"`...)
	}
	dst = append(dst, `,"message":`...)
	dst = appendStringOr(dst, f.message)
	return append(dst, "}}"...)
}

// appendStringOr appends the JSON string raw, "" for any other value.
func appendStringOr(dst, raw []byte) []byte {
	if KindOf(raw) != String {
		return append(dst, `""`...)
	}
	return append(dst, raw...)
}

// chatTally is a usage object of chat in the way Anthropic counts.
type chatTally struct {
	input, output, read, creation int64
	details                       bool // there are details of the prompt
	created                       bool // among them cache_creation_input_tokens
}

func chatTallyOf(raw []byte) (t chatTally) {
	var hit []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "prompt_tokens":
			t.input = integer(m.val)
		case "completion_tokens":
			t.output = integer(m.val)
		case "prompt_tokens_details":
			t.details, t.created, t.read, t.creation = KindOf(m.val) == Object, false, 0, 0
			for d := membersOf(m.val); d.next(); {
				switch string(plainKey(d.key)) {
				case "cached_tokens":
					t.read = integer(d.val)
				case "cache_creation_input_tokens":
					t.creation, t.created = integer(d.val), KindOf(d.val) == Number
				}
			}
		case "prompt_cache_hit_tokens": // DeepSeek
			hit = m.val
		}
	}
	if !t.details && KindOf(hit) == Number {
		t.details, t.read = true, integer(hit)
	}
	t.input = max(0, t.input-t.read)
	return t
}

// trimmed is the text of a JSON string without the space around it.
func trimmed(raw []byte) []byte {
	if KindOf(raw) != String {
		return nil
	}
	s, _ := unquoted(raw, nil)
	return bytes.TrimSpace(s)
}
