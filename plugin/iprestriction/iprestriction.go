package iprestriction

import "headrace/plugin"

type restriction struct {
	nets   *plugin.Nets
	allow  bool // who is in nets may pass, else who is not
	status int
	body   []byte
}

// Access implements plugin.Accessor. An address that is not known is in no list.
func (r *restriction) Access(c *plugin.Ctx) plugin.Verdict {
	if r.nets.Contains(c.Req.Remote.Addr()) == r.allow {
		return 0
	}
	return c.Reply(r.status, plugin.JSON, r.body)
}
