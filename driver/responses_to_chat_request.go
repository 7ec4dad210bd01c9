package driver

import "fmt"

// Request implements Converter. The body is built from nothing: a member that
// is neither converted nor known to be left out is an error.
func (responsesToChat) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := responsesRequest{chatOut{builder{jsonOut{append(dst, '{')}, src}, &st.names}}
	if err := q.convert(); err != nil {
		return dst, err
	}
	st.toResponse.asked = src
	return append(q.dst, '}'), nil
}

// responsesRequest builds one chat request.
type responsesRequest struct{ chatOut }

func (q *responsesRequest) convert() error {
	if err := q.check(); err != nil {
		return err
	}
	q.copy("model", "model")
	if err := q.messages(); err != nil {
		return err
	}
	if err := q.scalars(); err != nil {
		return err
	}
	if err := q.tools(); err != nil {
		return err
	}
	return q.format()
}

// check refuses what cannot be converted.
func (q *responsesRequest) check() error {
	for i := range q.src.fields {
		f := &q.src.fields[i]
		if f.gone() || KindOf(f.val) == Null {
			continue
		}
		if err := checkMember(f.key, f.val); err != nil {
			return err
		}
	}
	return nil
}

func checkMember(key, raw []byte) error {
	switch string(key) {
	case "model", "input", "instructions", "stream", "max_output_tokens", "temperature", "top_p", "tools", "tool_choice",
		"parallel_tool_calls", "text", "reasoning", "user", "safety_identifier", "service_tier":
		return nil // converted
	case "metadata", "store", "stream_options", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "client_metadata":
		return nil // changes nothing in the answer
	case "background":
		if KindOf(raw) == False {
			return nil
		}
	case "top_logprobs":
		if KindOf(raw) == Number && integer(raw) == 0 {
			return nil
		}
	case "truncation":
		if isText(raw, "disabled") || isText(raw, "auto") {
			return nil
		}
		return invalid("truncation")
	case "include":
		return checkInclude(raw)
	case "previous_response_id", "conversation", "prompt":
		return fmt.Errorf("%w: nothing is stored, send the whole conversation in input", unsupported(string(key)))
	case "max_tool_calls", "context_management", "moderation":
	default:
		return unsupported(fmt.Sprintf("the member %.64q", key))
	}
	return unsupported(string(key))
}

// checkInclude lets pass what stateless clients always ask for.
func checkInclude(raw []byte) error {
	if KindOf(raw) != Array {
		return invalid("include")
	}
	for e := elementsOf(raw); e.next(); {
		if !isText(e.val, "reasoning.encrypted_content") {
			return unsupportedType("include", e.val)
		}
	}
	return nil
}

// scalars writes what a chat completion has too, often under another name.
func (q *responsesRequest) scalars() error {
	if raw := q.get("stream"); raw != nil {
		q.member("stream", raw)
		if KindOf(raw) == True {
			q.member("stream_options", includeUsage)
		}
	}
	q.copy("max_completion_tokens", "max_output_tokens")
	q.copy("temperature", "temperature")
	q.copy("top_p", "top_p")
	q.copy("user", "user")
	q.copy("safety_identifier", "safety_identifier")
	q.copy("service_tier", "service_tier")
	reasoning := q.get("reasoning")
	if reasoning != nil && KindOf(reasoning) != Object {
		return invalid("reasoning")
	}
	if effort := notNull(lookup(reasoning, "effort")); effort != nil {
		q.member("reasoning_effort", effort)
	}
	return nil
}

// format writes in which form the answer is to be, and how wordy.
func (q *responsesRequest) format() error {
	text := q.get("text")
	if text != nil && KindOf(text) != Object {
		return invalid("text")
	}
	if raw := notNull(lookup(text, "verbosity")); raw != nil {
		q.member("verbosity", raw)
	}
	format := notNull(lookup(text, "format"))
	switch kind := lookup(format, "type"); {
	case format == nil || isText(kind, "text"):
	case isText(kind, "json_object"):
		q.key("response_format")
		q.raw(`{"type":"json_object"}`)
	case isText(kind, "json_schema"):
		q.key("response_format")
		q.raw(`{"type":"json_schema","json_schema":{`)
		for m := membersOf(format); m.next(); {
			switch key := string(plainKey(m.key)); key {
			case "name", "description", "schema", "strict":
				if KindOf(m.val) != Null {
					q.member(key, m.val)
				}
			}
		}
		q.raw("}}")
	default:
		return unsupportedType("text.format", kind)
	}
	return nil
}
