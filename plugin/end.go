package plugin

// Ender undoes what a plugin has begun for one request.
type Ender interface{ End(c *Ctx) }

// OnEnd has e.End called once when the request has ended: after its last byte,
// when the client has gone, after a panic, and also where _meta.filter would
// keep the plugin's log phase from running. It must not wait.
func (c *Ctx) OnEnd(e Ender) { c.ends = append(c.ends, e) }

// End calls what OnEnd was given, the last one first. It is for the engine.
func (c *Ctx) End() {
	for n := len(c.ends); n > 0; n = len(c.ends) {
		e := c.ends[n-1]
		c.ends[n-1] = nil
		c.ends = c.ends[:n-1] // first, so that one that panics is not called again
		e.End(c)
	}
}
