package admin

import (
	"fmt"
	"time"

	"headrace/conf"
	"headrace/engine"
)

// Exported is an apisix.yaml made of a store, and what there is to say of it.
type Exported struct {
	Body   []byte // the lists, without an end marker
	Items  int
	Masked int      // secrets that are shown as ********
	Lost   []string // items that are no JSON objects: "routes/1"
}

// Export writes the items of a store, which are in the order of Load, as the
// lists of an apisix.yaml. Ids are those of files, and what changes without a
// change of meaning is left out: two exports of the same routes are equal.
// Unless clear is set secrets are masked; a reference to one is none.
func Export(reg *engine.Registry, items []conf.Stored, clear bool) Exported {
	var x Exported
	kind := conf.Kind(0)
	for _, it := range items {
		v := mustParse(it.Raw)
		if v.kind != '{' && it.Kind != conf.Plugins {
			x.Lost = append(x.Lost, it.Kind.String()+"/"+it.ID)
			continue
		}
		x.Items++
		if it.Kind == conf.Plugins {
			x.Body = (&value{kind: '{', members: []member{{it.Kind.String(), v}}}).appendYAML(x.Body, 0)
			continue
		}
		if it.Kind != kind {
			kind = it.Kind
			x.Body = fmt.Appendf(x.Body, "%s:\n", kind)
		}
		if !it.Expires.IsZero() {
			x.Body = fmt.Appendf(x.Body, "  # In the store until %s; a file has no such limit.\n", it.Expires.UTC().Format(time.RFC3339))
		}
		if !clear {
			x.Masked += maskForFile(reg, it.Item, v)
		}
		x.Body = (&value{kind: '[', items: []*value{inFile(it.Item, v)}}).appendYAML(x.Body, 2)
	}
	if len(x.Body) == 0 {
		x.Body = []byte("routes: []\n")
	}
	return x
}

// inFile gives a stored value the form of an element in a list: the id comes
// first and is whole, times are left out.
func inFile(it conf.Item, v *value) *value {
	id := v.get("id")
	for _, name := range []string{"id", "create_time", "update_time"} {
		v.remove(name)
	}
	if it.Kind == conf.Consumers && v.get("username") != nil {
		return v // the username is the id
	}
	if id == nil || idText(id) != it.ID {
		id = newString(it.ID)
	}
	v.members = append([]member{{"id", id}}, v.members...)
	return v
}

// maskForFile masks the secrets of a value, private keys among them, and
// returns how many there were.
func maskForFile(reg *engine.Registry, it conf.Item, v *value) (n int) {
	hide := func(_ string, at *value) {
		if at.kind == '"' && conf.IsReference(at.text()) {
			return
		}
		*at = *newString(mask)
		n++
	}
	res := resourceOf(it.Kind, it.ID)
	if res == nil { // a kind that this version does not serve: anything may be one
		walk(v, "", nil, func(at string, s *value) {
			if at != "id" {
				hide(at, s)
			}
		})
		return n
	}
	for _, name := range res.hidden {
		walk(v.get(name), name, nil, hide)
	}
	secrets(reg, res, v, hide)
	return n
}
