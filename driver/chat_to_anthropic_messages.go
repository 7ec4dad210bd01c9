package driver

import "fmt"

// turn is who speaks in the messages of Anthropic's API.
type turn uint8

const (
	noTurn   turn = iota // a message without a role that is known
	userTurn             // what tools return is said by the user
	assistantTurn
	systemTurn // no turn there: it stands before all messages
)

// chatMessage is a message of OpenAI's; its fields are JSON as it stands there.
type chatMessage struct{ role, content, refusal, calls, callID, call, audio []byte }

func readMessage(raw []byte) (m chatMessage) {
	for f := membersOf(raw); f.next(); {
		switch string(plainKey(f.key)) {
		case "role":
			m.role = f.val
		case "content":
			m.content = notNull(f.val)
		case "refusal":
			m.refusal = notNull(f.val)
		case "tool_calls":
			m.calls = notNull(f.val)
		case "tool_call_id":
			m.callID = f.val
		case "function_call":
			m.call = notNull(f.val)
		case "audio":
			m.audio = notNull(f.val)
		}
	}
	return m
}

func (m *chatMessage) turn() turn {
	switch {
	case isText(m.role, "user"), isText(m.role, "tool"):
		return userTurn
	case isText(m.role, "assistant"):
		return assistantTurn
	case isText(m.role, "system"), isText(m.role, "developer"):
		return systemTurn
	}
	return noTurn
}

// silent tells whether nothing comes of m. Such a message does not part those
// before it from those behind.
func (m *chatMessage) silent() bool {
	model := m.turn() == assistantTurn
	switch {
	case isText(m.role, "tool"), m.call != nil, m.audio != nil:
		return false
	case m.calls != nil && (KindOf(m.calls) != Array || firstOf(m.calls) != nil), m.refusal != nil && string(m.refusal) != `""`:
		return false
	case m.content == nil:
		return model
	case KindOf(m.content) != Array:
		return string(m.content) == `""`
	}
	for e := elementsOf(m.content); e.next(); {
		p := readPart(e.val)
		empty := isText(p.kind, "text") && string(p.text) == `""` || model && isText(p.kind, "refusal") && string(p.refusal) == `""`
		if !empty {
			return false
		}
	}
	return true
}

// failAt is fail for the message at hand, or for something in it.
func (q *messagesRequest) failAt(what, why string) {
	q.fail(fmt.Sprintf("messages[%d]%s", q.at, what), why)
}

// system writes what system and developer messages say, wherever they stand.
func (q *messagesRequest) system() {
	before := len(q.dst)
	q.key("system")
	q.raw("[")
	empty := len(q.dst)
	q.at = 0
	for e := elementsOf(q.get("messages")); e.next(); q.at++ {
		if m := readMessage(e.val); m.turn() == systemTurn {
			q.content(m.content, textParts)
		}
	}
	if len(q.dst) == empty {
		q.dst = q.dst[:before]
		return
	}
	q.raw("]")
}

// messages writes the conversation. Messages that follow each other on the
// same side become one, as Anthropic's API has them.
func (q *messagesRequest) messages() {
	list := q.get("messages")
	if first := elementsOf(list); !first.next() && q.err == nil {
		q.err = errNoMessages
		return
	}
	q.key("messages")
	q.raw("[")
	var side turn
	var from elements // of the messages of side
	start := 0
	e := elementsOf(list)
	for i := 0; ; i++ {
		before := e
		if !e.next() {
			q.say(side, from, start, i)
			break
		}
		m := readMessage(e.val)
		next := m.turn()
		if next == noTurn {
			q.at = i
			q.noTurn(&m)
			return
		}
		if next == side || next == systemTurn || m.silent() {
			continue
		}
		q.say(side, from, start, i)
		side, from, start = next, before, i
	}
	q.raw("]")
}

