package admin

import (
	"bytes"
	"errors"
	"strings"

	"headrace/conf"
)

// reference is a field that holds the id of an item of another kind.
type reference struct {
	field string
	kind  conf.Kind
	name  string // of the kind in error texts
}

// missingReference returns why the value's references are not good, in
// APISIX's words, "" if they are.
func (c *call) missingReference(v *value) string {
	for _, ref := range c.res.refs {
		id := idText(v.get(ref.field))
		if id == "" {
			continue
		}
		_, err := c.Store.Get(ref.kind, id)
		text := "failed to fetch " + ref.name + " info by " + ref.name + " id [" + id + "]"
		switch {
		case errors.Is(err, conf.ErrNotFound):
			return text + ", response code: 404"
		case err != nil:
			return text + ": " + err.Error()
		}
	}
	return ""
}

// stillUsed returns why the item must not be deleted, "" if nothing refers to it.
func (c *call) stillUsed() string {
	if c.res.used == "" || string(c.ctx.QueryArgs().Peek("force")) == "true" {
		return ""
	}
	for i := range resources {
		res := &resources[i]
		field := ""
		for _, ref := range res.refs {
			if ref.kind == c.res.kind {
				field = ref.field
			}
		}
		// traffic-split names upstreams, too; APISIX may share the store.
		splits := c.res.kind == conf.Upstreams && res.kind != conf.Upstreams && res.kind != conf.SSLs && res.schema != ""
		if field == "" && !splits {
			continue
		}
		items, err := c.Store.List(res.kind)
		if err != nil {
			return "failed to fetch " + res.plural() + ": " + err.Error()
		}
		for _, it := range items {
			user := ""
			switch {
			case splits && splitsTo(it.Raw, c.id):
				user = "plugin in " + res.split()
			case field != "" && bytes.Contains(it.Raw, []byte(field)) && idText(mustParse(it.Raw).get(field)) == c.id:
				user = res.name
			default:
				continue
			}
			return c.res.used + ", " + user + " [" + it.ID + "] is still using it now"
		}
	}
	return ""
}

// split is the name of a kind where the plugin traffic-split refers to an upstream.
func (r *resource) split() string {
	if r.kind == conf.GlobalRules {
		return r.kind.String()
	}
	return strings.TrimSuffix(r.kind.String(), "s")
}

// splitsTo reports whether traffic-split sends requests to the upstream.
func splitsTo(raw []byte, upstream string) bool {
	if !bytes.Contains(raw, []byte(`"traffic-split"`)) {
		return false
	}
	rules := mustParse(raw).get("plugins").get("traffic-split").get("rules")
	if rules == nil {
		return false
	}
	for _, rule := range rules.items {
		weighted := rule.get("weighted_upstreams")
		if weighted == nil {
			continue
		}
		for _, w := range weighted.items {
			if idText(w.get("upstream_id")) == upstream {
				return true
			}
		}
	}
	return false
}

// holdReferences keeps what is referred to from being deleted between the
// look at it and the write, and the other way round.
func (c *call) holdReferences() (release func()) {
	if c.verb == "DELETE" {
		if c.res.used == "" && c.res.owned == nil {
			return func() {}
		}
		c.refs.Lock()
		return c.refs.Unlock
	}
	c.refs.RLock()
	return c.refs.RUnlock
}

// withPlugins are the kinds whose items carry configurations of plugins.
var withPlugins = []conf.Kind{conf.Routes, conf.Services, conf.PluginConfigs, conf.Consumers, conf.ConsumerGroups, conf.GlobalRules}

// groupMismatch returns why the item does not fit those that share a group of
// a plugin with it, "" if it does.
func (c *call) groupMismatch(it conf.Item) string {
	if !c.Registry.MayJoin(it) {
		return ""
	}
	groups := c.Registry.Groups()
	for _, kind := range withPlugins {
		items, err := c.Store.List(kind)
		if err != nil {
			return "failed to fetch " + kind.String() + ": " + err.Error()
		}
		for _, other := range items {
			if other.Kind != it.Kind || other.ID != it.ID {
				groups.Add(other)
			}
		}
	}
	for _, f := range groups.Add(it) {
		return f.Text
	}
	return ""
}
