package driver

import "bytes"

// system writes what system and developer messages say, wherever they stand.
func (q *converseRequest) system() {
	q.message, q.part = 0, -1
	for e := elementsOf(q.get("messages")); e.next() && q.err == nil; q.message++ {
		if m := readMessage(e.val); isSystem(m.role) {
			q.content(systemRole, m.content, true)
		}
	}
	q.turn("")
}

func isSystem(role []byte) bool { return isText(role, "system") || isText(role, "developer") }

// messages writes the conversation. Converse knows two roles, which take turns:
// what follows in the same role goes into the same message.
func (q *converseRequest) messages() {
	q.key("messages")
	q.dst = append(q.dst, '[')
	empty := len(q.dst)
	q.message, q.part = 0, -1
	for e := elementsOf(q.get("messages")); e.next() && q.err == nil; q.message++ {
		m := readMessage(e.val)
		switch {
		case isSystem(m.role):
		case isText(m.role, "user"):
			q.content("user", m.content, false)
		case isText(m.role, "assistant"):
			q.assistant(&m)
		case isText(m.role, "tool"):
			q.result(&m)
		default:
			q.failAt(".role", "it must be system, developer, user, assistant or tool")
		}
	}
	q.turn("")
	if len(q.dst) == empty {
		q.fail("messages", "a conversation needs a message with content")
	}
	q.dst = append(q.dst, ']')
}

// systemRole is what turn calls the list that Converse has beside messages.
const systemRole = "system"

// turn makes sure that a message of role is open, or none for "".
func (q *converseRequest) turn(role string) {
	if q.role == role {
		return
	}
	switch q.role {
	case "":
	case systemRole:
		q.raw("]")
	default:
		q.raw("]}")
	}
	switch q.role = role; role {
	case "":
	case systemRole:
		q.raw(`,"system":[`)
	default:
		q.next()
		q.raw(`{"role":"`)
		q.raw(role)
		q.raw(`","content":[`)
	}
}

// say writes a text into the message of role. Bedrock takes none that is blank.
func (q *converseRequest) say(role string, text []byte) {
	if !isBlankText(text) {
		q.turn(role)
		q.textBlock(text)
	}
}

// content writes what a message says: text, and unless it is textOnly images
// and files.
func (q *converseRequest) content(role string, raw []byte, textOnly bool) {
	switch KindOf(raw) {
	case String:
		q.say(role, raw)
	case Array:
		q.part = 0
		for e := elementsOf(raw); e.next() && q.err == nil; q.part++ {
			p := readPart(e.val)
			if textOnly && p.kind != textPart {
				q.failAt("", "only text is possible here")
				break
			}
			q.block(role, &p)
		}
		q.part = -1
	default:
		q.failAt(".content", "it must be a string or a list of parts")
	}
}

func (q *converseRequest) assistant(m *chatMessage) {
	const role = "assistant"
	switch {
	case m.audio != nil:
		q.failAt(".audio", "Bedrock's Converse has no audio")
	case m.call != nil:
		q.failAt(".function_call", "tool_calls are what can be converted")
	case m.calls != nil && KindOf(m.calls) != Array:
		q.failAt(".tool_calls", "it must be a list")
	}
	if m.content != nil {
		q.content(role, m.content, true)
	}
	if KindOf(m.refusal) == String {
		q.say(role, m.refusal)
	}
	for e := elementsOf(m.calls); e.next(); {
		c := readCall(e.val)
		if !nonEmptyString(c.id) || !nonEmptyString(c.name) {
			q.failAt(".tool_calls", "each call needs an id and a function with a name")
			return
		}
		q.turn(role)
		q.toolBlocks = true
		q.next()
		q.raw(`{"toolUse":{"toolUseId":`)
		q.dst = append(q.dst, c.id...)
		q.member("name", c.name)
		q.key("input")
		q.arguments(c.arguments)
		q.raw("}}")
	}
}

// arguments writes the object that the arguments of a call hold.
func (q *converseRequest) arguments(raw []byte) {
	start := len(q.dst)
	if raw = notNull(raw); KindOf(raw) == String {
		q.dst = appendUnescaped(q.dst, raw[1:len(raw)-1])
	} else {
		q.dst = append(q.dst, raw...) // some clients send the object itself
	}
	text := q.dst[start:]
	if len(bytes.TrimSpace(text)) == 0 {
		q.dst = append(q.dst[:start], "{}"...)
		return
	}
	doc := document(text)
	if KindOf(doc) != Object {
		q.failAt(".tool_calls", "arguments must be a JSON object")
	}
	q.dst = q.dst[:start+copy(text, doc)]
}

// result writes what a tool has answered.
func (q *converseRequest) result(m *chatMessage) {
	if !nonEmptyString(m.callID) {
		q.failAt(".tool_call_id", "it must be a string")
		return
	}
	q.turn("user")
	q.toolBlocks = true
	q.next()
	q.raw(`{"toolResult":{"toolUseId":`)
	q.dst = append(q.dst, m.callID...)
	q.raw(`,"content":[`)
	if KindOf(m.content) == String {
		q.textBlock(m.content) // here it may be blank
	} else {
		q.content("user", m.content, false)
	}
	q.raw("]}}")
}

func (q *converseRequest) textBlock(raw []byte) {
	q.next()
	q.raw(`{"text":`)
	q.dst = append(append(q.dst, raw...), '}')
}

func (q *converseRequest) block(role string, p *chatPart) {
	switch p.kind {
	case textPart:
		q.say(role, p.text)
	case imagePart:
		q.turn(role)
		q.image(p.url)
	case filePart:
		q.turn(role)
		q.document(p)
	default:
		q.failAt("", "Bedrock's Converse takes parts of the types text, image_url and file")
	}
}

// isBlankText tells whether the JSON string raw holds nothing but white space.
func isBlankText(raw []byte) bool {
	for s := raw[1 : len(raw)-1]; len(s) > 0; s = s[1:] {
		switch {
		case s[0] == '\\' && (s[1] == 'n' || s[1] == 'r' || s[1] == 't'):
			s = s[1:]
		case s[0] != ' ':
			return false
		}
	}
	return true
}
