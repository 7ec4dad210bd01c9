package driver

import "strconv"

// chatToAnthropic lets OpenAI's chat clients reach Anthropic's Messages API
// where an instance asks for it (provider_conf.api). APISIX has no such
// conversion; docs/providers.md says what becomes of each field.
type chatToAnthropic struct{}

func (chatToAnthropic) Pair() (client, provider Proto) { return OpenAIChat, AnthropicMessages }

// finishReason translates a stop_reason, whose text it gets.
func finishReason(stop []byte) string {
	switch string(stop) {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "refusal":
		return "content_filter"
	}
	return "stop" // end_turn, stop_sequence, pause_turn and what is to come
}

// appendChatFault appends OpenAI's error object for Anthropic's.
func appendChatFault(dst, raw []byte) []byte {
	f := readFault(raw)
	dst = append(dst, `{"error":{"message":`...)
	dst = appendStringOr(dst, f.message)
	dst = append(dst, `,"type":`...)
	if nonEmptyString(f.kind) {
		dst = append(dst, f.kind...)
	} else {
		dst = append(dst, `"api_error"`...)
	}
	return append(dst, `,"param":null,"code":null}}`...)
}

// appendChatUsage appends OpenAI's usage object for u, which counts as
// Anthropic does: there the prompt is without what the cache has taken or given.
func appendChatUsage(dst []byte, u *Usage) []byte {
	prompt := u.Prompt + u.CacheRead + u.CacheCreation
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Completion, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), prompt+u.Completion, 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
	if u.CacheCreation > 0 {
		dst = strconv.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), u.CacheCreation, 10)
	}
	dst = append(dst, '}')
	if u.Reasoning > 0 {
		dst = strconv.AppendInt(append(dst, `,"completion_tokens_details":{"reasoning_tokens":`...), u.Reasoning, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendIdentity appends the members that an answer and each chunk of a stream
// begin with; id and model are the provider's.
func appendIdentity(dst, id []byte, object string, model []byte, st *ConvState) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendShort(dst, id)
	dst = append(append(append(dst, `,"object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, st.Start.Unix(), 10)
	dst = append(dst, `,"model":`...)
	if n := len(st.Model); n > 0 && n <= longestName {
		return AppendString(dst, st.Model)
	}
	return appendShort(dst, model)
}

// appendShort appends the JSON string raw, "" for any other value and for more
// than a name could be: every chunk of a stream repeats it.
func appendShort(dst, raw []byte) []byte {
	if len(raw) > longestName {
		raw = nil
	}
	return appendStringOr(dst, raw)
}
