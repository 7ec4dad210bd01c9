package mocking

import (
	"time"

	"headrace/plugin"
)

type mocking struct {
	delay       time.Duration
	status      int
	contentType []byte
	example     *plugin.Combination // nil: the answer is made up
	schema      *property
	write       func(dst []byte, made object) []byte // nil: not for this type
	headers     plugin.AnswerHeaders
	marked      bool
}

// mark is what APISIX says of itself in such answers.
var mark = []byte("APISIX/3.18.0")

// Access implements plugin.Accessor.
func (m *mocking) Access(c *plugin.Ctx) plugin.Verdict {
	if !c.Sleep(m.delay) {
		return plugin.Gone
	}
	var body []byte
	switch {
	case m.example != nil:
		body, _ = m.example.Append(nil, c)
	case m.write != nil:
		body = m.write(nil, m.schema.make())
	}
	c.SetAnswerHeader("Content-Type", m.contentType)
	if m.marked {
		c.SetAnswerHeader("X-Mock-By", mark)
	}
	m.headers.Add(c)
	return c.Reply(m.status, "", body)
}
