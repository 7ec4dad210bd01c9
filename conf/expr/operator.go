package expr

import "net/netip"

type op uint8

const (
	opEqual op = iota + 1
	opNotEqual
	opGreater
	opGreaterEqual
	opLess
	opLessEqual
	opMatch
	opMatchFold
	opIn
	opHas
	opIPMatch
)

var ops = map[string]op{
	"==": opEqual, "~=": opNotEqual,
	">": opGreater, ">=": opGreaterEqual, "<": opLess, "<=": opLessEqual,
	"~~": opMatch, "~*": opMatchFold,
	"in": opIn, "has": opHas, "ipmatch": opIPMatch,
}

// holds compares, without regard to a "!".
func (n *node) holds(v Value) bool {
	switch n.op {
	case opEqual:
		return n.equal(&v)
	case opNotEqual:
		return !n.equal(&v)
	case opMatch, opMatchFold:
		return n.matches(&v)
	case opIn:
		for i := range n.list {
			if n.list[i].equal(&v) {
				return true
			}
		}
		return false
	case opHas:
		return v.Kind == Array && n.value.kind != Absent && hasElement(v.Bytes, &n.value)
	case opIPMatch:
		return n.containsIP(&v)
	}
	return n.order(&v)
}

// equal converts only to a number, and only if the expression has one.
func (n *node) equal(v *Value) bool {
	if n.value.kind != Number {
		return n.value.equal(v)
	}
	f, ok := v.number()
	return ok && f == n.value.num
}

// order compares numbers; n.value is one, or nothing holds.
func (n *node) order(v *Value) bool {
	f, ok := v.number()
	if !ok || n.value.kind != Number {
		return false
	}
	switch n.op {
	case opGreater:
		return f > n.value.num
	case opGreaterEqual:
		return f >= n.value.num
	case opLess:
		return f < n.value.num
	case opLessEqual:
		return f <= n.value.num
	}
	return false
}

func (n *node) matches(v *Value) bool {
	switch v.Kind {
	case String:
		return n.re.Match(v.Bytes)
	case Number:
		var b [32]byte
		return n.re.Match(AppendNumber(b[:0], v.Num))
	case Bool:
		// Lua's nil and false are no subject.
		return v.Bool && n.re.Match([]byte("true"))
	}
	return false
}

func (n *node) containsIP(v *Value) bool {
	if v.Kind != String {
		return false
	}
	ip, err := netip.ParseAddr(view(v.Bytes))
	if err != nil || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	for _, p := range n.nets {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
