package driver

// Request implements Converter. The body is built from nothing: a field that
// is not named here never reaches the provider.
func (chatToConverse) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := converseRequest{chatReader: readChat(dst, src, "Bedrock's Converse")}
	q.messages()
	q.system()
	q.inference()
	q.tools()
	q.output()
	q.serviceTier()
	q.metadata()
	if q.err != nil {
		return dst, q.err
	}
	st.chunks.usage = q.wantsUsage()
	return append(q.dst, '}'), nil
}

// converseRequest builds one request of Converse.
type converseRequest struct {
	chatReader
	open       openList
	toolBlocks bool            // there are calls of tools or results of them
	names      map[string]bool // of documents
}

// begin begins an object as a member; end, which gets what begin returned,
// takes it back if nothing was written into it.
func (q *converseRequest) begin(name string) (before int) {
	before = len(q.dst)
	q.key(name)
	q.dst = append(q.dst, '{')
	return before
}

func (q *converseRequest) end(before int) {
	if q.dst[len(q.dst)-1] == '{' {
		q.dst = q.dst[:before]
		return
	}
	q.dst = append(q.dst, '}')
}

func (q *converseRequest) inference() {
	at := q.begin("inferenceConfig")
	if limit := q.limit(); limit != nil {
		q.member("maxTokens", limit)
	}
	if raw := q.amount("temperature"); raw != nil {
		q.member("temperature", raw)
	}
	if raw := q.amount("top_p"); raw != nil {
		q.member("topP", raw)
	}
	q.stop("stopSequences")
	q.end(at)
}

// output writes what is asked of the form of the answer, and of the effort.
// Models do not reason unless they are told to, or always do: none is left out.
func (q *converseRequest) output() {
	at := q.begin("outputConfig")
	if format := q.schema(); format != nil {
		q.key("textFormat")
		q.raw(`{"type":"json_schema","structure":{"jsonSchema":{"schema":`)
		q.dst = AppendString(q.dst, lookup(format, "schema")) // a document inside a string
		for _, name := range [...]string{"name", "description"} {
			if raw := lookup(format, name); nonEmptyString(raw) {
				q.member(name, raw)
			}
		}
		q.raw("}}}")
	}
	switch effort := q.effort(); effort {
	case "", "none":
	case "minimal":
		q.text("effort", "low")
	default:
		q.text("effort", effort)
	}
	q.end(at)
}

func (q *converseRequest) serviceTier() {
	raw := q.get("service_tier")
	switch {
	case raw == nil || isText(raw, "auto"):
	case isText(raw, "default"), isText(raw, "flex"), isText(raw, "priority"):
		at := q.begin("serviceTier")
		q.member("type", raw)
		q.end(at)
	default:
		q.fail("service_tier", "Bedrock knows default, flex and priority only")
	}
}

// maxMetadata is how many pairs requestMetadata may have.
const maxMetadata = 16

// metadata writes what shows up in Bedrock's own log of invocations. Pairs
// whose text Bedrock does not take are left out.
func (q *converseRequest) metadata() {
	own := q.ofKind("metadata", "an object", Object)
	at, n := q.begin("requestMetadata"), 0
	for _, name := range [...]string{"user", "safety_identifier"} {
		if raw := q.ofKind(name, "a string", String); nonEmptyString(raw) && isMetadata(raw[1:len(raw)-1]) && lookup(own, name) == nil {
			q.member(name, raw)
			n++
		}
	}
	for m := membersOf(own); m.next() && n < maxMetadata; {
		if len(m.key) > 0 && isMetadata(m.key) && KindOf(m.val) == String && isMetadata(m.val[1:len(m.val)-1]) {
			q.member(string(m.key), m.val)
			n++
		}
	}
	q.end(at)
}

// isMetadata tells whether the content of a string, as it stands in the
// request, may be a key or value of requestMetadata.
func isMetadata(s []byte) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == ' ', c == '.', c == '_', c == ':', c == '/', c == '=', c == '+', c == '$', c == '@', c == '-':
		default:
			return false
		}
	}
	return len(s) <= 256
}

// tools writes toolConfig. Converse has no choice "none": without tools in the
// conversation it is the same to offer none, otherwise Bedrock insists on them.
func (q *converseRequest) tools() {
	c := q.choice()
	before := len(q.dst)
	q.key("toolConfig")
	q.raw(`{"tools":[`)
	empty := len(q.dst)
	for t := q.offered(); q.nextTool(&t, &c); {
		q.tool(&t.chatTool)
	}
	parallel := q.parallel()
	switch some := len(q.dst) > empty; {
	case !some:
		q.noTool(&c)
	case c.kind == choiceNone && q.toolBlocks:
		q.fail("tool_choice", "Bedrock has no choice none for a conversation with tool calls")
	case !parallel:
		q.fail("parallel_tool_calls", q.to+noCounterpart)
	}
	if len(q.dst) == empty || c.kind == choiceNone {
		q.dst = q.dst[:before]
		return
	}
	q.raw("]")
	switch c.kind {
	case choiceAuto:
		q.raw(`,"toolChoice":{"auto":{}}`)
	case choiceRequired:
		q.raw(`,"toolChoice":{"any":{}}`)
	case choiceNamed:
		q.raw(`,"toolChoice":{"tool":{"name":`)
		q.dst = append(q.dst, c.name...)
		q.raw("}}")
	}
	q.raw("}")
}

func (q *converseRequest) tool(t *chatTool) {
	q.next()
	q.raw(`{"toolSpec":{"name":`)
	q.dst = append(q.dst, t.name...)
	if nonEmptyString(t.description) {
		q.member("description", t.description)
	}
	q.raw(`,"inputSchema":{"json":`)
	q.dst = append(append(q.dst, t.schema()...), '}')
	if KindOf(t.strict) == True {
		q.member("strict", t.strict)
	}
	q.raw("}}")
}
