package driver

// silent tells whether nothing comes of m. Such a message does not part those
// before it from those behind.
func (m *chatMessage) silent() bool {
	model := m.role == assistantRole
	switch {
	case m.role == toolRole, m.call != nil, m.audio != nil:
		return false
	case m.calls != nil && !isEmptyList(m.calls), m.refusal != nil && !isBlankText(m.refusal):
		return false
	case m.content == nil:
		return model
	case KindOf(m.content) != Array:
		return isBlankText(m.content)
	}
	for e := elementsOf(m.content); e.next(); {
		p := readPart(e.val)
		if p.kind != textPart && !(model && p.kind == refusalPart) || !isBlankText(p.text) {
			return false
		}
	}
	return true
}

// side is who speaks in Anthropic's API, where the user says what tools return.
func (r chatRole) side() chatRole {
	if r == toolRole {
		return userRole
	}
	return r
}

// system writes what system and developer messages say, wherever they stand.
func (q *messagesRequest) system() {
	before := len(q.dst)
	q.key("system")
	q.raw("[")
	empty := len(q.dst)
	q.at = 0
	for e := elementsOf(q.get("messages")); e.next() && q.err == nil; q.at++ {
		if m := q.message(e.val); m.role == systemRole {
			q.content(m.content, systemRole)
		}
	}
	if len(q.dst) == empty {
		q.dst = q.dst[:before]
		return
	}
	q.raw("]")
}

// messages writes the conversation, which system has checked. Messages that
// follow each other on the same side become one, as Anthropic's API has them.
func (q *messagesRequest) messages() {
	q.key("messages")
	q.raw("[")
	empty := len(q.dst)
	side := noRole
	var from elements // of the messages of side
	start := 0
	e := elementsOf(q.get("messages"))
	for i := 0; q.err == nil; i++ {
		before := e
		if !e.next() {
			q.say(side, from, start, i)
			break
		}
		m := readMessage(e.val)
		if next := m.role.side(); next != side && next != systemRole && !m.silent() {
			q.say(side, from, start, i)
			side, from, start = next, before, i
		}
	}
	if len(q.dst) == empty {
		q.fail("messages", errNothingSaid)
	}
	q.raw("]")
}

// say writes the messages of side from start to end as one. Results of tools
// come first: Anthropic's API wants them right behind the calls.
func (q *messagesRequest) say(side chatRole, from elements, start, end int) {
	switch side {
	case noRole: // nothing was said yet
		return
	case userRole:
		q.next()
		q.raw(`{"role":"user","content":[`)
	case assistantRole:
		q.next()
		q.raw(`{"role":"assistant","content":[`)
	}
	for _, results := range [...]bool{true, false} {
		e := from
		for q.at = start; q.at < end && e.next(); q.at++ {
			m := readMessage(e.val)
			switch tool := m.role == toolRole; {
			case m.role.side() != side || tool != results:
			case tool:
				q.result(&m)
			case side == userRole:
				q.content(m.content, userRole)
			default:
				q.assistant(&m)
			}
		}
	}
	q.raw("]}")
}

// result writes what a tool has returned.
func (q *messagesRequest) result(m *chatMessage) {
	q.next()
	q.raw(`{"type":"tool_result","tool_use_id":`)
	q.dst = append(q.dst, m.callID...)
	switch KindOf(m.content) {
	case String:
		q.member("content", m.content)
	case Array:
		q.key("content")
		q.raw("[")
		q.content(m.content, toolRole)
		q.raw("]")
	}
	q.raw("}")
}

// assistant writes what the model has said and called.
func (q *messagesRequest) assistant(m *chatMessage) {
	q.content(m.content, assistantRole)
	if m.refusal != nil {
		q.textBlock(m.refusal)
	}
	for i, e := 0, elementsOf(m.calls); e.next() && q.err == nil; i++ {
		c := q.chatCall(e.val, i)
		q.next()
		q.raw(`{"type":"tool_use","id":`)
		q.dst = append(q.dst, c.id...)
		q.member("name", c.name)
		q.key("input")
		q.input(&c, i)
		q.raw("}")
	}
}

// content writes the blocks that a content of role becomes.
func (q *messagesRequest) content(raw []byte, role chatRole) {
	if KindOf(raw) == String {
		q.textBlock(raw)
		return
	}
	e := elementsOf(raw)
	for p, ok := q.nextPart(&e, role); ok; p, ok = q.nextPart(&e, role) {
		switch p.kind {
		case imagePart:
			q.image(&p)
		case filePart:
			q.file(&p)
		default:
			q.textBlock(p.text)
		}
	}
}

// textBlock writes the JSON string raw.
func (q *messagesRequest) textBlock(raw []byte) {
	if !isBlankText(raw) {
		q.next()
		q.raw(`{"type":"text","text":`)
		q.dst = append(append(q.dst, raw...), '}')
	}
}

func (q *messagesRequest) image(p *chatPart) {
	if p.data != nil {
		q.next()
		q.raw(`{"type":"image","source":`)
		q.source(p)
		q.raw("}")
		return
	}
	var url []byte
	if p.url != nil {
		url, _ = unquoted(p.url, nil)
	}
	if !hasScheme(url, "https:") && !hasScheme(url, "http:") {
		q.failAt(".image_url.url", "it must be an http or https URL, or a data URL in base64 with its media type")
		return
	}
	q.next()
	q.raw(`{"type":"image","source":{"type":"url","url":`)
	q.dst = append(append(q.dst, p.url...), "}}"...)
}

// file writes a PDF that the client has sent along.
func (q *messagesRequest) file(p *chatPart) {
	if !equalLower(p.media, pdfType) {
		q.failAt(".file.file_data", "Anthropic's API knows files of the type application/pdf only")
		return
	}
	p.media = pdfType
	q.next()
	q.raw(`{"type":"document","source":`)
	q.source(p)
	if p.name != nil {
		q.member("title", p.name)
	}
	q.raw("}")
}

var pdfType = []byte("application/pdf")

// source writes the data of p, which stand in its URL.
func (q *messagesRequest) source(p *chatPart) {
	q.raw(`{"type":"base64","media_type":`)
	q.dst = AppendString(q.dst, p.media)
	q.raw(`,"data":"`)
	q.dst = append(append(q.dst, p.data...), `"}`...)
}
