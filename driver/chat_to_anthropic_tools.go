package driver

import "fmt"

// maxAllowed bounds what is kept of a request; OpenAI's API takes no more tools.
const maxAllowed = 128

// toolChoice is a tool_choice. Anthropic's API does not let a choice leave tools
// out, so that those which are not allowed are not declared.
type toolChoice struct {
	kind    string          // of Anthropic's; "": none was made
	name    []byte          // of the tool, a JSON string
	allowed map[string]bool // by the text of the name; nil: all tools
}

// forces tells whether the model must call a tool.
func (c *toolChoice) forces() bool { return c.kind == "any" || c.kind == "tool" }

// mode sets the kind by one of OpenAI's words.
func (c *toolChoice) mode(raw []byte) bool {
	switch {
	case isText(raw, "auto"):
		c.kind = "auto"
	case isText(raw, "required"):
		c.kind = "any"
	default:
		return false
	}
	return true
}

func (q *messagesRequest) choice() (c toolChoice) {
	raw := q.get("tool_choice")
	switch kind := lookup(raw, "type"); {
	case raw == nil, c.mode(raw):
	case isText(raw, "none"):
		c.kind = "none"
	case isText(kind, "function"):
		if c.kind, c.name = "tool", lookup(lookup(raw, "function"), "name"); !nonEmptyString(c.name) {
			q.fail("tool_choice.function.name", "it must be a string")
		}
	case isText(kind, "allowed_tools"):
		q.allowed(&c, lookup(raw, "allowed_tools"))
	default:
		q.fail("tool_choice", "it must be none, auto, required, a function or allowed_tools")
	}
	return c
}

func (q *messagesRequest) allowed(c *toolChoice, raw []byte) {
	list := lookup(raw, "tools")
	if KindOf(list) != Array || !c.mode(lookup(raw, "mode")) {
		q.fail("tool_choice.allowed_tools", "it must have tools and a mode, which is auto or required")
	}
	c.allowed = map[string]bool{}
	n := 0
	for e := elementsOf(list); e.next() && q.err == nil; n++ {
		name := lookup(lookup(e.val, "function"), "name")
		switch {
		case n == maxAllowed:
			q.fail("tool_choice.allowed_tools.tools", fmt.Sprintf("at most %d are supported", maxAllowed))
		case !nonEmptyString(name):
			q.fail("tool_choice.allowed_tools.tools", "only functions are supported")
		default:
			text, _ := unquoted(name, nil)
			c.allowed[string(text)] = true
		}
	}
}

// allows tells whether the tool of that name, a JSON string, may be called.
func (c *toolChoice) allows(name []byte) bool {
	if c.allowed == nil {
		return true
	}
	text, _ := unquoted(name, nil)
	return c.allowed[string(text)]
}

// chatFunction is a tool of OpenAI's.
type chatFunction struct{ kind, name, description, parameters, strict []byte }

func readFunction(raw []byte) (f chatFunction) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			f.kind = m.val
		case "function":
			f.name, f.description, f.parameters, f.strict = nil, nil, nil, nil
			for p := membersOf(m.val); p.next(); {
				switch string(plainKey(p.key)) {
				case "name":
					f.name = p.val
				case "description":
					f.description = notNull(p.val)
				case "parameters":
					f.parameters = notNull(p.val)
				case "strict":
					f.strict = notNull(p.val)
				}
			}
		}
	}
	return f
}

// tools writes the tools that may be called, and the choice among them.
func (q *messagesRequest) tools(c *toolChoice) {
	list := q.ofKind("tools", "an array", Array)
	before := len(q.dst)
	q.key("tools")
	q.raw("[")
	some := false
	for i, e := 0, elementsOf(list); e.next() && q.err == nil; i++ {
		f := readFunction(e.val)
		if why := f.fault(); why != "" {
			q.fail(fmt.Sprintf("tools[%d]", i), why)
			return
		}
		if !c.allows(f.name) {
			continue
		}
		some = true
		q.next()
		q.raw(`{"name":`)
		q.dst = append(q.dst, f.name...)
		if f.description != nil {
			q.member("description", f.description)
		}
		if hasMembers(f.parameters) {
			q.member("input_schema", f.parameters)
		} else {
			q.key("input_schema")
			q.raw(`{"type":"object","properties":{}}`)
		}
		if KindOf(f.strict) == True {
			q.member("strict", f.strict)
		}
		q.raw("}")
	}
	q.raw("]")
	parallel := q.ofKind("parallel_tool_calls", "a boolean", True, False)
	if !some {
		q.dst = q.dst[:before]
		if c.forces() || c.allowed != nil {
			q.fail("tool_choice", "there is no tool to choose")
		}
		return
	}
	single := KindOf(parallel) == False && c.kind != "none"
	if single && c.kind == "" {
		c.kind = "auto"
	}
	if c.kind == "" {
		return
	}
	q.key("tool_choice")
	q.raw("{")
	q.text("type", c.kind)
	if c.name != nil {
		q.member("name", c.name)
	}
	if single {
		q.key("disable_parallel_tool_use")
		q.raw("true")
	}
	q.raw("}")
}

// fault says why f is no tool for Anthropic's API.
func (f *chatFunction) fault() string {
	switch {
	case !isText(f.kind, "function"):
		return "only the type function is supported"
	case !nonEmptyString(f.name):
		return "its name must be a string"
	case f.description != nil && KindOf(f.description) != String:
		return "its description must be a string"
	case f.parameters != nil && KindOf(f.parameters) != Object:
		return "its parameters must be an object"
	case f.strict != nil && KindOf(f.strict) != True && KindOf(f.strict) != False:
		return "strict must be a boolean"
	}
	return ""
}
