package admin

import "strings"

// patch changes a part of what is stored.
func (c *call) patch() written {
	if c.id == "" {
		if c.res.ident != nil {
			_, text := c.res.ident(c, nil)
			return refuse(c.folder, text)
		}
		return refuse("", "missing "+c.res.name+" id")
	}
	if c.body == nil {
		return refuse(c.id, "missing new configuration")
	}
	if len(c.sub) == 0 && c.body.kind != '{' {
		return refuse(c.id, "invalid configuration")
	}
	defer c.lock(c.id).Unlock()
	old, err := c.Store.Get(c.res.kind, c.id)
	if err != nil {
		return storeFailed(c.id, err)
	}
	v := mustParse(old.Raw)
	now := newInt(c.now().Unix())
	keep := len(c.sub) == 0 && c.body.get("update_time") != nil
	if len(c.sub) > 0 {
		if text := setPath(v, c.sub, c.body); text != "" {
			return refuse(c.id, text)
		}
	} else {
		merge(v, c.body)
	}
	if v.get("create_time") == nil {
		v.set("create_time", now)
	}
	if !keep || v.get("update_time") == nil {
		v.set("update_time", now)
	}
	if _, text := c.checkID(v, true); text != "" {
		return refuse(c.id, text)
	}
	if text := c.validate(c.id, v); text != "" {
		return refuse(c.id, text)
	}
	it := old
	it.Raw = v.append(nil)
	if it, err = c.Store.Swap(it, old.Rev, c.ttl); err != nil {
		w := storeFailed(c.id, err)
		w.old = old
		return w
	}
	return written{status: 200, id: c.id, old: old, now: it}
}

// merge changes v as APISIX's table.merge does: objects merge, everything
// else replaces, null deletes. Two of its habits are kept: an empty object
// replaces, for Lua takes it for an array, and what replaces a value that was
// no object keeps its nulls.
func merge(v, with *value) {
	for _, m := range with.members {
		cur := v.get(m.key)
		switch {
		case m.val.kind == 'n':
			v.remove(m.key)
		case m.val.kind == '{' && !m.val.empty() && cur != nil && cur.kind == '{' && !cur.empty():
			merge(cur, m.val)
		default:
			v.set(m.key, m.val)
		}
	}
}

// setPath sets the member at the path, making objects on the way. It returns
// what is wrong with the path.
func setPath(v *value, path []string, to *value) string {
	for i, name := range path[:len(path)-1] {
		next := v.get(name)
		if next == nil {
			next = &value{kind: '{'}
			v.set(name, next)
		}
		// Lua could step into an array and would leave a table that is
		// neither; here only an empty one is as good as an object.
		if next.kind == '[' && next.empty() {
			next.kind = '{'
		}
		if next.kind != '{' {
			return "invalid sub-path: /" + strings.Join(path[:i+1], "/")
		}
		v = next
	}
	v.set(path[len(path)-1], to)
	return ""
}
