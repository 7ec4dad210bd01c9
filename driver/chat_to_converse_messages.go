package driver

// system writes what system and developer messages say, wherever they stand.
// messages has checked them.
func (q *converseRequest) system() {
	q.at = 0
	for e := elementsOf(q.get("messages")); e.next() && q.err == nil; q.at++ {
		if m := readMessage(e.val); m.role == systemRole {
			q.content(systemList, m.content, systemRole)
		}
	}
	q.turn(noList)
}

// messages writes the conversation. Converse knows two roles, which take turns:
// what follows in the same role goes into the same message.
func (q *converseRequest) messages() {
	q.key("messages")
	q.dst = append(q.dst, '[')
	empty := len(q.dst)
	q.at = 0
	for e := elementsOf(q.get("messages")); e.next() && q.err == nil; q.at++ {
		switch m := q.message(e.val); {
		case q.err != nil:
		case m.role == userRole:
			q.content(userList, m.content, userRole)
		case m.role == assistantRole:
			q.assistant(&m)
		case m.role == toolRole:
			q.result(&m)
		}
	}
	q.turn(noList)
	if len(q.dst) == empty {
		q.fail("messages", errNothingSaid)
	}
	q.dst = append(q.dst, ']')
}

// openList is what blocks are written into at the moment: the content of a
// message, or the list that Converse has beside messages.
type openList uint8

const (
	noList openList = iota
	systemList
	userList
	assistantList
)

// turn makes sure that list is open, and no other.
func (q *converseRequest) turn(list openList) {
	if q.open == list {
		return
	}
	switch q.open {
	case systemList:
		q.raw("]")
	case userList, assistantList:
		q.raw("]}")
	}
	switch q.open = list; list {
	case systemList:
		q.raw(`,"system":[`)
	case userList:
		q.next()
		q.raw(`{"role":"user","content":[`)
	case assistantList:
		q.next()
		q.raw(`{"role":"assistant","content":[`)
	}
}

// say writes a text into list.
func (q *converseRequest) say(list openList, text []byte) {
	if !isBlankText(text) {
		q.turn(list)
		q.textBlock(text)
	}
}

// content writes into list what a message of role says.
func (q *converseRequest) content(list openList, raw []byte, role chatRole) {
	if KindOf(raw) == String {
		q.say(list, raw)
		return
	}
	e := elementsOf(raw)
	for p, ok := q.nextPart(&e, role); ok; p, ok = q.nextPart(&e, role) {
		switch p.kind {
		case imagePart:
			q.turn(list)
			q.image(&p)
		case filePart:
			q.turn(list)
			q.document(&p)
		default:
			q.say(list, p.text)
		}
	}
}

func (q *converseRequest) assistant(m *chatMessage) {
	q.content(assistantList, m.content, assistantRole)
	if m.refusal != nil {
		q.say(assistantList, m.refusal)
	}
	for i, e := 0, elementsOf(m.calls); e.next() && q.err == nil; i++ {
		c := q.chatCall(e.val, i)
		q.turn(assistantList)
		q.toolBlocks = true
		q.next()
		q.raw(`{"toolUse":{"toolUseId":`)
		q.dst = append(q.dst, c.id...)
		q.member("name", c.name)
		q.key("input")
		q.input(&c, i)
		q.raw("}}")
	}
}

// result writes what a tool has answered.
func (q *converseRequest) result(m *chatMessage) {
	q.turn(userList)
	q.toolBlocks = true
	q.next()
	q.raw(`{"toolResult":{"toolUseId":`)
	q.dst = append(q.dst, m.callID...)
	q.raw(`,"content":[`)
	if KindOf(m.content) == String {
		q.textBlock(m.content) // here it may be blank
	} else {
		q.content(userList, m.content, toolRole)
	}
	q.raw("]}}")
}

func (q *converseRequest) textBlock(raw []byte) {
	q.next()
	q.raw(`{"text":`)
	q.dst = append(append(q.dst, raw...), '}')
}
