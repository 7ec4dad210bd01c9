package driver

import "fmt"

// Request implements Converter. The body is built from nothing: a field that
// is not named here never reaches the provider.
func (chatToConverse) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := converseRequest{jsonOut: jsonOut{append(dst, '{')}, src: src}
	if name := unconvertedIn(src); name != "" {
		q.fail(name, "Bedrock's Converse has no such option")
	}
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
	st.chunks.usage = KindOf(lookup(q.get("stream_options"), "include_usage")) == True
	return append(q.dst, '}'), nil
}

// converseRequest builds one request of Converse.
type converseRequest struct {
	jsonOut
	src *Body
	err error // the first thing that cannot be converted

	message, part int             // where the walk over messages is; part -1: not in one
	role          string          // of the message that is open, "" if none is
	toolBlocks    bool            // there are calls of tools or results of them
	names         map[string]bool // of documents
}

func (q *converseRequest) fail(field, why string) {
	if q.err == nil {
		q.err = &fieldError{field, why}
	}
}

// failAt is fail for a member of the message, or part of one, at hand.
func (q *converseRequest) failAt(member, why string) {
	if q.part >= 0 {
		member = fmt.Sprintf(".content[%d]%s", q.part, member)
	}
	q.fail(fmt.Sprintf("messages[%d]%s", q.message, member), why)
}

// get is a top-level member of the client's body; null counts as absent.
func (q *converseRequest) get(key string) []byte { return notNull(rawOf(q.src, key)) }

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
	if limit := "max_completion_tokens"; q.get(limit) != nil {
		q.number("maxTokens", limit)
	} else {
		q.number("maxTokens", "max_tokens")
	}
	q.number("temperature", "temperature")
	q.number("topP", "top_p")
	q.stop()
	q.end(at)
}

// number copies a member that must be a number.
func (q *converseRequest) number(name, from string) {
	switch raw := q.get(from); KindOf(raw) {
	case None:
	case Number:
		q.member(name, raw)
	default:
		q.fail(from, "it must be a number")
	}
}

func (q *converseRequest) stop() {
	raw := q.get("stop")
	switch KindOf(raw) {
	case None:
	case String:
		q.key("stopSequences")
		q.dst = append(append(append(q.dst, '['), raw...), ']')
	case Array:
		n := 0
		for e := elementsOf(raw); e.next(); n++ {
			if KindOf(e.val) != String {
				q.fail("stop", "it must be a string or a list of strings")
			}
		}
		if n > 0 {
			q.member("stopSequences", raw)
		}
	default:
		q.fail("stop", "it must be a string or a list of strings")
	}
}

// output writes what is asked of the form of the answer, and of the effort.
func (q *converseRequest) output() {
	at := q.begin("outputConfig")
	q.textFormat()
	q.effort()
	q.end(at)
}

func (q *converseRequest) textFormat() {
	format := q.get("response_format")
	kind := lookup(format, "type")
	if format == nil || isText(kind, "text") {
		return
	}
	schema := lookup(format, "json_schema")
	text := lookup(schema, "schema")
	switch {
	case !isText(kind, "json_schema"):
		q.fail("response_format.type", "Bedrock's Converse knows text and json_schema only")
		return
	case KindOf(text) != Object:
		q.fail("response_format.json_schema.schema", "it must be an object")
		return
	}
	q.key("textFormat")
	q.raw(`{"type":"json_schema","structure":{"jsonSchema":{"schema":`)
	q.dst = AppendString(q.dst, text) // a document inside a string
	for _, name := range [...]string{"name", "description"} {
		if raw := lookup(schema, name); nonEmptyString(raw) {
			q.member(name, raw)
		}
	}
	q.raw("}}}")
}

// effort leaves none out: models do not reason unless they are told to, or
// always do.
func (q *converseRequest) effort() {
	raw := q.get("reasoning_effort")
	switch {
	case raw == nil || isText(raw, "none"):
	case isText(raw, "minimal"):
		q.text("effort", "low")
	case isText(raw, "low"), isText(raw, "medium"), isText(raw, "high"), isText(raw, "xhigh"), isText(raw, "max"):
		q.member("effort", raw)
	default:
		q.fail("reasoning_effort", "it must be none, minimal, low, medium, high, xhigh or max")
	}
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
	own := q.get("metadata")
	if own != nil && KindOf(own) != Object {
		q.fail("metadata", "it must be an object")
	}
	at, n := q.begin("requestMetadata"), 0
	for _, name := range [...]string{"user", "safety_identifier"} {
		if raw := q.get(name); nonEmptyString(raw) && isMetadata(raw[1:len(raw)-1]) && lookup(own, name) == nil {
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
