package driver

// Request implements Converter. The body is built from nothing, and a field
// that would be lost makes the request an error.
func (chatToAnthropic) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := messagesRequest{chatReader: readChat(dst, src, "Anthropic's API"), model: st.Model}
	q.copy("model", "model")
	if len(q.model) == 0 {
		q.model = RequestModel(src)
	}
	c := q.choice()
	q.output(c.forces())
	q.system()
	q.messages()
	q.tools(&c)
	q.sampling()
	q.stop("stop_sequences")
	q.user()
	q.tier()
	q.copy("stream", "stream")
	if q.err != nil {
		return dst, q.err
	}
	st.chunks.usage = q.wantsUsage()
	return append(q.dst, '}'), nil
}

// messagesRequest builds one request of the Messages API.
type messagesRequest struct {
	chatReader
	model []byte // the text of its name
}

// sampling writes what steers the choice of tokens. 1 is Anthropic's default
// for both and its end of the scale; newer models take neither.
func (q *messagesRequest) sampling() {
	for _, key := range [...]string{"temperature", "top_p"} {
		if raw := q.amount(key); raw != nil && floatOf(raw) < 1 {
			q.member(key, raw)
		}
	}
}

// user writes who is asking; the newer of OpenAI's two names stands.
func (q *messagesRequest) user() {
	user := q.ofKind("user", "a string", String)
	if raw := q.ofKind("safety_identifier", "a string", String); raw != nil {
		user = raw
	}
	if user != nil {
		q.key("metadata")
		q.dst = append(append(append(q.dst, `{"user_id":`...), user...), '}')
	}
}

func (q *messagesRequest) tier() {
	switch raw := q.get("service_tier"); {
	case raw == nil:
	case isText(raw, "auto"):
		q.text("service_tier", "auto")
	case isText(raw, "default"):
		q.text("service_tier", "standard_only")
	default:
		q.fail("service_tier", "Anthropic's API has auto and default only")
	}
}

// tools writes the tools that may be called, and the choice among them.
func (q *messagesRequest) tools(c *toolChoice) {
	before := len(q.dst)
	q.key("tools")
	q.raw("[")
	empty := len(q.dst)
	for t := q.offered(); q.nextTool(&t, c); {
		q.next()
		q.raw(`{"name":`)
		q.dst = append(q.dst, t.name...)
		if t.description != nil {
			q.member("description", t.description)
		}
		q.member("input_schema", t.schema())
		if KindOf(t.strict) == True {
			q.member("strict", t.strict)
		}
		q.raw("}")
	}
	parallel := q.parallel()
	if len(q.dst) == empty {
		q.dst = q.dst[:before]
		q.noTool(c)
		return
	}
	q.raw("]")
	q.toolChoice(c, !parallel && c.kind != choiceNone)
}

// toolChoice writes the choice; single says that one call at a time is wanted.
func (q *messagesRequest) toolChoice(c *toolChoice, single bool) {
	kind := c.kind
	if single && kind == choiceUnsaid {
		kind = choiceAuto
	}
	if kind == choiceUnsaid {
		return
	}
	q.key("tool_choice")
	q.raw("{")
	q.text("type", [...]string{choiceAuto: "auto", choiceNone: "none", choiceRequired: "any", choiceNamed: "tool"}[kind])
	if c.name != nil {
		q.member("name", c.name)
	}
	if single {
		q.key("disable_parallel_tool_use")
		q.raw("true")
	}
	q.raw("}")
}
