// Package logentry makes the JSON object that logger plugins write for a
// request: APISIX's default entry or a log_format of the user's, with the LLM
// parts that ai-proxy's logging asks for (gateway.md 8.7, ai-proxy.md 7.2).
//
// An entry is one line of valid JSON, whatever the client sent. The default
// entry has no credentials in it; a log_format has what its variables say.
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

// Format is a compiled log_format; the zero value is the default entry. It is
// immutable.
type Format struct {
	entry object // nil: the default entry
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

// Compile reads log_format and log_format_extra; either may be nil. Objects
// nest up to five deep, a string that begins with "$" is a variable, every
// other value stands for itself. A log_format replaces the default entry, and
// log_format_extra then means nothing; otherwise its members are added to the
// default entry, or replace those of the same name.
func Compile(format, extra json.RawMessage) (*Format, error) {
	custom, err := compile(format, 1)
	if err != nil {
		return nil, fmt.Errorf("log_format: %w", err)
	}
	over, err := compile(extra, 1)
	if err != nil {
		return nil, fmt.Errorf("log_format_extra: %w", err)
	}
	if len(custom) > 0 {
		return &Format{custom.with(routeMembers).with(llmMembers)}, nil
	}
	return &Format{standard.with(over).with(llmMembers)}, nil
}

// with returns o with the members of over: where both have a name, the one of
// o is what shows while the other has no value.
func (o object) with(over object) object {
	o = slices.Clone(o)
	for _, m := range over {
		i := slices.IndexFunc(o, func(mine member) bool { return bytes.Equal(mine.key, m.key) })
		if i < 0 {
			o = append(o, m)
			continue
		}
		first, second := m.write, o[i].write
		o[i].write = func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
			at := len(dst)
			if out, ok := first(dst, c); ok {
				return out, true
			}
			return second(dst[:at], c)
		}
	}
	return o
}

func compile(raw json.RawMessage, depth int) (object, error) {
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
		v, err := compileValue(all[name], depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		o = append(o, member{key(name), v})
	}
	return o, nil
}

func compileValue(raw json.RawMessage, depth int) (value, error) {
	switch raw[0] {
	case '{':
		o, err := compile(raw, depth+1)
		return o.write, err
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if name, ok := strings.CutPrefix(s, "$"); ok {
			return variable(strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")), nil
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

var defaultEntry = standard.with(llmMembers)

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
