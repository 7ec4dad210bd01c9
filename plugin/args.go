package plugin

import "bytes"

// Args walks the pairs of a query or of a form, undecoded:
//
//	for a := ArgsOf(query); a.Next(); { ... }
type Args struct {
	rest  []byte
	Piece []byte // the whole pair
	Name  []byte
	Value []byte
	Bare  bool // there is no "="
}

// ArgsOf begins a walk. Names and values alias query.
func ArgsOf(query []byte) Args { return Args{rest: query} }

// Next moves to the next pair.
func (a *Args) Next() bool {
	if len(a.rest) == 0 {
		return false
	}
	a.Piece, a.rest, _ = bytes.Cut(a.rest, ampersand)
	var found bool
	a.Name, a.Value, found = bytes.Cut(a.Piece, equals)
	a.Bare = !found
	return true
}

var ampersand, equals = []byte("&"), []byte("=")

// Is compares the name, decoded; letter case counts.
func (a *Args) Is(name string) bool { return UnescapedIs(a.Name, name) }

// UnescapedIs says whether raw is text when it is decoded.
func UnescapedIs(raw []byte, text string) bool {
	if len(raw) < len(text) {
		return false
	}
	for i := range len(text) {
		if len(raw) == 0 {
			return false
		}
		var b byte
		if b, raw = unescapeByte(raw); b != text[i] {
			return false
		}
	}
	return len(raw) == 0
}

// escaped says whether s has anything to decode.
func escaped(s []byte) bool { return bytes.IndexByte(s, '%') >= 0 || bytes.IndexByte(s, '+') >= 0 }

// AppendUnescaped writes a name or a value of a query decoded: %XX, and "+"
// as a blank. A "%" that begins no such escape stands for itself.
func AppendUnescaped(dst, s []byte) []byte {
	for len(s) > 0 {
		var b byte
		b, s = unescapeByte(s)
		dst = append(dst, b)
	}
	return dst
}

// unescapeByte takes one decoded byte off s, which is not empty.
func unescapeByte(s []byte) (b byte, rest []byte) {
	switch b = s[0]; {
	case b == '+':
		b = ' '
	case b == '%' && len(s) > 2:
		if v, ok := HexPair(s[1], s[2]); ok {
			return v, s[3:]
		}
	}
	return b, s[1:]
}

// HexPair is the byte that two hexadecimal digits spell.
func HexPair(high, low byte) (b byte, ok bool) {
	h, l := unhex(high), unhex(low)
	return h<<4 | l&15, h < 16 && l < 16
}

// unhex is the value of a hexadecimal digit, 16 for what is none.
func unhex(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 16
}
