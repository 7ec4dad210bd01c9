// Package expr compiles and evaluates "vars" expressions: the conditions of
// routes, of "_meta.filter" and of some plugins. It follows lua-resty-expr
// 1.3.2, which APISIX 3.18 uses, in grammar, meaning and error texts:
//
//	expr := [ item, ... ]            all must hold; [] always holds
//	      | [ LOGIC, item, ... ]     OR, AND, !OR, !AND in any letter case
//	item := expr | [name, op, value] | [name, "!", op, value] | [name, value]
//
// A variable "post_arg.<path>" is a value of the request's body, see Path.
//
// Three differences. Filters in JSONPath are refused. A pattern that does not
// compile is an error here, in APISIX it is a condition that never holds. And
// patterns are read by RE2 where it knows the syntax: "$" then means the very
// end, in PCRE also the place before a last line break.
package expr

import (
	"net/netip"
	"slices"
	"sync"

	"headrace/conf/pcre"
)

// Vars is where an expression finds the values of its variables.
type Vars interface {
	// Var returns the value of a variable, or the zero Value if there is
	// none. It may append the bytes of the result to dst, or let them alias
	// its own memory; they are read before the next call of Var.
	Var(dst []byte, name string) Value
}

// Body is what Vars may be besides: it finds values in the request's body. For
// Vars without it "post_arg.<path>" is a variable like any other.
type Body interface {
	// PostArg returns what a path leads to, as Vars.Var returns a variable.
	PostArg(dst []byte, path *Path) Value
}

// Expr is a compiled expression. It never changes and may be used from any
// number of goroutines.
type Expr struct {
	root  node
	names []string
}

// Names returns the variables that the expression reads, each once, in the
// order of the text. The caller must not change the slice.
func (e *Expr) Names() []string {
	return e.names
}

// Eval tells whether the expression holds. A nil Expr holds always.
func (e *Expr) Eval(vars Vars) bool {
	if e == nil || len(e.root.kids) == 0 {
		return true
	}
	b := getScratch()
	ok := e.root.eval(vars, b[:0])
	putScratch(b)
	return ok
}

type logic uint8

const (
	compare logic = iota // a leaf
	and
	or
	notAnd
	notOr
)

// node is a condition, or a list of conditions under one logic word.
type node struct {
	logic logic
	kids  []node

	name   string
	path   *Path // of "post_arg.<path>"
	op     op
	negate bool
	value  constant
	list   []constant // in
	nets   []netip.Prefix
	re     *pcre.Regexp
}

func (n *node) eval(vars Vars, dst []byte) bool {
	switch n.logic {
	case and, notAnd:
		for i := range n.kids {
			if !n.kids[i].eval(vars, dst) {
				return n.logic == notAnd
			}
		}
		return n.logic == and
	case or, notOr:
		for i := range n.kids {
			if n.kids[i].eval(vars, dst) {
				return n.logic == or
			}
		}
		return n.logic == notOr
	}
	return n.holds(n.left(vars, dst)) != n.negate
}

// left is the value of the condition's variable.
func (n *node) left(vars Vars, dst []byte) Value {
	if n.path != nil {
		if b, ok := vars.(Body); ok {
			return b.PostArg(dst, n.path)
		}
	}
	return vars.Var(dst, n.name)
}

// addNames collects the variables below n.
func (n *node) addNames(names []string) []string {
	if n.logic == compare {
		if slices.Contains(names, n.name) {
			return names
		}
		return append(names, n.name)
	}
	for i := range n.kids {
		names = n.kids[i].addNames(names)
	}
	return names
}

const scratchSize = 512

var scratches = sync.Pool{New: func() any { return new([scratchSize]byte) }}

func getScratch() *[scratchSize]byte  { return scratches.Get().(*[scratchSize]byte) }
func putScratch(b *[scratchSize]byte) { scratches.Put(b) }
