package driver

import "fmt"

// chatTool is a function that a client offers. Its fields are JSON as it stands
// in the request, nil for what is not there or null.
type chatTool struct{ kind, name, description, parameters, strict []byte }

// readFunction reads a function: what the member function of a chat holds, or
// a tool of the Responses API.
func readFunction(raw []byte) (t chatTool) {
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			t.kind = notNull(m.val)
		case "name":
			t.name = notNull(m.val)
		case "description":
			t.description = notNull(m.val)
		case "parameters":
			t.parameters = notNull(m.val)
		case "strict":
			t.strict = notNull(m.val)
		}
	}
	return t
}

const onlyFunctions = "only functions can be converted"

// fault says what is wrong with a tool, and where in it; "" for nothing.
func (t *chatTool) fault() (where, why string) {
	switch {
	case t.kind != nil && !isText(t.kind, "function"):
		return ".type", onlyFunctions
	case !nonEmptyString(t.name):
		return ".function.name", "it must be a string"
	case t.description != nil && KindOf(t.description) != String:
		return ".function.description", "it must be a string"
	case t.parameters != nil && KindOf(t.parameters) != Object:
		return ".function.parameters", "it must be an object"
	case t.strict != nil && KindOf(t.strict) != True && KindOf(t.strict) != False:
		return ".function.strict", "it must be a boolean"
	}
	return "", ""
}

// schema is what the arguments must fit; of a tool that has no parameters, an
// object.
func (t *chatTool) schema() []byte {
	if hasMembers(t.parameters) {
		return t.parameters
	}
	return anyObject
}

var anyObject = []byte(`{"type":"object","properties":{}}`)

// nameSet are names of tools, by their text; nil stands for all there are.
type nameSet map[string]bool

// has tells whether the name, a JSON string, is one of them.
func (s nameSet) has(name []byte) bool { return s == nil || s[textOf(name)] }

// textOf is the text of the JSON string raw.
func textOf(raw []byte) string {
	s, _ := unquoted(raw, nil)
	return string(s)
}

// toolChoice is a tool_choice. No provider has a word for a choice that leaves
// tools out: those that are not allowed are not offered.
type toolChoice struct {
	kind    choiceKind
	name    []byte  // of the tool, a JSON string
	allowed nameSet // nil for any other choice
}

type choiceKind uint8

const (
	choiceUnsaid choiceKind = iota
	choiceAuto
	choiceNone
	choiceRequired
	choiceNamed
)

// forces tells whether the model must call a tool.
func (c *toolChoice) forces() bool { return c.kind >= choiceRequired }

// mode sets the kind by one of OpenAI's words.
func (c *toolChoice) mode(raw []byte) bool {
	switch {
	case isText(raw, "auto"):
		c.kind = choiceAuto
	case isText(raw, "required"):
		c.kind = choiceRequired
	default:
		return false
	}
	return true
}

func (q *chatReader) choice() (c toolChoice) {
	raw := q.get("tool_choice")
	switch kind := lookup(raw, "type"); {
	case raw == nil, c.mode(raw):
	case isText(raw, "none"):
		c.kind = choiceNone
	case isText(kind, "function"):
		if c.kind, c.name = choiceNamed, lookup(lookup(raw, "function"), "name"); !nonEmptyString(c.name) {
			q.fail("tool_choice.function.name", "it must be a string")
		}
	case isText(kind, "allowed_tools"):
		q.allowed(&c, lookup(raw, "allowed_tools"))
	default:
		q.fail("tool_choice", "it must be none, auto, required, a function or allowed_tools")
	}
	return c
}

// maxAllowed bounds what is kept of a request; OpenAI's API takes no more tools.
const maxAllowed = 128

func (q *chatReader) allowed(c *toolChoice, raw []byte) {
	list := lookup(raw, "tools")
	if KindOf(list) != Array || !c.mode(lookup(raw, "mode")) {
		q.fail("tool_choice.allowed_tools", "it must have tools and a mode, which is auto or required")
	}
	c.allowed = nameSet{}
	n := 0
	for e := elementsOf(list); e.next() && q.err == nil; n++ {
		name := lookup(lookup(e.val, "function"), "name")
		switch {
		case n == maxAllowed:
			q.fail("tool_choice.allowed_tools.tools", fmt.Sprintf("at most %d are supported", maxAllowed))
		case !nonEmptyString(name):
			q.fail("tool_choice.allowed_tools.tools", "only functions are supported")
		default:
			c.allowed[textOf(name)] = true
		}
	}
}

// chatTools walks the tools that may be called.
type chatTools struct {
	chatTool
	list elements
	n    int
}

// offered begins a walk over the tools of the request.
func (q *chatReader) offered() chatTools {
	return chatTools{list: elementsOf(q.ofKind("tools", "an array", Array))}
}

// nextTool moves to the next tool that c allows.
func (q *chatReader) nextTool(t *chatTools, c *toolChoice) bool {
	for t.list.next() && q.err == nil {
		var kind, function []byte
		for m := membersOf(t.list.val); m.next(); {
			switch string(plainKey(m.key)) {
			case "type":
				kind = notNull(m.val)
			case "function":
				function = m.val
			}
		}
		t.chatTool = readFunction(function)
		t.kind = kind
		if where, why := t.fault(); why != "" {
			q.fail(fmt.Sprintf("tools[%d]%s", t.n, where), why)
		}
		if t.n++; q.err == nil && c.allowed.has(t.name) {
			return true
		}
	}
	return false
}

// noTool checks a choice that has nothing to choose from.
func (q *chatReader) noTool(c *toolChoice) {
	if c.forces() || c.allowed != nil {
		q.fail("tool_choice", "there is no tool to choose")
	}
}

// parallel tells whether the model may call several tools at once.
func (q *chatReader) parallel() bool {
	return KindOf(q.ofKind("parallel_tool_calls", "a boolean", True, False)) != False
}
