package admin

import (
	"context"

	"headrace/conf"
)

// await waits until a write is in force: the next request must see it.
func (c *call) await(w *written) {
	if w.now.Rev == 0 || c.Applied == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), appliedWait)
	defer cancel()
	if err := c.Applied(ctx, w.now.Rev); err != nil {
		// It is stored, and will come into force: no error for the client.
		c.Log.Warn("a change is stored but not in force yet", "item", c.item(w.id), "rev", w.now.Rev)
	}
}

// item names what a call is about in the logs.
func (c *call) item(id string) string {
	if c.res == nil {
		return "configs"
	}
	return c.res.kind.String() + "/" + id
}

// audit notes who did what, and never a value: error texts quote those.
func (c *call) audit(w *written) {
	result := "updated"
	switch {
	case w.status == 201:
		result = "created"
	case w.status == 204:
		result = "unchanged"
	case w.status == 404:
		result = "not found"
	case w.status == 503 && w.text == conf.ErrConflict.Error():
		result = "conflict"
	case w.status == 503:
		result = "failed"
	case w.status >= 400:
		result = "refused"
	case c.verb == "DELETE":
		result = "deleted"
	}
	name := noKeyName
	if c.key != nil {
		name = c.key.Name
	}
	c.Audit.Info("admin change", "key", name, "client", c.client.String(), "verb", c.verb,
		"item", c.item(w.id), "old_rev", w.old.Rev, "new_rev", w.now.Rev, "result", result)
	if result == "failed" {
		c.Log.Error("cannot write to the store", "item", c.item(w.id), "err", w.text)
	}
}
