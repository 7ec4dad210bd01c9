package driver

import (
	"bytes"
	"slices"
)

// appendStrict appends the JSON schema raw, which is valid JSON, with what
// OpenAI asks of a strict one: every object lists all its properties as
// required and allows no others (ai-proxy.md section 4.1.5). It takes one
// pass, however deep the schema is.
func appendStrict(dst, raw []byte) []byte {
	s := strictCopy{p: raw, dst: dst}
	s.schema(0)
	return s.dst
}

type strictCopy struct {
	p, dst []byte
	names  [][]byte // properties of the objects that the walk is in
}

// schema copies the schema at i and returns the index behind it.
func (s *strictCopy) schema(i int) int {
	if s.p[i] != '{' {
		return s.verbatim(i)
	}
	base := len(s.names)
	var object, properties bool
	var closed, required []byte // members that a strict object has of its own
	s.dst = append(s.dst, '{')
	c := cursor{p: s.p, i: i}
	for c.next('{', '}') {
		at, val := c.key(), c.i
		name := plainKey(s.p[at+1 : at+skipQuoted(s.p[at:])])
		switch string(name) {
		case "additionalProperties":
			c.i, _ = skipValue(s.p, val, 0)
			closed = s.p[at:c.i]
			continue
		case "required":
			c.i, _ = skipValue(s.p, val, 0)
			required = s.p[at:c.i]
			continue
		}
		s.member(s.p[at:val])
		switch string(name) {
		case "type":
			c.i = s.verbatim(val)
			object = isText(s.p[val:c.i], "object")
		case "properties":
			properties = s.p[val] == '{'
			s.names = s.names[:base]
			c.i = s.each(val, true)
		case "$defs", "definitions":
			c.i = s.each(val, false)
		case "items":
			c.i = s.schema(val)
		case "anyOf", "oneOf", "allOf":
			c.i = s.list(val)
		default:
			c.i = s.verbatim(val)
		}
	}
	if object && properties {
		s.member(nil)
		s.dst = append(s.dst, `"additionalProperties":false,"required":[`...)
		s.required(s.names[base:])
		s.dst = append(s.dst, ']')
	} else {
		for _, raw := range [...][]byte{closed, required} {
			if raw != nil {
				s.member(raw)
			}
		}
	}
	s.dst = append(s.dst, '}')
	s.names = s.names[:base]
	return c.i
}

// member begins a member: a comma where one is due, and raw.
func (s *strictCopy) member(raw []byte) {
	if s.dst[len(s.dst)-1] != '{' {
		s.dst = append(s.dst, ',')
	}
	s.dst = append(s.dst, raw...)
}

// verbatim copies the value at i as it stands.
func (s *strictCopy) verbatim(i int) int {
	end, _ := skipValue(s.p, i, 0)
	s.dst = append(s.dst, s.p[i:end]...)
	return end
}

// each copies the object at i, the values of whose members are schemas; named
// says that the keys are properties.
func (s *strictCopy) each(i int, named bool) int {
	if s.p[i] != '{' {
		return s.verbatim(i)
	}
	s.dst = append(s.dst, '{')
	c := cursor{p: s.p, i: i}
	for c.next('{', '}') {
		at, val := c.key(), c.i
		if named {
			name, _ := unquoted(s.p[at:at+skipQuoted(s.p[at:])+1], nil)
			s.names = append(s.names, name)
		}
		s.member(s.p[at:val])
		c.i = s.schema(val)
	}
	s.dst = append(s.dst, '}')
	return c.i
}

// list copies the array of schemas at i.
func (s *strictCopy) list(i int) int {
	if s.p[i] != '[' {
		return s.verbatim(i)
	}
	s.dst = append(s.dst, '[')
	c, some := cursor{p: s.p, i: i}, false
	for ; c.next('[', ']'); some = true {
		if some {
			s.dst = append(s.dst, ',')
		}
		c.i = s.schema(c.i)
	}
	s.dst = append(s.dst, ']')
	return c.i
}

func (s *strictCopy) required(names [][]byte) {
	slices.SortFunc(names, bytes.Compare)
	for i, name := range names {
		if i > 0 && bytes.Equal(name, names[i-1]) {
			continue
		}
		if i > 0 {
			s.dst = append(s.dst, ',')
		}
		s.dst = AppendString(s.dst, name)
	}
}

// cursor walks the members or elements of a container in valid JSON. i starts
// at its opening byte; the user walks the values and moves i behind them.
type cursor struct {
	p []byte
	i int
}

// next moves to the next key or element; at the end it moves behind the container.
func (c *cursor) next(open, end byte) bool {
	i := skipSpace(c.p, c.i)
	if c.p[i] == open || c.p[i] == ',' {
		i = skipSpace(c.p, i+1)
	}
	if c.p[i] == end {
		c.i = i + 1
		return false
	}
	c.i = i
	return true
}

// key moves from a key to its value and returns where the key stands.
func (c *cursor) key() (at int) {
	at = c.i
	c.i, _ = skipKey(c.p, at)
	return at
}
