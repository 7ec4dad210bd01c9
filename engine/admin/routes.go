package admin

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"headrace/conf"
)

// swapTries bounds how often a PUT starts over because another process wrote
// the item meanwhile.
const swapTries = 8

// resource answers a request for a resource of the table.
func (c *call) resource() {
	if slices.Contains(c.res.without, c.verb) {
		fail(c.ctx, 405, "not supported `"+c.verb+"` method for "+c.res.name)
		return
	}
	// Only PATCH and POST say something about what follows an id. APISIX
	// ignores it elsewhere: DELETE /routes/1/plugins deletes the route there.
	if len(c.sub) > 0 && c.verb != "PATCH" && c.verb != "POST" {
		fail(c.ctx, 404, textNoVerb)
		return
	}
	if c.verb == "GET" {
		c.get()
		return
	}
	if c.verb != "DELETE" && !c.readBody() || !c.readTTL() {
		return
	}
	w := c.write()
	c.answer(&w)
}

// times are the fields that clients may not send with PUT and POST.
var times = []string{"create_time", "update_time"}

// forbiddenTime returns APISIX's text (with its two blanks) when one is there.
func forbiddenTime(v *value) string {
	for _, in := range []string{"", "upstream", "plugins"} {
		at, prefix := v, ""
		if in != "" {
			at, prefix = v.get(in), in+"."
		}
		for _, name := range times {
			if t := at.get(name); t != nil && string(t.raw) != "false" {
				return "the property is forbidden:  " + prefix + name
			}
		}
	}
	return ""
}

func (c *call) write() written {
	defer c.holdReferences()()
	switch c.verb {
	case "PUT":
		return c.put()
	case "POST":
		return c.post()
	case "PATCH":
		return c.patch()
	}
	return c.delete()
}

// written is what became of a write.
type written struct {
	status   int
	text     string // of an error
	id       string
	old, now conf.Item // Rev 0: there was, or is, none
}

func refuse(id, text string) written { return written{status: 400, id: id, text: text} }

func storeFailed(id string, err error) written {
	switch {
	case errors.Is(err, conf.ErrNotFound):
		return written{status: 404, id: id}
	case errors.Is(err, conf.ErrConflict):
		return written{status: 503, id: id, text: conf.ErrConflict.Error()}
	}
	return written{status: 503, id: id, text: err.Error()}
}

// put stores the body under the id of the path, or its own.
func (c *call) put() written {
	v, id, text := c.prepare(true)
	if text != "" {
		return refuse(c.stored(id), text)
	}
	at := c.stored(id)
	defer c.lock(at).Unlock()
	if text := c.validate(id, v); text != "" {
		return refuse(at, text)
	}
	if c.res.settle != nil {
		if w, stop := c.res.settle(c, at); stop {
			return w
		}
	}
	for range swapTries {
		old, err := c.Store.Get(c.res.kind, at)
		if err != nil && !errors.Is(err, conf.ErrNotFound) {
			return storeFailed(at, err)
		}
		if !c.res.untimed {
			c.stamp(v, mustParse(old.Raw).get("create_time"))
		}
		now, err := c.Store.Swap(conf.Item{Kind: c.res.kind, ID: at, Raw: v.append(nil)}, old.Rev, c.ttl)
		if errors.Is(err, conf.ErrConflict) {
			continue
		}
		if err != nil {
			return storeFailed(at, err)
		}
		w := written{status: 200, id: at, old: old, now: now}
		if old.Rev == 0 {
			w.status = 201
		}
		return w
	}
	return storeFailed(at, conf.ErrConflict)
}

// post stores the body under an id made from the revision.
func (c *call) post() written {
	v, _, text := c.prepare(false)
	if text == "" {
		text = c.validate("", v)
	}
	if text != "" {
		return refuse("", text)
	}
	now, err := c.Store.Create(c.res.kind, c.ttl, func(id string) ([]byte, error) {
		v.set("id", newString(id))
		c.stamp(v, nil)
		return v.append(nil), nil
	})
	if err != nil {
		return storeFailed("", err)
	}
	return written{status: 201, id: now.ID, now: now}
}

// prepare applies the rules that come before any schema (gateway.md 3.5, 1
// and 2) and puts the id into the value. text says what is wrong.
func (c *call) prepare(needID bool) (v *value, id, text string) {
	v = c.body
	if v == nil || v.kind == 'n' {
		return nil, c.id, "missing configurations"
	}
	if c.res.ident != nil {
		id, text = c.res.ident(c, v)
	} else {
		id, text = c.checkID(v, needID)
	}
	if text == "" {
		text = forbiddenTime(v)
	}
	return v, id, text
}

