package driver

import (
	"bytes"
	"strconv"
)

// Request implements Converter. The body is built from nothing: a field that
// is not named here never reaches the provider.
func (anthropicToChat) Request(dst []byte, src *Body, st *ConvState) ([]byte, error) {
	q := chatRequest{chatOut{builder{jsonOut{append(dst, '{')}, src}, &st.names}}
	if raw := q.get("model"); KindOf(raw) == String {
		q.member("model", raw)
	}
	if err := q.messages(); err != nil {
		return dst, err
	}
	if raw := q.get("stream"); raw != nil {
		q.member("stream", raw)
		if KindOf(raw) == True {
			q.member("stream_options", includeUsage)
		}
	}
	q.copy("max_completion_tokens", "max_tokens")
	q.copy("temperature", "temperature")
	q.copy("top_p", "top_p")
	if raw := q.get("stop_sequences"); KindOf(raw) == Array {
		q.member("stop", raw)
	}
	if raw := lookup(q.get("metadata"), "user_id"); KindOf(raw) == String {
		q.member("user", raw)
	}
	if raw := q.get("service_tier"); KindOf(raw) == String {
		q.member("service_tier", raw)
	}
	q.thinking()
	if q.tools() {
		q.toolChoice()
	}
	q.responseFormat()
	return append(q.dst, '}'), nil
}

// chatRequest builds one chat request.
type chatRequest struct{ chatOut }

// thinking turns Anthropic's budget into an effort (4.1.3).
func (q *chatRequest) thinking() {
	thinking := q.get("thinking")
	switch kind := lookup(thinking, "type"); {
	case isText(kind, "enabled"):
		budget := 0.0
		if raw := lookup(thinking, "budget_tokens"); KindOf(raw) == Number {
			budget, _ = strconv.ParseFloat(string(raw), 64)
		}
		effort := "high"
		switch {
		case budget < 1024:
			effort = "minimal"
		case budget < 2048:
			effort = "low"
		case budget < 4096:
			effort = "medium"
		}
		q.text("reasoning_effort", effort)
	case isText(kind, "adaptive"):
		if effort := lookup(q.get("output_config"), "effort"); nonEmptyString(effort) {
			q.member("reasoning_effort", effort)
		} else {
			q.text("reasoning_effort", "medium")
		}
	}
}

// tool is a tool that can be forwarded.
type tool struct{ name, description, schema []byte }

// builtIn are the types of tools that Anthropic runs or defines itself.
var builtIn = [...]string{"computer_", "bash_", "text_editor_", "web_search", "code_execution_"}

func readTool(raw []byte) (t tool, ok bool) {
	var kind []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = m.val
		case "name":
			t.name = m.val
		case "description":
			t.description = notNull(m.val)
		case "input_schema":
			t.schema = notNull(m.val)
		}
	}
	if KindOf(kind) == String {
		s, _ := unquoted(kind, nil)
		for _, prefix := range builtIn {
			if hasPrefix(s, prefix) {
				return t, false
			}
		}
	}
	return t, nonEmptyString(t.name)
}

// tools tells whether there were any to forward.
func (q *chatRequest) tools() (some bool) {
	for e := elementsOf(q.get("tools")); e.next(); {
		t, ok := readTool(e.val)
		if !ok {
			continue
		}
		if some {
			q.dst = append(q.dst, ',')
		} else {
			q.key("tools")
			q.dst = append(q.dst, '[')
			some = true
		}
		q.dst = append(q.dst, `{"type":"function","function":{"name":`...)
		q.dst = q.names.append(q.dst, t.name)
		if t.description != nil {
			q.member("description", t.description)
		}
		if t.schema != nil {
			q.member("parameters", t.schema)
		}
		q.dst = append(q.dst, "}}"...)
	}
	if some {
		q.dst = append(q.dst, ']')
	}
	return some
}

func (q *chatRequest) toolChoice() {
	choice := q.get("tool_choice")
	name := lookup(choice, "name")
	switch kind := lookup(choice, "type"); {
	case isText(kind, "auto"):
		q.text("tool_choice", "auto")
	case isText(kind, "any"):
		q.text("tool_choice", "required")
	case isText(kind, "none"):
		q.text("tool_choice", "none")
	case isText(kind, "tool") && KindOf(name) == String:
		q.key("tool_choice")
		q.dst = append(q.dst, `{"type":"function","function":{"name":`...)
		if q.declared(name) {
			q.dst = q.names.append(q.dst, name)
		} else {
			q.dst = append(q.dst, name...)
		}
		q.dst = append(q.dst, "}}"...)
	default:
		return
	}
	if KindOf(lookup(choice, "disable_parallel_tool_use")) == True {
		q.key("parallel_tool_calls")
		q.dst = append(q.dst, "false"...)
	}
}

// declared tells whether a tool that is forwarded has the name raw.
func (q *chatRequest) declared(raw []byte) bool {
	name, _ := unquoted(raw, nil)
	for e := elementsOf(q.get("tools")); e.next(); {
		if t, ok := readTool(e.val); ok {
			var s []byte
			s, q.names.buf = unquoted(t.name, q.names.buf[:0])
			if bytes.Equal(s, name) {
				return true
			}
		}
	}
	return false
}

func (q *chatRequest) responseFormat() {
	format := q.get("output_format")
	if !hasMembers(format) {
		format = lookup(q.get("output_config"), "format")
	}
	schema := lookup(format, "schema")
	if !isText(lookup(format, "type"), "json_schema") || !hasMembers(schema) {
		return
	}
	q.key("response_format")
	q.dst = append(q.dst, `{"type":"json_schema","json_schema":{"name":"structured_output","schema":`...)
	q.dst = appendStrict(q.dst, schema)
	q.dst = append(q.dst, `,"strict":true}}`...)
}

// hasMembers tells whether raw is an object that is not empty.
func hasMembers(raw []byte) bool {
	m := membersOf(raw)
	return m.next()
}
