package driver

import (
	"fmt"
	"strconv"
)

// chatReader reads what a client of the chat protocol asks, for the converters
// that turn it into something else, and writes that. What the provider has no
// word for, or what nobody could read, is an error that names the field.
type chatReader struct {
	builder
	to   string // the provider's protocol, as errors call it
	at   int    // the message at hand
	part int    // the part of it at hand, -1 for none
	err  error  // the first one; what is written after it does not matter
}

// readChat begins to read src and looks for members that would be lost.
func readChat(dst []byte, src *Body, to string) chatReader {
	q := chatReader{builder: builder{jsonOut{append(dst, '{')}, src}, to: to, part: -1}
	for i := range src.fields {
		if f := &src.fields[i]; !f.gone() && KindOf(f.val) != Null {
			q.look(f.key, f.val)
		}
	}
	q.ofKind("model", "a string", String)
	q.ofKind("stream", "a boolean", True, False)
	return q
}

// fieldError says which member of a client's request cannot be converted, and why.
type fieldError struct{ field, why string }

func (e *fieldError) Error() string { return fmt.Sprintf("cannot convert %s: %s", e.field, e.why) }

// fail says what is wrong. field is where, for example stop or
// messages[2].content[0].
func (q *chatReader) fail(field, why string) {
	if q.err == nil {
		q.err = &fieldError{field, why}
	}
}

// failAt is fail for the message at hand, or the part of one, or something in it.
func (q *chatReader) failAt(member, why string) {
	if q.part >= 0 {
		member = fmt.Sprintf(".content[%d]%s", q.part, member)
	}
	q.fail(fmt.Sprintf("messages[%d]%s", q.at, member), why)
}

// look refuses a member that only OpenAI's own protocol has, or none. A value
// that asks for nothing is no reason to.
func (q *chatReader) look(key, raw []byte) {
	why := ""
	switch string(key) {
	case "model", "messages", "max_completion_tokens", "max_tokens", "temperature", "top_p", "stop", "stream", "stream_options", "user",
		"safety_identifier", "service_tier", "reasoning_effort", "response_format", "tools", "tool_choice", "parallel_tool_calls":
	case "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store", "verbosity":
		// They do not change what is answered.
	case "n":
		if !isNumber(raw, 1) {
			why = q.to + " gives one answer"
		}
	case "modalities":
		if e := elementsOf(raw); !e.next() || !isText(e.val, "text") || e.next() {
			why = q.to + " answers in text only"
		}
	case "functions":
		if !isEmptyList(raw) {
			why = deprecatedFunctions
		}
	case "function_call":
		why = deprecatedFunctions
	case "frequency_penalty", "presence_penalty", "top_logprobs":
		if !isNumber(raw, 0) {
			why = q.to + noCounterpart
		}
	case "logprobs":
		if KindOf(raw) != False {
			why = q.to + noCounterpart
		}
	case "logit_bias":
		if KindOf(raw) != Object || hasMembers(raw) {
			why = q.to + noCounterpart
		}
	case "audio", "moderation", "prediction", "seed", "web_search_options":
		why = q.to + noCounterpart
	default:
		q.fail(fmt.Sprintf("%.64q", key), "the field is not known")
	}
	if why != "" {
		q.fail(string(key), why)
	}
}

const (
	noCounterpart       = " has no counterpart"
	deprecatedFunctions = "it is deprecated, use tools and tool_choice"
)

// ofKind is get for a member that must be of one of the kinds, which what names.
func (q *chatReader) ofKind(key, what string, kinds ...Kind) []byte {
	raw := q.get(key)
	for _, k := range kinds {
		if raw == nil || KindOf(raw) == k {
			return raw
		}
	}
	q.fail(key, "it must be "+what)
	return nil
}

// amount is a top-level member that must be a number.
func (q *chatReader) amount(key string) []byte { return q.ofKind(key, "a number", Number) }

// limit is how many tokens the answer may have, nil if the client does not say;
// the newer of OpenAI's two names stands.
func (q *chatReader) limit() []byte {
	limit := q.amount("max_completion_tokens")
	if older := q.amount("max_tokens"); limit == nil {
		limit = older
	}
	return limit
}

// stop writes at what the answer is to stop, as a list of that name.
func (q *chatReader) stop(name string) {
	const what = "a string or an array of strings"
	raw := q.ofKind("stop", what, String, Array)
	if KindOf(raw) == String {
		q.key(name)
		q.dst = append(append(append(q.dst, '['), raw...), ']')
		return
	}
	some := false
	for e := elementsOf(raw); e.next(); some = true {
		if KindOf(e.val) != String {
			q.fail("stop", "it must be "+what)
		}
	}
	if some {
		q.member(name, raw)
	}
}

// effort is the word of reasoning_effort, "" for none.
func (q *chatReader) effort() string {
	raw := q.get("reasoning_effort")
	if raw == nil {
		return ""
	}
	for _, word := range [...]string{"none", "minimal", "low", "medium", "high", "xhigh", "max"} {
		if isText(raw, word) {
			return word
		}
	}
	q.fail("reasoning_effort", "it must be none, minimal, low, medium, high, xhigh or max")
	return ""
}

// schema is what the answer must fit: an object with a schema, and perhaps a
// name and a description; nil for nothing.
func (q *chatReader) schema() []byte {
	format := q.get("response_format")
	switch kind := lookup(format, "type"); {
	case format == nil, isText(kind, "text"):
	case isText(kind, "json_schema"):
		schema := lookup(format, "json_schema")
		if KindOf(lookup(schema, "schema")) == Object {
			return schema
		}
		q.fail("response_format.json_schema.schema", "it must be an object")
	case isText(kind, "json_object"):
		q.fail("response_format.type", q.to+" gives JSON for a json_schema only")
	default:
		q.fail("response_format.type", "it must be text or json_schema")
	}
	return nil
}

// wantsUsage tells whether a stream is to report usage.
func (q *chatReader) wantsUsage() bool {
	return KindOf(lookup(q.get("stream_options"), "include_usage")) == True
}

// isNumber tells whether raw is a number equal to n.
func isNumber(raw []byte, n float64) bool { return KindOf(raw) == Number && floatOf(raw) == n }

// floatOf reads a JSON number.
func floatOf(raw []byte) float64 {
	f, _ := strconv.ParseFloat(string(raw), 64) // out of range: infinite
	return f
}

func isEmptyList(raw []byte) bool { return KindOf(raw) == Array && firstOf(raw) == nil }
