package responserewrite

import (
	"headrace/conf/expr"
	"headrace/plugin"
)

// rewrite changes status and headers, which every answer has.
type rewrite struct {
	vars     *expr.Expr // nil: every answer
	status   int        // 0: the upstream's
	add, set plugin.AnswerHeaders
	remove   []string
}

// FilterHeader implements plugin.HeaderFilter.
func (r *rewrite) FilterHeader(c *plugin.Ctx) {
	if r.vars.Eval(c) {
		r.rewriteStatus(c)
		r.rewriteHeaders(c)
	}
}

func (r *rewrite) rewriteStatus(c *plugin.Ctx) {
	if r.status != 0 && c.Status >= 200 { // a change of protocol is what it is
		c.Status = r.status
		c.HTTP.Response.SetStatusCode(r.status)
	}
}

func (r *rewrite) rewriteHeaders(c *plugin.Ctx) {
	r.add.Add(c)
	r.set.Set(c)
	for _, name := range r.remove {
		c.SetAnswerHeader(name, nil)
	}
}
