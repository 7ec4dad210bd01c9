package driver

import (
	"bytes"
	"strconv"
)

// defaultMaxTokens is for clients that set no limit; Anthropic's API wants one.
const defaultMaxTokens = 4096

// leastBudget is the least that Anthropic's API takes for thinking.
const leastBudget = 1024

// budgetModels are parts of the names of models that think within a budget.
// The list is closed: whatever came later is told an effort and refuses a budget.
var budgetModels = [...]string{"claude-3-", "-4-0", "-4-1", "-4-2025", "-4-5"}

func takesBudget(model []byte) bool {
	for _, part := range budgetModels {
		if bytes.Contains(model, []byte(part)) {
			return true
		}
	}
	return false
}

// effort is a reasoning_effort of OpenAI's in Anthropic's terms. Budgets mirror
// those that ai-proxy.md section 4.1.3 takes for the same effort.
type effort struct {
	name   string // "": as the model likes
	budget int64  // 0: no thinking
}

func effortOf(raw []byte) (e effort, ok bool) {
	for _, known := range [...]struct {
		openAI string
		effort
	}{
		{"none", effort{}},
		{"minimal", effort{"low", 0}},
		{"low", effort{"low", 1024}},
		{"medium", effort{"medium", 2048}},
		{"high", effort{"high", 4096}},
		{"xhigh", effort{"xhigh", 8192}},
		{"max", effort{"max", 16384}},
	} {
		if isText(raw, known.openAI) {
			return known.effort, true
		}
	}
	return effort{}, false
}

// output writes how long the answer may be, how much is thought for it and
// what form it has. A model with a budget must not be told to think where it is
// forced to call a tool, nor where it has called one: then it wants its earlier
// thoughts back, for which OpenAI's protocol has no place.
func (q *messagesRequest) output(forced bool) {
	limit := q.ofKind("max_completion_tokens", "a number", Number)
	if raw := q.ofKind("max_tokens", "a number", Number); limit == nil {
		limit = raw
	}
	var e effort
	raw := q.get("reasoning_effort")
	if raw != nil {
		var ok bool
		if e, ok = effortOf(raw); !ok {
			q.fail("reasoning_effort", "it must be none, minimal, low, medium, high, xhigh or max")
		}
	}
	thinks := false
	switch old := takesBudget(q.model); {
	case raw == nil:
	case old:
		e.name = ""
		if limit != nil { // half of it at least is for the answer
			e.budget = min(e.budget, integer(limit)/2)
		}
		if thinks = e.budget >= leastBudget && !forced && !q.midway(); thinks {
			q.key("thinking")
			q.raw(`{"type":"enabled","budget_tokens":`)
			q.dst = append(strconv.AppendInt(q.dst, e.budget, 10), '}')
		}
	case e.name == "":
		q.key("thinking")
		q.raw(`{"type":"disabled"}`)
	default:
		thinks = true
		q.key("thinking")
		q.raw(`{"type":"adaptive"}`)
	}
	if t := q.get("temperature"); thinks && KindOf(t) == Number && floatOf(t) < 1 {
		q.fail("temperature", "Anthropic's models take none below 1 together with reasoning_effort")
	}
	switch {
	case limit != nil:
		q.member("max_tokens", limit)
	case thinks:
		q.key("max_tokens")
		q.dst = strconv.AppendInt(q.dst, defaultMaxTokens+e.budget, 10)
	default:
		q.key("max_tokens")
		q.dst = strconv.AppendInt(q.dst, defaultMaxTokens, 10)
	}
	if schema := q.schema(); schema != nil || e.name != "" {
		q.key("output_config")
		q.raw("{")
		if e.name != "" {
			q.text("effort", e.name)
		}
		if schema != nil {
			q.key("format")
			q.raw(`{"type":"json_schema","schema":`)
			q.dst = append(append(q.dst, schema...), '}')
		}
		q.raw("}")
	}
}

// midway tells whether the latest messages are the results of calls.
func (q *messagesRequest) midway() (results bool) {
	for e := elementsOf(q.get("messages")); e.next(); {
		switch m := readMessage(e.val); {
		case isText(m.role, "tool"):
			results = true
		case m.turn() == assistantTurn && !m.silent():
			results = false
		}
	}
	return results
}

// schema is what the answer must fit, nil for nothing.
func (q *messagesRequest) schema() []byte {
	format := q.get("response_format")
	switch kind := lookup(format, "type"); {
	case format == nil, isText(kind, "text"):
	case isText(kind, "json_schema"):
		schema := lookup(lookup(format, "json_schema"), "schema")
		if KindOf(schema) == Object {
			return schema
		}
		q.fail("response_format.json_schema.schema", "it must be an object")
	case isText(kind, "json_object"):
		q.fail("response_format", "Anthropic's API gives JSON for a json_schema only")
	default:
		q.fail("response_format", "its type must be text or json_schema")
	}
	return nil
}
