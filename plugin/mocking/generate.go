package mocking

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"headrace/driver"
)

// property is what a schema says about a value: of JSON Schema only the types,
// and an example.
type property struct {
	Type       string               `json:"type"`
	Example    json.RawMessage      `json:"example"`
	Items      *property            `json:"items"`
	Properties map[string]*property `json:"properties"`
}

// object is a made-up object; its values are string, float64, bool, object and
// []any of these.
type object []member

type member struct {
	name  string
	value any
}

// maker counts what it has made: lists in lists would grow without end.
type maker struct{ left int }

// maxValues is how many values an answer may have until lists have one item only.
const maxValues = 1000

// make makes an object as p describes it, whatever type p has.
func (p *property) make() object {
	m := maker{maxValues}
	return m.object(p)
}

func (m *maker) object(p *property) object {
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		if v := m.value(p.Properties[name]); v != nil {
			o = append(o, member{name, v})
		}
	}
	return o
}

// value makes a value, nil for a type that is not known.
func (m *maker) value(p *property) any {
	if p == nil {
		return nil
	}
	m.left--
	switch strings.ToLower(p.Type) {
	case "object":
		return m.object(p)
	case "array":
		return m.list(p.Items)
	case "string":
		if s := ""; json.Unmarshal(p.Example, &s) == nil && len(p.Example) > 0 && p.Example[0] == '"' {
			return s
		}
		s := make([]byte, 1+rand.IntN(10))
		for i := range s {
			s[i] = 'a' + byte(rand.IntN(26))
		}
		return string(s)
	case "number":
		if f, ok := p.number(); ok {
			return f
		}
		return rand.Float64() * 10000
	case "integer":
		if f, ok := p.number(); ok {
			return math.Floor(f)
		}
		return float64(1 + rand.IntN(10000))
	case "boolean":
		return string(p.Example) == "true" || string(p.Example) != "false" && rand.IntN(2) == 1
	}
	return nil
}

func (m *maker) list(items *property) any {
	if items == nil {
		return nil
	}
	n := 1
	if m.left > 0 {
		n += rand.IntN(3)
	}
	list := []any{}
	for range n {
		if v := m.value(items); v != nil {
			list = append(list, v)
		}
	}
	return list
}

func (p *property) number() (float64, bool) {
	f, err := strconv.ParseFloat(string(p.Example), 64)
	return f, err == nil
}

func appendJSON(dst []byte, made object) []byte { return appendValue(dst, made) }

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(driver.AppendString(dst, []byte(m.name)), ':')
			dst = appendValue(dst, m.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, item)
		}
		return append(dst, ']')
	case string:
		return driver.AppendString(dst, []byte(v))
	}
	return appendPlain(dst, v)
}

// appendPlain writes a number or a bool.
func appendPlain(dst []byte, v any) []byte {
	if b, ok := v.(bool); ok {
		return strconv.AppendBool(dst, b)
	}
	return strconv.AppendFloat(dst, v.(float64), 'f', -1, 64)
}

func appendXML(dst []byte, made object) []byte { return appendElement(dst, "data", made) }

// appendElement writes one element, or one for each item of a list.
func appendElement(dst []byte, name string, v any) []byte {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			if _, nested := item.([]any); nested {
				item = object{{name, item}}
			}
			dst = appendElement(dst, name, item)
		}
		return dst
	}
	dst = append(append(append(dst, '<'), name...), '>')
	switch v := v.(type) {
	case object:
		for _, m := range v {
			dst = appendElement(dst, elementName(m.name), m.value)
		}
	case string:
		var b bytes.Buffer
		xml.EscapeText(&b, []byte(v))
		dst = append(dst, b.Bytes()...)
	default:
		dst = appendPlain(dst, v)
	}
	return append(append(append(dst, "</"...), name...), '>')
}

// elementName is name with an underscore for every character that an element's
// name must not have.
func elementName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' || r >= 0x80 {
			return r
		}
		return '_'
	}, name)
	if name == "" || strings.IndexByte("-.0123456789", name[0]) >= 0 {
		return "_" + name
	}
	return name
}
