package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// value is a JSON value that can be edited and written again without touching
// the rest: objects keep the order of their keys, and strings and numbers
// keep the text that the client sent.
type value struct {
	kind    byte   // '{', '[', '"', '0' a number, 't' a boolean, 'n' null
	raw     []byte // of scalars
	members []member
	items   []*value
}

type member struct {
	key string
	val *value
}

// parse decodes raw into memory of its own. Of a key that an object has twice
// the last value counts, as for every reader of what is stored.
func parse(raw []byte) (*value, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("it is not valid UTF-8")
	}
	var all json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	p := parser{text: bytes.Clone(raw)}
	return p.value(), nil
}

// mustParse is parse for what was stored by us.
func mustParse(raw []byte) *value {
	v, err := parse(raw)
	if err != nil {
		// Another program may write to the same store.
		return &value{kind: 'n', raw: []byte("null")}
	}
	return v
}

// parser walks text that is known to be valid.
type parser struct {
	text []byte
	at   int
}

func (p *parser) next() byte {
	for {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			p.at++
		default:
			return c
		}
	}
}

func (p *parser) value() *value {
	v := &value{kind: p.next()}
	switch v.kind {
	case '{':
		index := map[string]int{}
		for p.at++; p.next() != '}'; {
			key := unquote(p.scalar())
			val := p.value()
			if i, twice := index[key]; twice {
				v.members[i].val = val
				continue
			}
			index[key] = len(v.members)
			v.members = append(v.members, member{key, val})
		}
		p.at++
	case '[':
		for p.at++; p.next() != ']'; {
			v.items = append(v.items, p.value())
		}
		p.at++
	default:
		v.raw = p.scalar()
		switch v.kind {
		case '"', 't', 'n':
		case 'f':
			v.kind = 't'
		default:
			v.kind = '0'
		}
	}
	return v
}

func (p *parser) scalar() []byte {
	from := p.at
	if p.text[p.at] != '"' {
		for p.at < len(p.text) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(p.text[p.at])) {
			p.at++
		}
		return p.text[from:p.at:p.at]
	}
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	return p.text[from:p.at:p.at]
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // raw is valid
	return s
}

// append writes the value without blanks.
func (v *value) append(dst []byte) []byte {
	switch v.kind {
	case '{':
		dst = append(dst, '{')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, m.key), ':')
			dst = m.val.append(dst)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, it := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = it.append(dst)
		}
		return append(dst, ']')
	}
	return append(dst, v.raw...)
}

// get returns a member of an object, nil if it is not there or v is no object.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].key == key {
			return v.members[i].val
		}
	}
	return nil
}

// set replaces a member of an object in its place, or adds it at the end.
func (v *value) set(key string, val *value) {
	for i := range v.members {
		if v.members[i].key == key {
			v.members[i].val = val
			return
		}
	}
	v.members = append(v.members, member{key, val})
}

func (v *value) remove(key string) {
	for i := range v.members {
		if v.members[i].key == key {
			v.members = append(v.members[:i], v.members[i+1:]...)
			return
		}
	}
}

// text is what a scalar says: a string without its quotes.
func (v *value) text() string {
	switch {
	case v == nil:
		return ""
	case v.kind == '"':
		return unquote(v.raw)
	}
	return string(v.raw)
}

// empty is what Lua cannot tell from an empty array.
func (v *value) empty() bool {
	return (v.kind == '{' || v.kind == '[') && len(v.members) == 0 && len(v.items) == 0
}

// typeName is the type in the words of APISIX's schema errors.
func (v *value) typeName() string {
	switch v.kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

func newString(s string) *value { return &value{kind: '"', raw: appendQuoted(nil, s)} }

func newInt(n int64) *value { return &value{kind: '0', raw: strconv.AppendInt(nil, n, 10)} }

// appendQuoted writes s as a JSON string, with < and > as they are.
func appendQuoted(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
