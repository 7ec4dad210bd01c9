package driver

import "strconv"

// Writers of what a client of the chat protocol gets, for the converters that
// make it out of something else.

// chatReply is a whole answer. Its fields are JSON as it stands in the
// provider's, nil for what is not there.
type chatReply struct {
	id, model []byte
	content   []byte // list of blocks
	read      func(raw []byte) block
	stop      []byte
	usage     Usage // unless it was seen, there is none
}

// appendTo appends the answer. Of the blocks count texts, thoughts and calls.
func (r *chatReply) appendTo(dst []byte, st *ConvState) []byte {
	var said, thought, called bool
	for e := elementsOf(r.content); e.next(); {
		switch b := r.read(e.val); b.kind {
		case textBlock:
			said = said || nonEmptyString(b.text) || b.cited != nil
		case thinkingBlock:
			thought = thought || nonEmptyString(b.text)
		case callBlock:
			called = true
		}
	}
	dst = appendReplyHead(dst, "chat.completion", r.id, r.model, st)
	dst = append(dst, `{"index":0,"message":{"role":"assistant","content":`...)
	if called && !said {
		dst = append(dst, "null"...)
	} else {
		dst = r.appendJoined(dst, textBlock)
	}
	dst = append(dst, `,"refusal":null`...)
	if thought {
		dst = r.appendJoined(append(dst, `,"reasoning_content":`...), thinkingBlock)
	}
	if called {
		dst = r.appendCalls(append(dst, `,"tool_calls":[`...))
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":"`...)
	dst = append(append(dst, finishReason(trimmed(r.stop))...), `"}]`...)
	if r.usage.Seen {
		dst = appendChatUsage(append(dst, `,"usage":`...), &r.usage)
	}
	return append(dst, '}')
}

// appendJoined appends the text of all blocks of a kind as one string.
func (r *chatReply) appendJoined(dst []byte, kind blockKind) []byte {
	dst = append(dst, '"')
	for e := elementsOf(r.content); e.next(); {
		b := r.read(e.val)
		if b.kind != kind {
			continue
		}
		dst = appendInner(dst, b.text)
		for c := elementsOf(b.cited); c.next(); {
			dst = appendInner(dst, lookup(c.val, "text"))
		}
	}
	return append(dst, '"')
}

// appendInner appends what stands between the quotes of the JSON string raw.
func appendInner(dst, raw []byte) []byte {
	if KindOf(raw) != String {
		return dst
	}
	return append(dst, raw[1:len(raw)-1]...)
}

func (r *chatReply) appendCalls(dst []byte) []byte {
	o := jsonOut{dst}
	for e := elementsOf(r.content); e.next(); {
		b := r.read(e.val)
		if b.kind != callBlock {
			continue
		}
		o.next()
		o.dst = appendCallHead(append(o.dst, '{'), b.id, b.name)
		if KindOf(b.input) == Object {
			o.dst = AppendString(o.dst, b.input)
		} else {
			o.raw(`"{}"`)
		}
		o.raw("}}")
	}
	return append(o.dst, ']')
}

// appendReplyHead appends the members that an answer and each chunk of a stream
// begin with, up to the choices. id and model are the provider's, JSON strings
// or nil.
func appendReplyHead(dst []byte, object string, id, model []byte, st *ConvState) []byte {
	dst = append(dst, `{"id":`...)
	if nonEmptyString(id) && len(id) <= longestName {
		dst = append(dst, id...)
	} else {
		dst = append(append(append(dst, `"chatcmpl-`...), st.ID...), '"')
	}
	dst = append(append(dst, `,"object":"`...), object...)
	dst = strconv.AppendInt(append(dst, `","created":`...), st.Start.Unix(), 10)
	dst = append(dst, `,"model":`...)
	switch n := len(st.Model); {
	case n > 0 && n <= longestName:
		dst = AppendString(dst, st.Model)
	case len(model) <= longestName: // every chunk of a stream repeats it
		dst = appendStringOr(dst, model)
	default:
		dst = append(dst, `""`...)
	}
	return append(dst, `,"choices":[`...)
}

// appendCallHead appends the members of a call of a tool up to its arguments.
func appendCallHead(dst, id, name []byte) []byte {
	dst = appendStringOr(append(dst, `"id":`...), id)
	dst = appendStringOr(append(dst, `,"type":"function","function":{"name":`...), name)
	return append(dst, `,"arguments":`...)
}

// finishReason translates a stop reason of Anthropic's or Bedrock's, whose text
// it gets.
func finishReason(stop []byte) string {
	switch string(stop) {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "refusal", "guardrail_intervened", "content_filtered":
		return "content_filter"
	}
	return "stop" // end_turn, stop_sequence, pause_turn and what is to come
}

// appendChatUsage appends OpenAI's usage object for u, which counts as
// Anthropic and Bedrock do: there the prompt is without what the cache has
// taken or given.
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

// appendChatError appends OpenAI's error object. message is a JSON string or
// nil; kind needs no escapes; code is a text, empty for null.
func appendChatError(dst, message []byte, kind string, code []byte) []byte {
	dst = appendStringOr(append(dst, `{"error":{"message":`...), message)
	dst = append(append(dst, `,"type":"`...), kind...)
	dst = append(dst, `","param":null,"code":`...)
	if len(code) == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = AppendString(dst, code)
	}
	return append(dst, "}}"...)
}

// appendChat appends OpenAI's error object for an error that has another form.
func (f *fault) appendChat(dst []byte, status int) []byte {
	code := trimmed(f.code)
	if KindOf(f.code) == Number { // a status, or a number of Google's
		code = f.code
	}
	return appendChatError(dst, f.message, f.chatType(status), code)
}

// chatType is the type of OpenAI's error object for f.
func (f *fault) chatType(status int) string {
	if nonEmptyString(f.kind) {
		return string(f.kind[1 : len(f.kind)-1])
	}
	return chatErrorType(status)
}

// chatErrorType is the type of OpenAI's error object for a status.
func chatErrorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 429:
		return "rate_limit_error"
	case status >= 500 || status == 408 || status == 424: // the model failed, says Bedrock
		return "server_error"
	}
	return "invalid_request_error"
}
