package admin

import (
	"cmp"
	"strconv"
	"strings"

	"headrace/conf"
	"headrace/engine"
)

const versionSuffix = "_conf_version"

// part is what a document says of one kind.
type part struct {
	version int64
	given   bool   // the document has a version
	list    *value // nil: there is none, or an empty one
	items   []conf.Item
}

// fault is one thing that is wrong with a document.
type fault struct {
	kind  conf.Kind
	item  *value // nil: it is not about one
	index int
	text  string
}

// readDocument reads a document in JSON or YAML (gateway.md 2.2). It answers
// itself when it returns nil.
func (c *call) readDocument(limit int) *value {
	raw, text := c.rawBody(limit)
	switch {
	case text != "":
		fail(c.ctx, 400, text)
		return nil
	case len(raw) == 0:
		fail(c.ctx, 400, "invalid request body: empty request body")
		return nil
	}
	var err error
	if strings.HasPrefix(string(c.ctx.Request.Header.ContentType()), typeYAML) {
		raw, err = conf.YAMLToJSON(raw)
	}
	var doc *value
	if err == nil {
		doc, err = parse(raw)
	}
	switch {
	case err != nil:
		fail(c.ctx, 400, "invalid request body: "+err.Error())
		return nil
	case doc.kind != '{' && !(doc.kind == '[' && doc.empty()): // Lua cannot tell {} from []
		fail(c.ctx, 400, "invalid request body: expected an object with lists of resources")
		return nil
	}
	return doc
}

// checkDocument looks at every item of a document as at one that is written,
// but for references. It stops at the first fault unless all is set.
func checkDocument(reg *engine.Registry, doc *value, all bool) (parts map[conf.Kind]part, faults []fault) {
	parts = map[conf.Kind]part{}
	for _, kind := range conf.Kinds() {
		p := part{list: doc.get(kind.String())}
		add := func(item *value, index int, text string) (stop bool) {
			if text != "" {
				faults = append(faults, fault{kind, item, index, text})
			}
			return text != "" && !all
		}
		if v := doc.get(kind.String() + versionSuffix); v != nil && v.kind != 'n' {
			p.given = true
			var text string
			if p.version, text = versionOf(v); text != "" {
				text = kind.String() + versionSuffix + text
				if all && v.kind != '0' {
					text += ", got " + v.typeName()
				}
				if add(nil, 0, text) {
					return nil, faults
				}
			}
		}
		switch {
		case p.list == nil:
		case p.list.kind == 'n' || p.list.empty():
			p.list = nil
		case p.list.kind != '[':
			if add(nil, 0, kind.String()+" must be a list") {
				return nil, faults
			}
		case kind == conf.Plugins: // one item, however many names it has
			raw := p.list.append(nil)
			if _, err := resourceSchema("plugins").Check(raw); err != nil && add(nil, 0, "invalid configuration: "+err.Error()) {
				return nil, faults
			}
			p.items = []conf.Item{{Kind: kind, ID: kind.String(), Raw: raw}}
		default:
			seen := map[string]bool{}
			for i, item := range p.list.items {
				it, text := checkElement(reg, kind, i, item)
				if add(item, i, text) || add(item, i, duplicate(kind, item, seen)) {
					return nil, faults
				}
				p.items = append(p.items, it)
			}
		}
		parts[kind] = p
	}
	return parts, faults
}

// unknownKeys are the keys of a document that nobody reads.
func unknownKeys(doc *value) (keys []string) {
	for _, m := range doc.members {
		if conf.KindOf(strings.TrimSuffix(m.key, versionSuffix)) == 0 {
			keys = append(keys, m.key)
		}
	}
	return keys
}

// versionOf reads a version: 64 bits, for clients take the milliseconds of
// the clock. text follows the name of the key.
func versionOf(v *value) (n int64, text string) {
	if v.kind != '0' {
		return 0, " must be a number"
	}
	n, err := strconv.ParseInt(idText(v), 10, 64)
	if err != nil {
		return 0, " must be an integer"
	}
	return n, ""
}

// checkElement returns why an item may not be in a document, "" if it may.
func checkElement(reg *engine.Registry, kind conf.Kind, index int, item *value) (it conf.Item, text string) {
	switch kind {
	case conf.StreamRoutes:
		return it, textNoStream
	case conf.Protos:
		return it, textNoProtos
	}
	it, err := conf.Element(kind, index+1, item.append(nil))
	if err != nil {
		return it, err.Error()
	}
	res := resourceOf(kind, it.ID)
	fields, plugins := res.refusals(reg.CheckItem(it))
	return it, cmp.Or(fields, plugins, refuseMask(reg, res, item))
}

// duplicate notes the item's name and says whether another had it.
func duplicate(kind conf.Kind, item *value, seen map[string]bool) (text string) {
	id, what := idText(item.get("id")), "id"
	if kind == conf.Consumers {
		if what = "credential id"; id == "" {
			id, what = item.get("username").text(), "username"
		}
	}
	if id == "" {
		return ""
	}
	if seen[id] {
		return "found duplicate " + what + " " + id + " in " + kind.String()
	}
	seen[id] = true
	return ""
}

// validateDocument answers POST /configs/validate (gateway.md 3.9).
func (c *call) validateDocument() {
	doc := c.readDocument(maxBody)
	if doc == nil {
		return
	}
	_, faults := checkDocument(c.Registry, doc, true)
	if len(faults) == 0 {
		reply(c.ctx, 200, []byte("{}"))
		return
	}
	b := []byte(`{"error_msg":"Configuration validation failed","errors":[`)
	for i, f := range faults {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(b, `{"resource_type":`...), f.kind.String())
		if f.item != nil {
			b = append(append(b, `,"resource_id":`...), f.resourceID()...)
			b = strconv.AppendInt(append(b, `,"index":`...), int64(f.index), 10)
		}
		b = append(appendQuoted(append(b, `,"error":`...), f.text), '}')
	}
	reply(c.ctx, 400, append(b, "]}"...))
}

// resourceID is the item's id as it was sent, or its username.
func (f *fault) resourceID() []byte {
	for _, name := range []string{"id", "username"} {
		if v := f.item.get(name); v != nil && v.kind != 'n' {
			return v.append(nil)
		}
	}
	return []byte(`""`)
}
