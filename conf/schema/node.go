package schema

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// node stands beside one compiled schema and keeps what the library forgets:
// the order of things, and where defaults are.
type node struct {
	sch *jsonschema.Schema
	// inner holds the checks that a secret reference passes unseen; all
	// other fields but types are then empty.
	inner *node
	ref   *node // $ref: nothing else counts

	types    []string
	props    []prop
	required []string
	deps     []dep
	patterns []pattern
	rest     *node // additionalProperties

	items    *node
	tuple    []*node
	overflow *node // additionalItems

	all, any, one        []*node
	anyRequired          string // `["a"] or ["b","c"]`: what the branches of anyOf require
	cond, then, els, not *node
	contains             *node

	// fills is set if a default may be found here or below.
	fills bool
}

type prop struct {
	name     string
	node     *node
	def      any // nil: none
	required bool
	dep      *dep
}

// dep says what must hold if a property is present.
type dep struct {
	name  string
	names []string
	node  *node
}

type pattern struct {
	re   jsonschema.Regexp
	node *node
}

type builder struct {
	root any
	done map[*jsonschema.Schema]*node
	err  error
}

func (b *builder) build(doc any, sch *jsonschema.Schema) *node {
	if n := b.done[sch]; n != nil {
		return n
	}
	n := &node{sch: sch}
	b.done[sch] = n
	o, ok := doc.(*object)
	if !ok {
		return n
	}
	n.types = names(o.vals["type"])
	if t, ok := o.vals["type"].(string); ok {
		n.types = []string{t}
	}
	switch {
	case o.wrapped:
		n.inner = b.build(o.vals["else"], sch.Else)
		n.fills = n.inner.fills
	case sch.Ref != nil:
		n.ref = b.build(b.lookup(sch.Ref.Location), sch.Ref)
		n.fills = true // a guess: the target may be a schema that is still being built
	default:
		b.buildObject(n, o)
		b.buildArray(n, o)
		b.buildLogic(n, o)
	}
	return n
}

// sub builds a part of n and notes whether it fills.
func (b *builder) sub(n *node, doc any, sch *jsonschema.Schema) *node {
	if sch == nil {
		return nil
	}
	s := b.build(doc, sch)
	n.fills = n.fills || s.fills
	return s
}

func (b *builder) subs(n *node, doc any, schs []*jsonschema.Schema) []*node {
	docs, _ := doc.([]any)
	var list []*node
	for i, sch := range schs {
		list = append(list, b.sub(n, docs[i], sch))
	}
	return list
}

func (b *builder) buildObject(n *node, o *object) {
	n.required = n.sch.Required
	byName := map[string]*dep{}
	if deps, ok := o.vals["dependencies"].(*object); ok {
		n.deps = make([]dep, len(deps.keys))
		for i, name := range deps.keys {
			d := &n.deps[i]
			d.name = name
			switch want := n.sch.Dependencies[name].(type) {
			case []string:
				d.names = want
			case *jsonschema.Schema:
				d.node = b.sub(n, deps.vals[name], want)
			}
			byName[name] = d
		}
	}
	if props, ok := o.vals["properties"].(*object); ok {
		for _, name := range props.keys {
			p := prop{name: name, dep: byName[name]}
			p.node = b.sub(n, props.vals[name], n.sch.Properties[name])
			for _, r := range n.required {
				p.required = p.required || r == name
			}
			if po, ok := props.vals[name].(*object); ok {
				p.def = plain(po.vals["default"])
			}
			n.fills = n.fills || p.def != nil
			n.props = append(n.props, p)
		}
	}
	if pats, ok := o.vals["patternProperties"].(*object); ok {
		for _, src := range pats.keys {
			for re, sch := range n.sch.PatternProperties {
				if re.String() == src {
					n.patterns = append(n.patterns, pattern{re, b.sub(n, pats.vals[src], sch)})
				}
			}
		}
	}
	if sch, ok := n.sch.AdditionalProperties.(*jsonschema.Schema); ok {
		n.rest = b.sub(n, o.vals["additionalProperties"], sch)
	}
}

func (b *builder) buildArray(n *node, o *object) {
	switch items := n.sch.Items.(type) {
	case *jsonschema.Schema:
		n.items = b.sub(n, o.vals["items"], items)
	case []*jsonschema.Schema:
		n.tuple = b.subs(n, o.vals["items"], items)
	}
	if sch, ok := n.sch.AdditionalItems.(*jsonschema.Schema); ok {
		n.overflow = b.sub(n, o.vals["additionalItems"], sch)
	}
	n.contains = b.sub(n, o.vals["contains"], n.sch.Contains)
}

func (b *builder) buildLogic(n *node, o *object) {
	n.all = b.subs(n, o.vals["allOf"], n.sch.AllOf)
	n.any = b.subs(n, o.vals["anyOf"], n.sch.AnyOf)
	n.one = b.subs(n, o.vals["oneOf"], n.sch.OneOf)
	n.cond = b.sub(n, o.vals["if"], n.sch.If)
	n.then = b.sub(n, o.vals["then"], n.sch.Then)
	n.els = b.sub(n, o.vals["else"], n.sch.Else)
	n.not = b.sub(n, o.vals["not"], n.sch.Not)
	var req []string
	for _, a := range n.any {
		if a.inner != nil {
			a = a.inner
		}
		if len(a.required) > 0 {
			req = append(req, string(appendScalar(nil, a.required)))
		}
	}
	n.anyRequired = strings.Join(req, " or ")
}

// lookup finds the part of the document that a $ref leads to.
func (b *builder) lookup(location string) any {
	_, ptr, _ := strings.Cut(location, "#")
	cur := b.root
	for tok := range strings.SplitSeq(strings.TrimPrefix(ptr, "/"), "/") {
		if ptr == "" {
			break
		}
		tok = strings.NewReplacer("~1", "/", "~0", "~").Replace(tok)
		switch x := cur.(type) {
		case *object:
			cur = x.vals[tok]
		case []any:
			i, err := strconv.Atoi(tok)
			if err != nil || i < 0 || i >= len(x) {
				cur = nil
			} else {
				cur = x[i]
			}
		default:
			cur = nil
		}
	}
	if cur == nil {
		b.err = errors.New("cannot follow $ref to " + strconv.Quote(location))
	}
	return cur
}

func names(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// parts are the nodes that look at the same value as n.
func (n *node) parts() []*node {
	list := slices.Concat([]*node{n.inner, n.ref, n.cond, n.then, n.els, n.not}, n.all, n.any, n.one)
	for i := range n.deps {
		list = append(list, n.deps[i].node)
	}
	return slices.DeleteFunc(list, func(p *node) bool { return p == nil })
}

// endless tells whether n leads back to itself by way of $ref without going
// down into the value. on holds the nodes that are being looked at, seen those
// that are known to be fine.
func (n *node) endless(on, seen map[*node]bool) bool {
	if on[n] || seen[n] {
		return on[n]
	}
	on[n] = true
	for _, p := range n.parts() {
		if p.endless(on, seen) {
			return true
		}
	}
	delete(on, n)
	seen[n] = true
	return false
}

// is tells whether t is the only type of n.
func (n *node) is(t string) bool {
	return len(n.types) == 1 && n.types[0] == t
}

// matches is the library's verdict alone. v may be changed by filling.
func (n *node) matches(v any) bool {
	if n.fills {
		v, _ = n.fill(clone(v))
	}
	return n.sch.Validate(v) == nil
}

func clone(v any) any {
	switch x := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, val := range x {
			m[k] = clone(val)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, val := range x {
			list[i] = clone(val)
		}
		return list
	}
	return v
}
