package driver

import "fmt"

// tools writes the functions that the client offers and which of them may be
// called. Tools that OpenAI runs itself are an error.
func (q *responsesRequest) tools() error {
	tools, choice := q.get("tools"), q.get("tool_choice")
	if tools != nil && KindOf(tools) != Array {
		return invalid("tools")
	}
	allowed, err := allowedTools(choice)
	if err != nil {
		return err
	}
	i, some := 0, false
	for e := elementsOf(tools); e.next(); i++ {
		t := readFunction(e.val)
		switch {
		case !isText(t.kind, "function"):
			return unsupportedType(fmt.Sprintf("tools[%d]: tool type", i), t.kind)
		case !nonEmptyString(t.name):
			return invalid(fmt.Sprintf("tools[%d].name", i))
		case !allowed.has(t.name):
			continue
		}
		if some {
			q.raw(",")
		} else {
			q.key("tools")
			q.raw("[")
			some = true
		}
		q.function(&t)
	}
	if some {
		q.raw("]")
		q.copy("parallel_tool_calls", "parallel_tool_calls")
	}
	return q.toolChoice(choice, some)
}

func (q *responsesRequest) function(t *chatTool) {
	q.raw(`{"type":"function","function":{"name":`)
	q.dst = q.names.append(q.dst, t.name)
	if t.description != nil {
		q.member("description", t.description)
	}
	if t.parameters != nil {
		q.member("parameters", t.parameters)
	}
	if t.strict != nil {
		q.member("strict", t.strict)
	}
	q.raw("}}")
}

// toolChoice writes the choice; some says that there are tools. Without any, a
// provider refuses even a choice that means nothing.
func (q *responsesRequest) toolChoice(choice []byte, some bool) error {
	if choice == nil {
		return nil
	}
	kind, name := lookup(choice, "type"), lookup(choice, "name")
	if isText(kind, "allowed_tools") {
		choice = lookup(choice, "mode")
	}
	switch {
	case isText(choice, "auto"), isText(choice, "none"):
		if some {
			q.member("tool_choice", choice)
		}
	case isText(choice, "required"):
		q.member("tool_choice", choice)
	case isText(kind, "function") && nonEmptyString(name):
		q.key("tool_choice")
		q.function(&chatTool{name: name})
	case KindOf(choice) == Object && KindOf(kind) == String && !isText(kind, "function"):
		return unsupportedType("tool_choice: tool type", kind)
	default:
		return invalid("tool_choice")
	}
	return nil
}

// allowedTools are the functions that a choice of that type is restricted to,
// nil for any other choice. Only those are offered: few providers of the chat
// protocol know such a choice.
func allowedTools(choice []byte) (nameSet, error) {
	if !isText(lookup(choice, "type"), "allowed_tools") {
		return nil, nil
	}
	allowed := nameSet{}
	i := 0
	for e := elementsOf(lookup(choice, "tools")); e.next(); i++ {
		t := readFunction(e.val)
		switch {
		case !isText(t.kind, "function"):
			return nil, unsupportedType(fmt.Sprintf("tool_choice.tools[%d]: tool type", i), t.kind)
		case !nonEmptyString(t.name):
			return nil, invalid(fmt.Sprintf("tool_choice.tools[%d].name", i))
		}
		allowed[textOf(t.name)] = true
	}
	return allowed, nil
}
