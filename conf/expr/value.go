package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds. The variables of a request are strings, those that are read from
// a JSON body keep their type.
const (
	Absent Kind = iota
	String
	Number
	Bool
	Null
	Array
	Object
)

// Value is the value of a variable. The zero Value is absent.
type Value struct {
	// Bytes is the text of a String, and the JSON of an Array or Object.
	Bytes []byte
	Num   float64
	Kind  Kind
	Bool  bool
}

// StringValue returns a String; b is not copied.
func StringValue(b []byte) Value { return Value{Kind: String, Bytes: b} }

// NumberValue returns a Number.
func NumberValue(f float64) Value { return Value{Kind: Number, Num: f} }

// BoolValue returns a Bool.
func BoolValue(b bool) Value { return Value{Kind: Bool, Bool: b} }

// JSONValue returns the value that one JSON text stands for, or an absent
// one if raw is not JSON. Arrays and objects are not looked into and, like
// strings without escapes, not copied.
func JSONValue(raw []byte) Value {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return Value{}
	}
	switch raw[0] {
	case '[':
		return Value{Kind: Array, Bytes: raw}
	case '{':
		return Value{Kind: Object, Bytes: raw}
	case '"':
		s, ok := unquote(raw)
		if !ok {
			return Value{}
		}
		return StringValue(s)
	}
	switch string(raw) {
	case "null":
		return Value{Kind: Null}
	case "true":
		return BoolValue(true)
	case "false":
		return BoolValue(false)
	}
	// A number that is too large is infinite, as in Lua.
	if f, err := strconv.ParseFloat(view(raw), 64); err == nil || math.IsInf(f, 0) && errors.Is(err, strconv.ErrRange) {
		return NumberValue(f)
	}
	return Value{}
}

// unquote returns the text of a JSON string.
func unquote(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, false
	}
	return []byte(s), true
}

// number is Lua's tonumber: of numbers and of strings that spell one.
func (v *Value) number() (float64, bool) {
	switch v.Kind {
	case Number:
		return v.Num, true
	case String:
		return parseNumber(v.Bytes)
	}
	return 0, false
}

// parseNumber reads what Lua takes for a number: blanks around it, hexadecimal
// with or without a fraction. Lua's "inf" and "nan" are no numbers here: a
// client could send them.
func parseNumber(b []byte) (float64, bool) {
	b = bytes.Trim(b, " \t\n\v\f\r")
	if len(b) == 0 || len(b) > 64 {
		return 0, false
	}
	digits := b
	if digits[0] == '-' || digits[0] == '+' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] != '.' && (digits[0] < '0' || digits[0] > '9') || bytes.IndexByte(b, '_') >= 0 {
		return 0, false
	}
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' && !bytes.ContainsAny(digits, "pP.") {
		u, err := strconv.ParseUint(view(digits[2:]), 16, 64)
		if err != nil {
			return 0, false
		}
		if b[0] == '-' {
			return -float64(u), true
		}
		return float64(u), true
	}
	f, err := strconv.ParseFloat(view(b), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// constant is a value of the expression's own text.
type constant struct {
	kind Kind
	str  string
	num  float64
	bool bool
}

// equal is Lua's ==: equal type and value; arrays and objects never are, they
// would be two.
func (c *constant) equal(v *Value) bool {
	if c.kind != v.Kind {
		return false
	}
	switch c.kind {
	case String:
		return c.str == string(v.Bytes)
	case Number:
		return c.num == v.Num
	case Bool:
		return c.bool == v.Bool
	case Absent, Null:
		return true
	}
	return false
}

// number is Lua's tonumber of the constant.
func (c *constant) number() (float64, bool) {
	switch c.kind {
	case Number:
		return c.num, true
	case String:
		return parseNumber([]byte(c.str))
	}
	return 0, false
}

// AppendNumber writes a number as text, as Lua's tostring does: C's %.14g.
func AppendNumber(dst []byte, f float64) []byte {
	return strconv.AppendFloat(dst, f, 'g', 14, 64)
}

// view looks at bytes as a string for the length of a call that does not keep
// it.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
