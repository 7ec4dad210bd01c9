package plugin

import (
	"slices"
	"strings"
)

// Escape says how a template writes the values of variables (nginx's
// log_format parameter of that name).
type Escape uint8

// The escapes. EscapeDefault writes quotes, backslashes, control bytes and
// bytes above 126 as \xXX and a missing value as "-"; EscapeJSON escapes as in
// a JSON string, and EscapeNone not at all, both with an empty missing value.
const (
	EscapeDefault Escape = iota
	EscapeJSON
	EscapeNone
)

// Template is text with variables in it, compiled.
type Template struct {
	parts  []part
	escape Escape
}

type part struct {
	text string // literal, when v is nil
	v    Var
}

// CompileTemplate compiles text in which $name and ${name} stand for request
// variables. A name that nothing stands for is a missing value, as in nginx
// where APISIX registers its names at run time.
func CompileTemplate(text string, escape Escape) *Template {
	t := &Template{escape: escape}
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			break
		}
		name, rest := cutName(text[i+1:])
		if name == "" {
			t.literal(text[:i+1])
			text = text[i+1:]
			continue
		}
		t.literal(text[:i])
		v, _ := LookupVar(name)
		t.parts = append(t.parts, part{v: v})
		text = rest
	}
	t.literal(text)
	return t
}

// cutName takes "name" or "{name}" from the front of s. What is no name, like
// "{a-b}", gives "": there nginx refuses to start, here it is text.
func cutName(s string) (name, rest string) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		n := nameLen(inner)
		if n < len(inner) && inner[n] == '}' {
			return inner[:n], inner[n+1:]
		}
		return "", s
	}
	n := nameLen(s)
	return s[:n], s[n:]
}

func nameLen(s string) (n int) {
	for n < len(s) && (s[n] == '_' || '0' <= s[n] && s[n] <= '9' || 'a' <= s[n]|0x20 && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

func (t *Template) literal(s string) {
	if s == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].v == nil {
		t.parts[n-1].text += s
		return
	}
	t.parts = append(t.parts, part{text: s})
}

// Append writes the template for c to dst. It does not allocate beyond dst.
func (t *Template) Append(dst []byte, c *Ctx) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		if p.v == nil {
			dst = append(dst, p.text...)
			continue
		}
		start, ok := len(dst), false
		dst, ok = p.v(c, dst)
		switch {
		case !ok:
			dst = dst[:start]
			if t.escape == EscapeDefault {
				dst = append(dst, '-')
			}
		case t.escape != EscapeNone:
			dst = t.escapeTail(dst, start)
		}
	}
	return dst
}

const hexDigits = "0123456789ABCDEF"

// escapeTail escapes what stands in dst from start on, in place where nothing
// needs it.
func (t *Template) escapeTail(dst []byte, start int) []byte {
	extra := 0
	for _, b := range dst[start:] {
		extra += t.cost(b)
	}
	if extra == 0 {
		return dst
	}
	end := len(dst)
	dst = slices.Grow(dst, extra)[:end+extra]
	// From the back, so that nothing is overwritten before it was read.
	to := len(dst)
	for from := end - 1; from >= start; from-- {
		b := dst[from]
		switch n := t.cost(b); n {
		case 0:
			to--
			dst[to] = b
		case 1: // JSON: \" \\ \n \r \t \b \f
			to -= 2
			dst[to], dst[to+1] = '\\', jsonShort(b)
		case 3: // \xXX
			to -= 4
			copy(dst[to:], []byte{'\\', 'x', hexDigits[b>>4], hexDigits[b&15]})
		case 5: // JSON: \u00XX
			to -= 6
			copy(dst[to:], []byte{'\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15]})
		}
	}
	return dst
}

// cost is the number of bytes that escaping b adds.
func (t *Template) cost(b byte) int {
	if t.escape == EscapeDefault {
		if b < 0x20 || b > 0x7e || b == '"' || b == '\\' {
			return 3
		}
		return 0
	}
	switch {
	case jsonShort(b) != 0:
		return 1
	case b < 0x20:
		return 5
	}
	return 0
}

func jsonShort(b byte) byte {
	switch b {
	case '"', '\\':
		return b
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	}
	return 0
}
