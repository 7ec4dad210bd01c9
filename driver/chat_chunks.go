package driver

import "strconv"

// chatChunks is how far a stream of chunks has come, for the converters that
// write one. The zero value is at its beginning.
type chatChunks struct {
	usage    bool // the client wants a report of usage
	started  bool // the first chunk is out
	finished bool // the finish_reason is out
	ended    bool // nothing may follow

	head   []byte // what all chunks begin with, up to their choices
	report Usage

	calls   int        // so far
	bare    bool       // the latest has no arguments yet
	calling bool       // Anthropic's open block is a call
	blocks  callBlocks // Bedrock's blocks that are calls
}

func (c *chatChunks) reset() {
	blocks := c.blocks
	blocks.reset()
	*c = chatChunks{head: keep(c.head, 1), blocks: blocks}
}

// begin appends the first chunk. id and model are the provider's, JSON strings
// or nil.
func (c *chatChunks) begin(dst, id, model []byte, st *ConvState) []byte {
	c.started = true
	c.head = appendReplyHead(append(c.head[:0], "data: "...), "chat.completion.chunk", id, model, st)
	return c.shut(append(c.open(dst, st), `"role":"assistant","content":""`...), "")
}

// open begins a chunk with a delta; shut ends it.
func (c *chatChunks) open(dst []byte, st *ConvState) []byte {
	if !c.started {
		dst = c.begin(dst, nil, nil, st)
	}
	return append(append(dst, c.head...), `{"index":0,"delta":{`...)
}

// shut ends a chunk. finish is the text of its finish_reason, "" for null.
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

// say appends a chunk with the JSON string text, unless that is empty.
func (c *chatChunks) say(dst []byte, member string, text []byte, st *ConvState) []byte {
	if !nonEmptyString(text) {
		return dst
	}
	dst = append(append(append(c.open(dst, st), '"'), member...), `":`...)
	return c.shut(append(dst, text...), "")
}

// call appends the chunk that names the next call; id and name are JSON strings.
func (c *chatChunks) call(dst, id, name []byte, st *ConvState) []byte {
	dst = strconv.AppendInt(append(c.open(dst, st), `"tool_calls":[{"index":`...), int64(c.calls), 10)
	dst = appendCallHead(append(dst, ','), id, name)
	c.calls++
	c.bare = true
	return c.shut(append(dst, `""}}]`...), "")
}

// argument appends a chunk with a part of a call's arguments, a JSON string.
func (c *chatChunks) argument(dst []byte, call int, part []byte, st *ConvState) []byte {
	if !nonEmptyString(part) {
		return dst
	}
	c.bare = c.bare && call != c.calls-1
	dst = strconv.AppendInt(append(c.open(dst, st), `"tool_calls":[{"index":`...), int64(call), 10)
	dst = append(append(dst, `,"function":{"arguments":`...), part...)
	return c.shut(append(dst, "}}]"...), "")
}

// noArguments are those of a call that has none: clients parse them.
var noArguments = []byte(`"{}"`)

// endCall ends the latest call.
func (c *chatChunks) endCall(dst []byte, st *ConvState) []byte {
	if !c.bare {
		return dst
	}
	return c.argument(dst, c.calls-1, noArguments, st)
}

// finish appends the chunk with the finish_reason for a stop reason, whose text
// it gets.
func (c *chatChunks) finish(dst, stop []byte, st *ConvState) []byte {
	c.finished = true
	return c.shut(c.open(dst, st), finishReason(stop))
}

// done ends a stream that is finished, with a report of usage if the client
// wants one and the provider has given it.
func (c *chatChunks) done(dst []byte) []byte {
	c.ended = true
	if c.usage && c.report.Seen {
		dst = append(append(dst, c.head...), `],"usage":`...)
		dst = append(appendChatUsage(dst, &c.report), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// fail ends a stream with an error, see appendChatError.
func (c *chatChunks) fail(dst, message []byte, kind string, code []byte) []byte {
	c.ended = true
	dst = appendChatError(append(dst, "data: "...), message, kind, code)
	return append(dst, "\n\n"...)
}

// end appends what is owed at the end of a body: an answer is complete without
// its report of usage, but not without its finish_reason.
func (c *chatChunks) end(dst []byte, clean bool) []byte {
	if !clean || !c.finished || c.ended {
		return dst
	}
	return c.done(dst)
}
