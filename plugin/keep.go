package plugin

// kept is something that a plugin remembers from one phase of a request to a
// later one: the plugin itself is shared by all requests.
type kept struct{ key, value any }

// Keep stores value under key until the request ends. key must be comparable
// and the plugin's own: a pointer to the plugin's value does where both phases
// run on the same one. That of a route may be replaced by the consumer's
// between the rewrite phase and all later ones.
func (c *Ctx) Keep(key, value any) {
	for i := range c.kept {
		if c.kept[i].key == key {
			c.kept[i].value = value
			return
		}
	}
	c.kept = append(c.kept, kept{key, value})
}

// Kept returns what was stored under key, nil if nothing was.
func (c *Ctx) Kept(key any) any {
	for i := range c.kept {
		if c.kept[i].key == key {
			return c.kept[i].value
		}
	}
	return nil
}
