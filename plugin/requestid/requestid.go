package requestid

import "headrace/plugin"

type requestID struct {
	header  string
	respond bool
	append  func(dst []byte) []byte
	key     any // of the id among what plugins remember: one per header, as in APISIX
}

type key string

// Rewrite implements plugin.Rewriter. An id that the client sends is kept.
func (r *requestID) Rewrite(c *plugin.Ctx) plugin.Verdict {
	id := string(c.Header(r.header))
	if id == "" {
		var room [64]byte
		id = string(r.append(room[:0]))
		c.SetHeader(r.header, id)
	}
	c.RequestID = id
	if r.respond {
		c.Keep(r.key, id)
	}
	return 0
}

// FilterHeader implements plugin.HeaderFilter.
func (r *requestID) FilterHeader(c *plugin.Ctx) {
	if id, ok := c.Kept(r.key).(string); ok && r.respond && len(c.HTTP.Response.Header.Peek(r.header)) == 0 {
		c.SetAnswerHeader(r.header, []byte(id))
	}
}
