package conf

import (
	"encoding/json"
	"strings"
)

// Paths is a tree of the keys that lead to some fields of an object; an empty
// one is the end of a path.
type Paths map[string]Paths

// Add adds a path, given as keys; a key with dots stands for several.
func (p Paths) Add(keys ...string) {
	for _, k := range strings.Split(strings.Join(keys, "."), ".") {
		if p[k] == nil {
			p[k] = Paths{}
		}
		p = p[k]
	}
}

// MapStrings returns raw with fn's results in place of the strings that paths
// lead to; everything else keeps its bytes. A path goes through arrays of
// objects element by element, and ends at a string, an array of strings or an
// object with strings (gateway.md 6.2). raw itself is returned when nothing
// changes, or when it is no JSON object.
func MapStrings(raw []byte, paths Paths, fn func(text string) string) []byte {
	i := skipBlanks(raw, 0)
	if len(paths) == 0 || i == len(raw) || raw[i] != '{' || !json.Valid(raw) {
		return raw
	}
	m := mapper{raw: raw, fn: fn}
	m.object(i, paths)
	if m.out == nil {
		return raw
	}
	return append(m.out, raw[m.done:]...)
}

type mapper struct {
	raw  []byte
	fn   func(string) string
	out  []byte
	done int // how much of raw is in out
}

// object follows the paths from the object at i.
func (m *mapper) object(i int, paths Paths) {
	members(m.raw, i, func(key string, start, end int) {
		next, ok := paths[key]
		switch c := m.raw[start]; {
		case !ok:
		case len(next) == 0:
			m.leaf(start, end)
		case c == '{':
			m.object(start, next)
		case c == '[':
			elements(m.raw, start, func(start, _ int) {
				if m.raw[start] == '{' {
					m.object(start, next)
				}
			})
		}
	})
}

func (m *mapper) leaf(start, end int) {
	switch m.raw[start] {
	case '"':
		m.text(start, end)
	case '[':
		elements(m.raw, start, m.text)
	case '{':
		members(m.raw, start, func(_ string, start, end int) { m.text(start, end) })
	}
}

func (m *mapper) text(start, end int) {
	if m.raw[start] != '"' {
		return
	}
	old := unquote(m.raw[start:end])
	if s := m.fn(old); s != old {
		m.out = appendString(append(m.out, m.raw[m.done:start]...), s)
		m.done = end
	}
}
