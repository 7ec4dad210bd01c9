package driver

import "bytes"

// chatToConverse lets OpenAI's chat clients reach Bedrock's Converse and
// ConverseStream. APISIX has no such conversion; docs/providers.md tells what
// has a counterpart and what is lost.
type chatToConverse struct{}

func (chatToConverse) Pair() (client, provider Proto) { return OpenAIChat, BedrockConverse }

// finishReason translates a stopReason, a JSON string.
func finishReason(stop []byte) string {
	if KindOf(stop) != String {
		return "stop"
	}
	switch string(stop[1 : len(stop)-1]) {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "guardrail_intervened", "content_filtered":
		return "content_filter"
	}
	return "stop"
}

// converseReport is a usage object of Converse in the way OpenAI counts:
// inputTokens are those that came from no cache and went into none.
func converseReport(raw []byte) (u chatReport) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "inputTokens":
			u.prompt += integer(m.val)
		case "outputTokens":
			u.completion = integer(m.val)
		case "cacheReadInputTokens":
			u.read = integer(m.val)
		case "cacheWriteInputTokens":
			u.creation = integer(m.val)
		}
	}
	u.prompt += u.read + u.creation
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

// exceptionStatus is the status of an exception by its name, which begins with
// a small letter in streams and with a capital elsewhere.
func exceptionStatus(name []byte) int {
	for _, e := range [...]struct {
		name   string
		status int
	}{
		{"validationException", 400}, {"accessDeniedException", 403}, {"resourceNotFoundException", 404},
		{"throttlingException", 429}, {"serviceQuotaExceededException", 400}, {"modelNotReadyException", 429},
	} {
		if bytes.EqualFold(name, []byte(e.name)) {
			return e.status
		}
	}
	return 500
}