func (q *messagesRequest) noTurn(m *chatMessage) {
	if isText(m.role, "function") {
		q.failAt(".role", "function is deprecated, use tool")
		return
	}
	q.failAt(".role", "it must be system, developer, user, assistant or tool")
}

// say writes the messages of side from start to end as one. Results of tools
// come first: Anthropic's API wants them right behind the calls.
func (q *messagesRequest) say(side turn, from elements, start, end int) {
	switch side {
	case noTurn: // nothing was said yet
		return
	case userTurn:
		q.next()
		q.raw(`{"role":"user","content":[`)
	case assistantTurn:
		q.next()
		q.raw(`{"role":"assistant","content":[`)
	}
	for _, results := range [...]bool{true, false} {
		e := from
		for q.at = start; q.at < end && e.next(); q.at++ {
			m := readMessage(e.val)
			switch tool := isText(m.role, "tool"); {
			case m.turn() != side || tool != results:
			case tool:
				q.result(&m)
			case side == userTurn:
				if m.content == nil {
					q.failAt(".content", notContent)
				}
				q.content(m.content, userParts)
			default:
				q.assistant(&m)
			}
		}
	}
	q.raw("]}")
}

// result writes what a tool has returned.
func (q *messagesRequest) result(m *chatMessage) {
	if !nonEmptyString(m.callID) {
		q.failAt(".tool_call_id", "it must be a string")
		return
	}
	q.next()
	q.raw(`{"type":"tool_result","tool_use_id":`)
	q.dst = append(q.dst, m.callID...)
	switch KindOf(m.content) {
	case None:
	case String:
		q.member("content", m.content)
	default:
		q.key("content")
		q.raw("[")
		q.content(m.content, userParts)
		q.raw("]")
	}
	q.raw("}")
}

// assistant writes what the model has said and called.
func (q *messagesRequest) assistant(m *chatMessage) {
	switch {
	case m.call != nil:
		q.failAt(".function_call", "it is deprecated, use tool_calls")
	case m.audio != nil:
		q.failAt(".audio", "Anthropic's API takes no audio")
	case m.calls != nil && KindOf(m.calls) != Array:
		q.failAt(".tool_calls", "it must be an array")
	case m.refusal != nil && KindOf(m.refusal) != String:
		q.failAt(".refusal", "it must be a string")
	}
	q.content(m.content, assistantParts)
	q.textBlock(m.refusal)
	for i, e := 0, elementsOf(m.calls); e.next(); i++ {
		kind, c := notNull(lookup(e.val, "type")), readCall(e.val)
		switch {
		case kind != nil && !isText(kind, "function"):
			q.failAt(fmt.Sprintf(".tool_calls[%d]", i), "only the type function is supported")
			return
		case !nonEmptyString(c.id) || !nonEmptyString(c.name):
			q.failAt(fmt.Sprintf(".tool_calls[%d]", i), "it must have an id and a function's name")
			return
		}
		q.next()
		q.raw(`{"type":"tool_use","id":`)
		q.dst = append(q.dst, c.id...)
		q.member("name", c.name)
		q.key("input")
		if !q.input(notNull(c.arguments)) {
			q.failAt(fmt.Sprintf(".tool_calls[%d].function.arguments", i), "it must be a string with a JSON object")
			return
		}
		q.raw("}")
	}
}

// input writes the arguments of a call, a JSON string with an object in it;
// none are none.
func (q *messagesRequest) input(raw []byte) bool {
	if raw != nil && KindOf(raw) != String {
		return false
	}
	start := len(q.dst)
	if raw != nil {
		q.dst = appendUnescaped(q.dst, raw[1:len(raw)-1])
	}
	text := q.dst[start:]
	if skipSpace(text, 0) == len(text) {
		q.dst = append(q.dst[:start], "{}"...)
		return true
	}
	doc := document(text)
	if KindOf(doc) != Object {
		return false
	}
	q.dst = q.dst[:start+copy(text, doc)]
	return true
}
