package proxyrewrite

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"headrace/conf/pcre"
	"headrace/plugin"
)

// edits are the changes of headers, in the order in which they are made.
type edits struct {
	add, set []edit
	remove   []string
}

type edit struct {
	name   string
	values []value
}

var errValue = errors.New("invalid value character in header")

// newEdits compiles the "headers" of a configuration: an object with add, set
// and remove, or an object of headers to set.
func newEdits(raw json.RawMessage) (e edits, err error) {
	if len(raw) == 0 {
		return e, nil
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return e, err
	}
	for _, verb := range []string{"add", "set", "remove"} {
		if v := top[verb]; len(v) > 0 && (v[0] == '{' || v[0] == '[') {
			return newVerbs(raw)
		}
	}
	if e.set, err = newEdit(raw); err != nil {
		return e, err
	}
	for _, h := range e.set {
		if strings.ContainsFunc(h.values[0].source, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return e, errValue
		}
	}
	return e, nil
}

func newVerbs(raw json.RawMessage) (e edits, err error) {
	var verbs struct {
		Add    json.RawMessage `json:"add"`
		Set    json.RawMessage `json:"set"`
		Remove []string        `json:"remove"`
	}
	if err = json.Unmarshal(raw, &verbs); err != nil {
		return e, err
	}
	if e.add, err = newEdit(verbs.Add); err != nil {
		return e, err
	}
	if e.set, err = newEdit(verbs.Set); err != nil {
		return e, err
	}
	e.remove = verbs.Remove
	for _, name := range e.remove {
		if err := plugin.CheckHeaderName(name); err != nil {
			return e, err
		}
	}
	return e, nil
}

// newEdit compiles an object of headers, sorted by name.
func newEdit(raw json.RawMessage) ([]edit, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var all map[string]texts
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	var list []edit
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := plugin.CheckHeaderName(name); err != nil {
			return nil, err
		}
		h := edit{name: name}
		for _, t := range all[name] {
			h.values = append(h.values, newValue(string(t)))
		}
		list = append(list, h)
	}
	return list, nil
}

// texts is one value of a header or a list of them.
type texts []plugin.HeaderText

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]plugin.HeaderText)(t))
	}
	*t = make(texts, 1)
	return json.Unmarshal(raw, &(*t)[0])
}

// apply changes the headers of a request.
func (e *edits) apply(c *plugin.Ctx, m *match) {
	for _, h := range e.add {
		for i := range h.values {
			c.AddHeader(h.name, h.values[i].fill(c, m))
		}
	}
	if len(e.set) > 0 {
		first := make([]plugin.HeaderEdit, len(e.set))
		for i, h := range e.set {
			first[i] = plugin.HeaderEdit{Name: h.name, Value: h.values[0].fill(c, m)}
		}
		c.SetHeaders(first...)
	}
	for _, h := range e.set {
		for i := 1; i < len(h.values); i++ {
			c.AddHeader(h.name, h.values[i].fill(c, m))
		}
	}
	for _, name := range e.remove {
		c.DelHeader(name)
	}
}

// value is the value of a header: text, variables, and groups of what
// regex_uri has matched. What a group holds is not looked into again.
type value struct {
	source string
	pieces []piece // nil: source as it is
}

type piece struct {
	text  *plugin.Combination // nil: the group
	group int
}

func newValue(s string) value {
	v := value{source: s}
	if strings.IndexByte(s, '$') < 0 {
		return v
	}
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i > 0 && s[i-1] == '\\' {
			continue
		}
		group, rest, ok := pcre.CutGroup(s[i+1:])
		if !ok {
			continue
		}
		if i > from {
			v.pieces = append(v.pieces, piece{text: plugin.CompileCombination(s[from:i])})
		}
		v.pieces = append(v.pieces, piece{group: group})
		from = len(s) - len(rest)
		i = from - 1
	}
	if from < len(s) {
		v.pieces = append(v.pieces, piece{text: plugin.CompileCombination(s[from:])})
	}
	return v
}

func (v *value) fill(c *plugin.Ctx, m *match) string {
	if v.pieces == nil {
		return v.source
	}
	var out []byte
	for _, p := range v.pieces {
		if p.text == nil {
			out = append(out, pcre.Group(m.text, m.loc, p.group)...)
		} else {
			out, _ = p.text.Append(out, c)
		}
	}
	return string(out)
}
