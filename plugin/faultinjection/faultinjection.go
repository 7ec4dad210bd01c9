package faultinjection

import (
	"math/rand/v2"

	"headrace/plugin"
)

// Rewrite implements plugin.Rewriter. Both conditions are looked at before the
// delay.
func (f *fault) Rewrite(c *plugin.Ctx) plugin.Verdict {
	ends := f.abort != nil && f.abort.hits(c)
	if f.delay != nil && f.delay.hits(c) && !c.Sleep(f.delay.d) {
		return plugin.Gone
	}
	if !ends {
		return 0
	}
	f.abort.headers.Set(c)
	body, _ := f.abort.body.Append(nil, c)
	contentType := plugin.Text
	if len(c.HTTP.Response.Header.ContentType()) > 0 { // one of the headers
		contentType = ""
	}
	return c.Reply(f.abort.status, contentType, body)
}

func (h *chance) hits(c *plugin.Ctx) bool {
	if h.Percentage != nil && rand.IntN(100) >= *h.Percentage {
		return false
	}
	for _, x := range h.any {
		if x.Eval(c) {
			return true
		}
	}
	return h.Vars == nil
}