// checkID decides between the id of the path and that of the body.
func (c *call) checkID(v *value, needID bool) (id, text string) {
	own := v.get("id")
	id = c.id
	if id == "" {
		id = idText(own)
	}
	switch {
	case !needID && (id != "" || own != nil):
		return id, "wrong " + c.res.name + " id, do not need it"
	case !needID:
		return "", ""
	case id == "":
		return "", "missing " + c.res.name + " id"
	case own != nil && idText(own) != id:
		return id, "wrong " + c.res.name + " id"
	case c.id != "" && v.kind == '{':
		// The path's id is a string, whatever the body had, as in APISIX.
		v.set("id", newString(id))
	}
	return id, ""
}

// idText is the id that a value stands for: 1.0 is 1.
func idText(v *value) string {
	s := v.text()
	if v == nil || v.kind != '0' {
		return s
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == float64(int64(f)) && strings.ContainsAny(s, ".eE") {
		return strconv.FormatInt(int64(f), 10)
	}
	return s
}

// stamp sets the times of a value that has none yet.
func (c *call) stamp(v, created *value) {
	now := newInt(c.now().Unix())
	if created == nil {
		created = now
	}
	v.set("create_time", created)
	v.set("update_time", now)
}

func (c *call) delete() written {
	if c.id == "" {
		return refuse(c.folder, "missing "+c.res.name+" id")
	}
	at := c.stored(c.id)
	defer c.lock(at).Unlock()
	if text := c.stillUsed(); text != "" {
		return refuse(at, text)
	}
	if c.res.owned != nil {
		if w, failed := c.deleteOwned(); failed {
			return w
		}
	}
	old, rev, err := c.Store.Delete(c.res.kind, at)
	if err != nil {
		return storeFailed(at, err)
	}
	w := written{status: 200, id: at, old: old}
	w.now.Rev = rev
	return w
}

// deleteOwned deletes what belongs to the item, before the item as in APISIX:
// whatever stops half way, nothing is left that belongs to nobody.
func (c *call) deleteOwned() (w written, failed bool) {
	ids, err := c.res.owned(c)
	if err != nil {
		return storeFailed(c.stored(c.id), err), true
	}
	for _, id := range ids {
		old, rev, err := c.Store.Delete(c.res.kind, id)
		if errors.Is(err, conf.ErrNotFound) {
			continue // another gateway was quicker
		}
		if err != nil {
			return storeFailed(id, err), true
		}
		w := written{status: 200, id: id, old: old}
		w.now.Rev = rev
		c.audit(&w)
	}
	return written{}, false
}

// answer waits until a write is in force, notes it and tells the client.
func (c *call) answer(w *written) {
	c.await(w)
	c.audit(w)
	switch {
	case w.status == 404 && w.text == "":
		c.missing()
	case w.status >= 400:
		fail(c.ctx, w.status, w.text)
	case c.verb == "DELETE":
		b := appendQuoted([]byte(`{"key":`), c.res.key(c.Prefix, w.id))
		reply(c.ctx, 200, append(b, `,"deleted":"1"}`...))
	default:
		b := appendQuoted([]byte(`{"key":`), c.res.key(c.Prefix, w.id))
		b = append(append(b, `,"value":`...), c.show(w.now.Raw)...)
		reply(c.ctx, w.status, append(b, '}'))
	}
}

// get answers with one item or the list.
func (c *call) get() {
	if c.id == "" {
		c.list()
		return
	}
	it, err := c.Store.Get(c.res.kind, c.stored(c.id))
	if errors.Is(err, conf.ErrNotFound) {
		c.missing()
		return
	}
	if err != nil {
		c.storeUnreadable(err)
		return
	}
	reply(c.ctx, 200, appendItem(nil, c.Prefix, c.res, it, c.show(it.Raw)))
}

func (c *call) storeUnreadable(err error) {
	c.Log.Error("cannot read the store", "err", err)
	fail(c.ctx, 503, err.Error())
}

// show returns a stored value as the caller may see it.
func (c *call) show(raw []byte) []byte {
	if !c.viewer() && len(c.res.hidden) == 0 {
		return raw
	}
	v := mustParse(raw)
	c.res.hide(v)
	if c.viewer() {
		maskValue(c.Registry, c.res, v)
	}
	return v.append(nil)
}

// appendItem writes the envelope of a read item; prefix begins its key.
func appendItem(dst []byte, prefix string, res *resource, it conf.Item, raw []byte) []byte {
	dst = appendQuoted(append(dst, `{"key":`...), res.key(prefix, it.ID))
	dst = append(append(dst, `,"value":`...), raw...)
	dst = strconv.AppendInt(append(dst, `,"createdIndex":`...), it.Created, 10)
	dst = strconv.AppendInt(append(dst, `,"modifiedIndex":`...), it.Rev, 10)
	return append(dst, '}')
}
