package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// The walkers below expect JSON that was validated before: they only find
// where values begin and end, so order and spelling are kept.

// members calls fn with each member of the object at b[i], in order.
func members(b []byte, i int, fn func(key string, start, end int)) {
	for i = skipBlanks(b, i+1); i < len(b) && b[i] == '"'; {
		end := stringEnd(b, i)
		key := unquote(b[i:end])
		start := skipBlanks(b, skipBlanks(b, end)+1)
		end = skipValue(b, start)
		fn(key, start, end)
		if i = skipBlanks(b, end); i >= len(b) || b[i] != ',' {
			return
		}
		i = skipBlanks(b, i+1)
	}
}

// elements calls fn with each element of the array at b[i], in order.
func elements(b []byte, i int, fn func(start, end int)) {
	for i = skipBlanks(b, i+1); i < len(b) && b[i] != ']'; {
		end := skipValue(b, i)
		fn(i, end)
		if i = skipBlanks(b, end); i >= len(b) || b[i] != ',' {
			return
		}
		i = skipBlanks(b, i+1)
	}
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return min(len(b), i+1+depth)
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

func unquote(b []byte) string {
	if len(b) >= 2 && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		return string(b[1 : len(b)-1])
	}
	var s string
	_ = json.Unmarshal(b, &s)
	return s
}

// jsonType names the type of a JSON value in the words of APISIX's schema errors.
func jsonType(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// appendString writes s as a JSON string; what is no UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// integer is a whole number; 1.0 counts, as it does for a JSON schema.
type integer int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *integer) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(b), 64)
		if v = int64(f); err != nil || float64(v) != f {
			return errors.New("expected integer")
		}
	}
	*n = integer(v)
	return nil
}
