package driver

import (
	"fmt"
	"strconv"
)

// Request implements Converter. The body is built from nothing, and a field
// that would be lost makes the request an error.
func (chatToAnthropic) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := messagesRequest{builder: builder{jsonOut{append(dst, '{')}, src}, model: st.Model}
	q.lost()
	if raw := q.ofKind("model", "a string", String); raw != nil {
		q.member("model", raw)
	}
	if len(q.model) == 0 {
		q.model = RequestModel(src)
	}
	c := q.choice()
	q.output(c.forces())
	q.system()
	q.messages()
	q.tools(&c)
	q.sampling()
	q.stop()
	q.user()
	q.tier()
	if raw := q.ofKind("stream", "a boolean", True, False); raw != nil {
		q.member("stream", raw)
	}
	if q.err != nil {
		return dst, q.err
	}
	st.toChunks.counts = KindOf(lookup(q.get("stream_options"), "include_usage")) == True
	return append(q.dst, '}'), nil
}

// messagesRequest builds one request of the Messages API.
type messagesRequest struct {
	builder
	model []byte // the text of its name
	at    int    // index of the message that is being converted
	err   error  // the first one; what is written after it does not matter
}

// fail says what Anthropic's API has no word for, or that no provider could
// read. field is where, for example stop or messages[2].content[0].
func (q *messagesRequest) fail(field, why string) {
	if q.err == nil {
		q.err = fmt.Errorf("cannot convert %s: %s", field, why)
	}
}

// ofKind is get for a member that must be of one of the kinds, which what names.
func (q *messagesRequest) ofKind(key, what string, kinds ...Kind) []byte {
	raw := q.get(key)
	for _, k := range kinds {
		if raw == nil || KindOf(raw) == k {
			return raw
		}
	}
	q.fail(key, "it must be "+what)
	return nil
}

// lost looks for what Anthropic's API does not have. Values that change
// nothing are no reason to refuse.
func (q *messagesRequest) lost() {
	for i := range q.src.fields {
		f := &q.src.fields[i]
		if f.gone() || KindOf(f.val) == Null {
			continue
		}
		switch why := lostField(string(f.key), f.val); why {
		case "":
		case unknownField:
			q.fail(fmt.Sprintf("%.64q", f.key), why)
		default:
			q.fail(string(f.key), why)
		}
	}
}

const unknownField = "the field is not known"

func lostField(key string, raw []byte) (why string) {
	switch key {
	case "model", "messages", "max_completion_tokens", "max_tokens", "temperature", "top_p", "stop", "stream", "stream_options", "user",
		"safety_identifier", "service_tier", "reasoning_effort", "response_format", "tools", "tool_choice", "parallel_tool_calls":
		return ""
	case "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "verbosity":
		return "" // left out: they do not change what is answered
	case "n":
		if isNumber(raw, 1) {
			return ""
		}
		return "Anthropic's API gives one answer"
	case "frequency_penalty", "presence_penalty", "seed", "top_logprobs":
		if isNumber(raw, 0) {
			return ""
		}
	case "logprobs", "store":
		if KindOf(raw) == False {
			return ""
		}
	case "logit_bias":
		if KindOf(raw) == Object && !hasMembers(raw) {
			return ""
		}
	case "modalities":
		if e := elementsOf(raw); e.next() && isText(e.val, "text") && !e.next() {
			return ""
		}
		return "Anthropic's API answers in text only"
	case "functions", "function_call":
		return "it is deprecated, use tools and tool_choice"
	case "audio", "moderation", "prediction", "web_search_options":
	default:
		return unknownField
	}
	return "Anthropic's API has no counterpart"
}

// isNumber tells whether raw is a number equal to n.
func isNumber(raw []byte, n float64) bool { return KindOf(raw) == Number && floatOf(raw) == n }

// floatOf reads a JSON number.
func floatOf(raw []byte) float64 {
	f, _ := strconv.ParseFloat(string(raw), 64) // out of range: infinite
	return f
}

// sampling writes what steers the choice of tokens. 1 is Anthropic's default
// for both and its end of the scale; newer models take neither.
func (q *messagesRequest) sampling() {
	for _, key := range [...]string{"temperature", "top_p"} {
		if raw := q.ofKind(key, "a number", Number); raw != nil && floatOf(raw) < 1 {
			q.member(key, raw)
		}
	}
}

func (q *messagesRequest) stop() {
	raw := q.ofKind("stop", "a string or an array of strings", String, Array)
	if KindOf(raw) == String {
		q.key("stop_sequences")
		q.dst = append(append(append(q.dst, '['), raw...), ']')
		return
	}
	some := false
	for e := elementsOf(raw); e.next(); some = true {
		if KindOf(e.val) != String {
			q.fail("stop", "it must be a string or an array of strings")
		}
	}
	if some {
		q.member("stop_sequences", raw)
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
