package driver

import "fmt"

// tools writes toolConfig. Converse has no choice "none": without tools in the
// conversation it is the same to offer none, otherwise Bedrock insists on them.
func (q *converseRequest) tools() {
	list := q.get("tools")
	if list != nil && KindOf(list) != Array {
		q.fail("tools", "it must be a list")
		return
	}
	some := elementsOf(list)
	offered := some.next()
	choice, name := readToolChoice(q.get("tool_choice"))
	switch {
	case choice == toolsOther:
		q.fail("tool_choice", "it must be auto, none, required or a function")
	case !offered && (choice == toolsRequired || choice == toolNamed):
		q.fail("tool_choice", "there are no tools")
	case offered && choice == toolsNone && q.toolBlocks:
		q.fail("tool_choice", "Bedrock has no choice none for a conversation with tool calls")
	case offered && KindOf(q.get("parallel_tool_calls")) == False:
		q.fail("parallel_tool_calls", "Bedrock's Converse has no such option")
	}
	if !offered || choice == toolsNone {
		return
	}
	q.key("toolConfig")
	q.raw(`{"tools":[`)
	i := 0
	for e := elementsOf(list); e.next() && q.err == nil; i++ {
		t := readChatTool(e.val)
		q.tool(i, &t)
	}
	q.raw("]")
	switch choice {
	case toolsRequired:
		q.raw(`,"toolChoice":{"any":{}}`)
	case toolNamed:
		q.raw(`,"toolChoice":{"tool":{"name":`)
		q.dst = append(q.dst, name...)
		q.raw("}}")
	case toolsAuto:
		if q.get("tool_choice") != nil {
			q.raw(`,"toolChoice":{"auto":{}}`)
		}
	}
	q.raw("}")
}

func (q *converseRequest) tool(i int, t *chatTool) {
	switch {
	case t.kind != nil && !isText(t.kind, "function"):
		q.fail(fmt.Sprintf("tools[%d].type", i), "only functions can be converted")
		return
	case !nonEmptyString(t.name):
		q.fail(fmt.Sprintf("tools[%d].function.name", i), "it must be a string")
		return
	case t.parameters != nil && KindOf(t.parameters) != Object:
		q.fail(fmt.Sprintf("tools[%d].function.parameters", i), "it must be an object")
		return
	}
	q.next()
	q.raw(`{"toolSpec":{"name":`)
	q.dst = append(q.dst, t.name...)
	if nonEmptyString(t.description) {
		q.member("description", t.description)
	}
	q.raw(`,"inputSchema":{"json":`)
	if t.parameters != nil {
		q.dst = append(q.dst, t.parameters...)
	} else {
		q.raw(`{"type":"object","properties":{}}`)
	}
	q.raw("}")
	if KindOf(t.strict) == True {
		q.member("strict", t.strict)
	}
	q.raw("}}")
}
