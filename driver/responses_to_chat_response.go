package driver

import (
	"bytes"
	"strconv"
)

// AppendResponse implements Converter. A refusal (400 and up) has one shape in
// both protocols and is passed on, made one where the provider's is another. An
// error behind a status of success becomes a failed response.
func (responsesToChat) AppendResponse(dst, body []byte, status int, st *ConvState) ([]byte, bool, error) {
	d, c, f, kind := answerOf(body, status)
	s := &st.toResponse
	switch {
	case kind == strangeAnswer:
		return dst, false, nil
	case status >= 400:
		if kind != failedAnswer || KindOf(d.fault) == Object && KindOf(document(body)) == Object {
			return dst, false, nil
		}
		return f.appendChat(dst, status), true, nil
	case kind == failedAnswer:
		s.identify(&d, st)
		s.status = statusFailed
		dst = s.openResponse(dst, &f)
		return s.closeResponse(dst), true, nil
	case kind == emptyAnswer:
		return dst, false, errNoChoices
	}
	s.identify(&d, st)
	s.take(readSaid(c.message), st)
	s.status, s.reason = responseStatus(trimmed(c.finish))
	for i := range s.items {
		s.items[i].status = s.endOf(i)
	}
	dst = s.appendOutput(s.openResponse(dst, nil))
	return s.closeResponse(dst), true, nil
}

// take makes items of a whole answer; there is always one.
func (s *responseStream) take(said chatSaid, st *ConvState) {
	for kind, raw := range [...][]byte{reasoningOutput: said.reasoning, textOutput: said.text, refusalOutput: said.refusal} {
		if nonEmptyString(raw) {
			it := s.add(outputKind(kind))
			it.text = append(it.text, raw[1:len(raw)-1]...)
		}
	}
	for e := elementsOf(said.calls); e.next(); {
		if KindOf(e.val) != Object {
			continue
		}
		c := readCall(e.val)
		it := s.add(callOutput)
		it.learn(&c, st)
		if it.text = appendArgumentsText(it.text, c.arguments); len(it.text) == 0 {
			it.text = append(it.text, "{}"...)
		}
	}
	if len(s.items) == 0 {
		s.add(textOutput)
	}
}

// identify takes over what an answer says about itself.
func (s *responseStream) identify(d *chatDoc, st *ConvState) {
	s.items = s.items[:0]
	s.base = appendBase(s.base[:0], d.id)
	if len(s.base) == 0 {
		s.base = append(s.base, st.ID...)
	}
	s.model = s.model[:0]
	switch {
	case nonEmptyString(d.model):
		s.model = append(s.model, d.model...)
	default:
		s.model = AppendString(s.model, st.Model)
	}
	s.tier = s.tier[:0]
	if KindOf(d.tier) == String {
		s.tier = append(s.tier, d.tier...)
	}
	if s.created = integer(d.created); s.created == 0 && !st.Start.IsZero() {
		s.created = st.Start.Unix()
	}
	s.count(d.usage)
}

// longestBase bounds what ids of ours take over from the provider's.
const longestBase = 64

// appendBase appends what is common to all ids of a response, out of the id of
// a chat completion.
func appendBase(dst, raw []byte) []byte {
	if KindOf(raw) != String {
		return dst
	}
	id := bytes.TrimPrefix(raw[1:len(raw)-1], []byte("chatcmpl-"))
	for _, c := range id[:min(len(id), longestBase)] {
		if isToolByte(c) {
			dst = append(dst, c)
		}
	}
	return dst
}

// count takes in a report of usage; later ones count.
func (s *responseStream) count(raw []byte) bool {
	if KindOf(raw) != Object {
		return false
	}
	s.usage = chatUsage(raw)
	return true
}

// openResponse appends a response up to its output. f is the provider's error,
// nil for none.
func (s *responseStream) openResponse(dst []byte, f *fault) []byte {
	o := jsonOut{append(dst, `{"id":"resp_`...)}
	o.dst = append(o.dst, s.base...)
	o.raw(`","object":"response"`)
	o.number("created_at", s.created)
	o.text("status", s.status)
	o.raw(`,"background":false,"error":`)
	o.dst = appendResponseError(o.dst, f)
	o.key("incomplete_details")
	if s.status == statusIncomplete {
		o.raw(`{`)
		o.text("reason", s.reason)
		o.raw(`}`)
	} else {
		o.raw("null")
	}
	s.echo(&o, "instructions", "null")
	s.echo(&o, "max_output_tokens", "null")
	o.member("model", s.model)
	o.raw(`,"output":[`)
	return o.dst
}

