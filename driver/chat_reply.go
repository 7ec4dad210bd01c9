package driver

import "strconv"

// Writers of what a client of the chat protocol gets, for the converters that
// make it out of something else.

// appendReplyHead appends the first members of an answer, or of a chunk of it.
func appendReplyHead(dst []byte, object string, st *ConvState) []byte {
	dst = append(append(dst, `{"id":"chatcmpl-`...), st.ID...)
	dst = append(append(dst, `","object":"`...), object...)
	dst = strconv.AppendInt(append(dst, `","created":`...), st.Start.Unix(), 10)
	dst = AppendString(append(dst, `,"model":`...), st.Model)
	return append(dst, `,"choices":[`...)
}

// chatChunks is how far a stream of chunks has come. Chunks are written with
// open, what the delta holds, and shut.
type chatChunks struct {
	usage   bool // the client wants a report of usage
	stopped bool // finish_reason is out
	ended   bool // nothing may follow

	head  []byte // what all chunks begin with
	tools int    // calls so far
	calls callBlocks
	bare  bool // the latest call has no arguments yet
}

func (c *chatChunks) reset() {
	calls := c.calls
	calls.reset()
	*c = chatChunks{head: keep(c.head, 1), calls: calls}
}

// begin appends a chunk up to its choices.
func (c *chatChunks) begin(dst []byte, st *ConvState) []byte {
	if len(c.head) == 0 {
		c.head = appendReplyHead(append(c.head, "data: "...), "chat.completion.chunk", st)
	}
	return append(dst, c.head...)
}

// open begins a chunk with a delta.
func (c *chatChunks) open(dst []byte, st *ConvState) []byte {
	return append(c.begin(dst, st), `{"index":0,"delta":{`...)
}

// shut ends a chunk with a delta. finish is the text of finish_reason, "" for null.
func (c *chatChunks) shut(dst []byte, finish string) []byte {
	if finish == "" {
		dst = append(dst, `},"logprobs":null,"finish_reason":null}]`...)
	} else {
		dst = append(append(append(dst, `},"logprobs":null,"finish_reason":"`...), finish...), `"}]`...)
	}
	if c.usage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// finish appends the chunk with the finish_reason.
func (c *chatChunks) finish(dst []byte, reason string, st *ConvState) []byte {
	c.stopped = true
	return c.shut(c.open(dst, st), reason)
}

// done ends the stream, with a report of usage if the client wants one and u is
// not nil.
func (c *chatChunks) done(dst []byte, u *chatReport, st *ConvState) []byte {
	c.ended = true
	if c.usage && u != nil {
		dst = append(c.begin(dst, st), `],"usage":`...)
		dst = append(u.appendTo(dst), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// chatReport is a report of usage as OpenAI counts: what was read from a cache
// or written to it is part of the prompt.
type chatReport struct{ prompt, completion, read, creation int64 }

func (u *chatReport) appendTo(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), u.prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.completion, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), u.prompt+u.completion, 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.read, 10)
	if u.creation > 0 {
		dst = strconv.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), u.creation, 10)
	}
	return append(dst, "}}"...)
}

// appendChatError appends OpenAI's error object. message is a JSON string, nil
// for none; code is a text, empty for null.
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
