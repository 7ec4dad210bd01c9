package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"headrace/conf/pcre"
)

// The texts are those of lua-resty-expr; the caller puts "failed to validate
// the 'vars' expression: " in front.
var (
	errMissing  = errors.New("missing argument rule")
	errBrackets = errors.New("rule should be wrapped inside brackets")
	errShort    = errors.New("rule too short")
	errNot      = errors.New("bad 'not' expression")
	errInvalid  = errors.New("invalid expression")
	errIP       = errors.New("invalid ip address")
)

var logics = map[string]logic{"AND": and, "OR": or, "!AND": notAnd, "!OR": notOr}

// Compile compiles the JSON text of an expression. An empty object counts as
// an empty list: Lua, and clients written in it, cannot tell them apart.
func Compile(raw []byte) (*Expr, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, errInvalid
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errInvalid
	}
	switch x := v.(type) {
	case nil:
		return nil, errMissing
	case map[string]any:
		if len(x) > 0 {
			return nil, errInvalid
		}
		return &Expr{root: node{logic: and}}, nil
	case []any:
		return compileTop(x)
	}
	return nil, errInvalid
}

func compileTop(list []any) (*Expr, error) {
	if len(list) == 0 {
		return &Expr{root: node{logic: and}}, nil
	}
	switch first := list[0].(type) {
	case []any, map[string]any:
	case string:
		if _, ok := logics[strings.ToUpper(first)]; !ok {
			return nil, errBrackets
		}
	case json.Number:
		return nil, errBrackets
	default:
		return nil, errInvalid
	}
	e := &Expr{}
	if err := compileList(&e.root, list); err != nil {
		return nil, err
	}
	e.names = e.root.addNames(nil)
	return e, nil
}

// compileItem compiles one member of a list.
func compileItem(n *node, v any) error {
	switch x := v.(type) {
	case []any:
		return compileList(n, x)
	case map[string]any:
		if len(x) == 0 {
			return errShort
		}
	}
	return errInvalid
}

func compileList(n *node, list []any) error {
	if len(list) == 0 {
		return errShort
	}
	n.logic = and
	switch first := list[0].(type) {
	case []any, map[string]any:
	case string:
		word, ok := logics[strings.ToUpper(first)]
		if !ok {
			return compileLeaf(n, list)
		}
		if len(list) < 3 {
			return errShort
		}
		n.logic = word
		list = list[1:]
	default:
		return errInvalid // no variable has such a name
	}
	n.kids = make([]node, len(list))
	for i, item := range list {
		if err := compileItem(&n.kids[i], item); err != nil {
			return err
		}
	}
	return nil
}

func compileLeaf(n *node, list []any) error {
	n.logic = compare
	n.name = list[0].(string)
	list = list[1:]
	if len(list) == 3 {
		if list[0] != "!" {
			return errNot
		}
		n.negate = true
		list = list[1:]
	}
	if len(list) == 0 {
		return errInvalid
	}
	word, err := operatorWord(list[0])
	if err != nil {
		return err
	}
	o, known := ops[word]
	var value any // null, if nothing follows the operator
	switch {
	case len(list) > 1:
		value = list[1] // what follows is ignored, as in APISIX
	case !known:
		// [name, value] compares with the lower-case text: the value took
		// the operator's way in lua-resty-expr.
		o, known, value = opEqual, true, word
	}
	if !known {
		return fmt.Errorf("invalid operator '%s'", word)
	}
	n.op = o
	if path, ok := strings.CutPrefix(n.name, "post_arg."); ok {
		if n.path, err = ParsePath(path); err != nil {
			return err
		}
	}
	return compileValue(n, value)
}

// operatorWord is Lua's string.lower, which takes numbers too.
func operatorWord(v any) (string, error) {
	switch x := v.(type) {
	case string:
		return lower(x), nil
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return "", errInvalid
		}
		return string(AppendNumber(nil, f)), nil
	}
	return "", errInvalid
}

// lower changes ASCII letters only, as Lua does.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func compileValue(n *node, value any) (err error) {
	if n.value, err = newConstant(value); err != nil {
		return err
	}
	if n.value.kind == Null {
		n.value.kind = Absent
	}
	switch n.op {
	case opGreater, opGreaterEqual, opLess, opLessEqual:
		f, ok := n.value.number()
		n.value = constant{}
		if ok {
			n.value = constant{kind: Number, num: f}
		}
	case opMatch, opMatchFold:
		return n.compileMatch()
	case opIn:
		list, _ := value.([]any)
		n.list = make([]constant, len(list))
		for i, item := range list {
			if n.list[i], err = newConstant(item); err != nil {
				return err
			}
		}
	case opIPMatch:
		return n.compileNets(value)
	}
	return nil
}

func (n *node) compileMatch() error {
	src := n.value.str
	switch n.value.kind {
	case String:
	case Number:
		src = string(AppendNumber(nil, n.value.num))
	default:
		return errInvalid
	}
	flags := ""
	if n.op == opMatchFold {
		flags = "i"
	}
	re, err := pcre.Compile(src, flags)
	if err != nil {
		return fmt.Errorf("invalid regular expression %q", src)
	}
	n.re = re
	return nil
}

func (n *node) compileNets(value any) error {
	list, ok := value.([]any)
	if !ok {
		s, _ := value.(string)
		if s == "" {
			return errIP
		}
		list = []any{s}
	}
	if len(list) == 0 {
		return errIP
	}
	for _, item := range list {
		s, _ := item.(string)
		p, err := ParseNet(s)
		if err != nil {
			return fmt.Errorf("invalid ip address: %v", item)
		}
		n.nets = append(n.nets, p)
	}
	return nil
}

// ParseNet reads an address or a CIDR; host bits are cut off.
func ParseNet(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Zone() != "" {
		return netip.Prefix{}, errIP
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func newConstant(v any) (constant, error) {
	switch x := v.(type) {
	case nil:
		return constant{kind: Null}, nil
	case string:
		return constant{kind: String, str: x}, nil
	case bool:
		return constant{kind: Bool, bool: x}, nil
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return constant{}, errInvalid
		}
		return constant{kind: Number, num: f}, nil
	case []any:
		return constant{kind: Array}, nil
	}
	return constant{kind: Object}, nil
}
