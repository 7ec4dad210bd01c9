// Package logentry makes the JSON object that logger plugins write for a
// request: APISIX's default entry or a log_format of the user's, with the LLM
// parts that ai-proxy's logging asks for and with bodies (gateway.md 8.7,
// ai-proxy.md 7.2).
//
// An entry is one line of valid JSON, whatever the client sent. The default
// entry has no credentials in it but those that stand in bodies; a log_format
// has what its variables say.
package logentry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"headrace/driver"
	"headrace/plugin"
)

// Format is the compiled entry of one logger; the zero value is the default
// entry without bodies. It is immutable.
type Format struct {
	entry  object // nil: the default entry
	bodies bodies
}

// object is a JSON object, compiled.
type object []member

type member struct {
	key   []byte // as it stands in the object, with quotes and colon
	write value
}

// value appends one JSON value to dst; ok is false if there is none, which
// makes an absent member.
type value func(dst []byte, c *plugin.Ctx) (out []byte, ok bool)

const maxDepth = 5

// with returns o with the members of over: where both have a name, the one of
// o is what shows while the other has no value.
func (o object) with(over object) object {
	return o.join(over, func(mine, other value) value { return either(other, mine) })
}

// or returns o with the members of more: where both have a name, the one of
// more is what shows while the other has no value.
func (o object) or(more object) object { return o.join(more, either) }

func (o object) join(other object, both func(mine, other value) value) object {
	o = slices.Clone(o)
	for _, m := range other {
		i := slices.IndexFunc(o, func(mine member) bool { return bytes.Equal(mine.key, m.key) })
		if i < 0 {
			o = append(o, m)
			continue
		}
		o[i].write = both(o[i].write, m.write)
	}
	return o
}

// either is first, or second where that has no value.
func either(first, second value) value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		at := len(dst)
		if out, ok := first(dst, c); ok {
			return out, true
		}
		return second(dst[:at], c)
	}
}

// compile reads a log_format or log_format_extra: objects nest up to five deep,
// a string that begins with "$" is a variable, every other value stands for
// itself.
func (f *Format) compile(raw json.RawMessage, depth int) (object, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, errors.New("wrong type: expected object")
	}
	var o object
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v, err := f.compileValue(all[name], depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		o = append(o, member{key(name), v})
	}
	return o, nil
}

func (f *Format) compileValue(raw json.RawMessage, depth int) (value, error) {
	switch raw[0] {
	case '{':
		o, err := f.compile(raw, depth+1)
		return o.write, err
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if name, ok := strings.CutPrefix(s, "$"); ok {
			if name = strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}"); name == "request_body" {
				return f.bodies.variable(), nil
			}
			return variable(name), nil
		}
	}
	return constant(appendRaw(nil, raw)), nil
}

// Append writes the entry of a finished request as one JSON object.
func (f *Format) Append(dst []byte, c *plugin.Ctx) []byte {
	o := f.entry
	if o == nil {
		o = defaultEntry
	}
	dst, _ = o.write(dst, c)
	return dst
}

var defaultEntry = standard(nil, nil).with(llmMembers)

func (o object) write(dst []byte, c *plugin.Ctx) ([]byte, bool) {
	dst = append(dst, '{')
	start := len(dst)
	for i := range o {
		at := len(dst)
		if at > start {
			dst = append(dst, ',')
		}
		dst = append(dst, o[i].key...)
		var ok bool
		if dst, ok = o[i].write(dst, c); !ok {
			dst = dst[:at]
		}
	}
	return append(dst, '}'), true
}

func key(name string) []byte { return append(driver.AppendString(nil, []byte(name)), ':') }