// closeResponse appends what follows the output.
func (s *responseStream) closeResponse(dst []byte) []byte {
	o := jsonOut{append(dst, ']')}
	s.echo(&o, "parallel_tool_calls", "true")
	o.raw(`,"previous_response_id":null`)
	s.echo(&o, "prompt_cache_key", "null")
	o.raw(`,"reasoning":{"effort":`)
	o.dst = appendOr(o.dst, lookup(s.ask("reasoning"), "effort"), "null")
	o.raw(`,"summary":null}`)
	s.echo(&o, "safety_identifier", "null")
	if len(s.tier) > 0 {
		o.member("service_tier", s.tier)
	} else {
		s.echo(&o, "service_tier", "null")
	}
	o.raw(`,"store":false`)
	s.echo(&o, "temperature", "null")
	text := s.ask("text")
	o.raw(`,"text":{"format":`)
	o.dst = appendOr(o.dst, lookup(text, "format"), `{"type":"text"}`)
	if verbosity := notNull(lookup(text, "verbosity")); verbosity != nil {
		o.member("verbosity", verbosity)
	}
	o.raw("}")
	s.echo(&o, "tool_choice", `"auto"`)
	s.echo(&o, "tools", "[]")
	s.echo(&o, "top_p", "null")
	o.raw(`,"truncation":"disabled","usage":`)
	if s.usage.Seen && s.status != statusInProgress {
		o.dst = appendResponseUsage(o.dst, &s.usage)
	} else {
		o.raw("null")
	}
	s.echo(&o, "user", "null")
	s.echo(&o, "metadata", "{}")
	return append(o.dst, '}')
}

// ask is a member of the client's request, nil for none.
func (s *responseStream) ask(name string) []byte {
	if s.asked == nil {
		return nil
	}
	return notNull(rawOf(s.asked, name))
}

// echo writes a member that repeats the request's.
func (s *responseStream) echo(o *jsonOut, name, otherwise string) {
	o.key(name)
	o.dst = appendOr(o.dst, s.ask(name), otherwise)
}

// appendOr appends the client's value raw, other text for nothing or null. It
// comes out as one line, for that is what the data of an event is.
func appendOr(dst, raw []byte, otherwise string) []byte {
	if notNull(raw) == nil {
		return append(dst, otherwise...)
	}
	start := len(dst) // strings have no line breaks
	for i := bytes.IndexByte(raw, '\n'); i >= 0; i = bytes.IndexByte(raw, '\n') {
		dst, raw = append(dst, raw[:i]...), raw[i+1:]
	}
	dst = append(dst, raw...)
	if bytes.IndexByte(dst[start:], '\r') < 0 {
		return dst
	}
	kept := dst[:start]
	for _, c := range dst[start:] {
		if c != '\r' {
			kept = append(kept, c)
		}
	}
	return kept
}

// appendResponseError appends the error of a response, null for none.
func appendResponseError(dst []byte, f *fault) []byte {
	if f == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"code":`...)
	switch {
	case nonEmptyString(f.code):
		dst = append(dst, f.code...)
	case KindOf(f.code) == Number && integer(f.code) == 429: // OpenRouter's codes are statuses
		dst = append(dst, `"rate_limit_exceeded"`...)
	default:
		dst = append(dst, `"server_error"`...)
	}
	dst = appendStringOr(append(dst, `,"message":`...), f.message)
	return append(dst, '}')
}

func appendResponseUsage(dst []byte, u *Usage) []byte {
	dst = strconv.AppendInt(append(dst, `{"input_tokens":`...), u.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"input_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
	dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.CacheCreation, 10)
	dst = strconv.AppendInt(append(dst, `},"output_tokens":`...), u.Completion, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), u.Reasoning, 10)
	dst = strconv.AppendInt(append(dst, `},"total_tokens":`...), u.Total, 10)
	return append(dst, '}')
}
