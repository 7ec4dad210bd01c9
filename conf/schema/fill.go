package schema

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// fill puts defaults into v, in the order in which APISIX comes by them, and
// brings values to the spelling that the schema asks for. It returns what
// stands for v afterwards and whether that is another value than v; the
// members of v are changed in place.
//
// A default is put in as it is: what it leaves out is not filled in turn.
func (n *node) fill(v any) (any, bool) {
	if n.ref != nil {
		return n.ref.fill(v)
	}
	if n.inner != nil {
		if _, ok := v.(string); ok {
			return v, false
		}
		if n.is("string") {
			return v, false // the wrong type
		}
		return n.inner.fill(v)
	}
	changed := false
	switch x := v.(type) {
	case json.Number:
		if n.is("integer") {
			return wholeNumber(x)
		}
		return v, false
	case map[string]any:
		if len(x) == 0 && n.is("array") {
			return []any{}, true
		}
		n.fillObject(x)
	case []any:
		if len(x) == 0 {
			if !n.is("object") {
				return v, false
			}
			m := map[string]any{}
			v, changed = m, true
			n.fillObject(m)
		} else {
			n.fillArray(x)
		}
	default:
		return v, false
	}
	if n.fills {
		n.fillLogic(v)
	}
	return v, changed
}

func (n *node) fillObject(m map[string]any) {
	for i := range n.props {
		p := &n.props[i]
		val, ok := m[p.name]
		switch {
		case ok:
			if nv, changed := p.node.fill(val); changed {
				m[p.name] = nv
			}
			if p.dep != nil && p.dep.node != nil && p.dep.node.fills {
				p.dep.node.fill(m)
			}
		case p.def != nil && !p.required:
			m[p.name] = clone(p.def)
		}
	}
	if len(n.patterns) == 0 && n.rest == nil {
		return
	}
	for k, val := range m {
		matched := false
		for _, p := range n.patterns {
			if p.re.MatchString(k) {
				matched = true
				if nv, changed := p.node.fill(val); changed {
					m[k], val = nv, nv
				}
			}
		}
		if !matched && n.rest != nil && !n.hasProp(k) {
			if nv, changed := n.rest.fill(val); changed {
				m[k] = nv
			}
		}
	}
}

func (n *node) fillArray(list []any) {
	for i, val := range list {
		sub := n.items
		if len(n.tuple) > 0 {
			sub = n.overflow
			if i < len(n.tuple) {
				sub = n.tuple[i]
			}
		}
		if sub == nil {
			return
		}
		if nv, changed := sub.fill(val); changed {
			list[i] = nv
		}
	}
}

// fillLogic fills by the branches that apply to v. APISIX also leaves behind
// what branches filled before they failed; that depends on its hash order.
func (n *node) fillLogic(v any) {
	for _, s := range n.all {
		s.fill(v)
	}
	fillFirst(n.any, v)
	fillFirst(n.one, v)
	if n.cond == nil || !(fills(n.then) || fills(n.els)) {
		return
	}
	if n.cond.matches(v) {
		if n.then != nil {
			n.then.fill(v)
		}
	} else if n.els != nil {
		n.els.fill(v)
	}
}

func fillFirst(branches []*node, v any) {
	any := false
	for _, s := range branches {
		any = any || s.fills
	}
	if !any {
		return
	}
	for _, s := range branches {
		if s.matches(v) {
			s.fill(v)
			return
		}
	}
}

func fills(n *node) bool {
	return n != nil && n.fills
}

func (n *node) hasProp(name string) bool {
	_, ok := n.sch.Properties[name]
	return ok
}

// wholeNumber spells a number like 1.0 or 1e3 without fraction and exponent.
func wholeNumber(x json.Number) (any, bool) {
	if !strings.ContainsAny(string(x), ".eE") {
		return x, false
	}
	f, err := strconv.ParseFloat(string(x), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return x, false
	}
	return json.Number(strconv.FormatInt(int64(f), 10)), true
}
