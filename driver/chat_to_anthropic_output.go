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

// effort is a reasoning_effort in Anthropic's terms. Budgets mirror those that
// ai-proxy.md section 4.1.3 takes for the same effort.
type effort struct {
	name   string // "": as the model likes
	budget int64  // 0: no thinking
}

// effortOf translates a word of OpenAI's.
func effortOf(word string) effort {
	switch word {
	case "minimal":
		return effort{"low", 0}
	case "low":
		return effort{word, 1024}
	case "medium":
		return effort{word, 2048}
	case "high":
		return effort{word, 4096}
	case "xhigh":
		return effort{word, 8192}
	case "max":
		return effort{word, 16384}
	}
	return effort{} // none
}

// output writes how long the answer may be, how much is thought for it and
// what form it has. A model with a budget must not be told to think where it is
// forced to call a tool, nor where it has called one: then it wants its earlier
// thoughts back, for which OpenAI's protocol has no place.
func (q *messagesRequest) output(forced bool) {
	limit, word := q.limit(), q.effort()
	e := effortOf(word)
	thinks := false
	switch old := takesBudget(q.model); {
	case word == "":
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
	if format := q.schema(); format != nil || e.name != "" {
		q.key("output_config")
		q.raw("{")
		if e.name != "" {
			q.text("effort", e.name)
		}
		if format != nil {
			q.key("format")
			q.raw(`{"type":"json_schema"`)
			q.member("schema", lookup(format, "schema"))
			q.raw("}")
		}
		q.raw("}")
	}
}

// midway tells whether the latest messages are the results of calls.
func (q *messagesRequest) midway() (results bool) {
	for e := elementsOf(q.get("messages")); e.next(); {
		switch m := readMessage(e.val); {
		case m.role == toolRole:
			results = true
		case m.role == assistantRole && !m.silent():
			results = false
		}
	}
	return results
}
