package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bytedance/sonic"
	"go.yaml.in/yaml/v3"
)

// Format is how a resource file is written.
type Format uint8

// The formats of a resource file.
const (
	YAML Format = iota + 1 // with #END and ${{}} in the raw text
	JSON                   // ${{}} in strings and keys, with change of type
)

// entry is one resource of a document.
type entry struct {
	Item
	line     int
	modified int64 // the item's own modifiedIndex, 0 if it has none
}

// document is a resource file after reading: what can be used and what is
// wrong with the rest.
type document struct {
	path     string
	entries  []entry
	problems []Problem
	seen     map[string]bool
}

// ReadDocument reads a resource file as File does: the items in file order,
// and a Problem for each item that is skipped and each key that nobody knows.
// err means that nothing of the file can be used. A name that ends in .json is
// JSON, every other YAML. Items have no revision unless they carry one.
func ReadDocument(path string, env Env) (items []Item, problems []Problem, err error) {
	located, problems, err := ReadLocated(path, env)
	for _, l := range located {
		items = append(items, l.Item)
	}
	return items, problems, err
}

// parseDocument's error is a Problem or Problems with the line.
func parseDocument(path string, format Format, text []byte, env Env) (*document, error) {
	d := &document{path: path, seen: map[string]bool{}}
	if format == JSON {
		return d, d.readJSON(text, env)
	}
	return d, d.readYAML(text, env)
}

func (d *document) readYAML(text []byte, env Env) error {
	if !hasEndFlag(text) {
		return Problem{Reason: "missing valid end flag in file " + d.path}
	}
	out, _, missing := substitute(string(text), env)
	if len(missing) > 0 {
		return d.missing(text, missing)
	}
	root, more, err := parseYAML([]byte(out))
	if err != nil {
		return d.fault(err)
	}
	if more {
		d.problems = append(d.problems, Problem{File: d.path, Warn: true, Reason: "only the first YAML document is read"})
	}
	if root == nil {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		return Problem{File: d.path, Line: root.Line, Reason: "expected an object with lists of resources"}
	}
	w := &yamlWriter{}
	top := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], deref(root.Content[i+1])
		if line, ok := top[k.Value]; ok {
			return d.fault(lineError{k.Line, fmt.Sprintf("key %q is already defined at line %d", k.Value, line)})
		}
		top[k.Value] = k.Line
		kind := d.section(k.Value, k.Line)
		if kind == 0 {
			continue
		}
		if err := d.yamlList(w, kind, k.Line, v); err != nil {
			return d.fault(err)
		}
	}
	return nil
}

func (d *document) yamlList(w *yamlWriter, kind Kind, line int, v *yaml.Node) error {
	list := v.Content
	switch {
	case isNull(v) || v.Kind == yaml.MappingNode && len(v.Content) == 0:
		list = nil
	case v.Kind != yaml.SequenceNode:
		return lineError{line, kind.String() + " must be a list"}
	}
	if kind == Plugins {
		raw := []byte("[]")
		if len(list) > 0 {
			var err error
			if raw, err = w.json(v); err != nil {
				return err
			}
		}
		d.plugins(raw, line)
		return nil
	}
	for i, n := range list {
		raw, err := w.json(n)
		if err != nil {
			return err
		}
		d.item(kind, i+1, n.Line, raw)
	}
	return nil
}

func (d *document) readJSON(text []byte, env Env) error {
	if !sonic.Valid(text) {
		return d.jsonFault(text)
	}
	out, missing := substituteJSON(text, env)
	if len(missing) > 0 {
		return d.missing(text, missing)
	}
	text = out
	i := skipBlanks(text, 0)
	if text[i] != '{' {
		return Problem{File: d.path, Line: 1, Reason: "expected an object with lists of resources"}
	}
	var err error
	top := map[string]bool{}
	lines := lineCounter{text: text, line: 1}
	members(text, i, func(key string, start, end int) {
		line := lines.at(start)
		if top[key] && err == nil {
			err = d.fault(lineError{line, fmt.Sprintf("key %q is defined twice", key)})
		}
		top[key] = true
		kind := d.section(key, line)
		if kind == 0 || err != nil {
			return
		}
		raw := text[start:end]
		switch t := jsonType(raw); {
		case t == "null" || t == "object" && len(bytes.Trim(raw, "{} \t\r\n")) == 0:
			raw = []byte("[]")
		case t != "array":
			err = d.fault(lineError{line, key + " must be a list"})
			return
		}
		if kind == Plugins {
			d.plugins(bytes.Clone(raw), line)
			return
		}
		n := 0
		elements(raw, 0, func(from, to int) {
			n++
			d.item(kind, n, lines.at(start+from), bytes.Clone(raw[from:to]))
		})
	})
	return err
}

// jsonFault finds where JSON text is wrong: the fast check does not say.
func (d *document) jsonFault(text []byte) error {
	var v json.RawMessage
	err := json.Unmarshal(text, &v)
	var se *json.SyntaxError
	if errors.As(err, &se) {
		at := min(len(text), int(se.Offset))
		return d.fault(lineError{1 + bytes.Count(text[:at], []byte("\n")), "not valid JSON: " + se.Error()})
	}
	return d.fault(errors.New("not valid JSON"))
}

func (d *document) fault(err error) error {
	var le lineError
	if errors.As(err, &le) {
		return Problem{File: d.path, Line: le.line, Reason: le.msg}
	}
	return Problem{File: d.path, Reason: err.Error()}
}

func (d *document) missing(text []byte, missing []missingVar) error {
	var ps Problems
	lines := lineCounter{text: text, line: 1}
	for _, m := range missing {
		ps = append(ps, Problem{File: d.path, Line: lines.at(m.at), Reason: missingError([]missingVar{m}).Error(), Unset: m.name})
	}
	return ps
}

// section returns the kind that a top-level key lists, 0 if it is to be ignored.
func (d *document) section(key string, line int) Kind {
	kind := KindOf(key)
	// The standalone Admin API keeps its versions beside the lists.
	if kind != 0 || KindOf(strings.TrimSuffix(key, "_conf_version")) != 0 {
		return kind
	}
	reason := "unknown key"
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.String())
	}
	if n := nearest(key, names); n != "" {
		reason += fmt.Sprintf(", did you mean %q?", n)
	}
	d.problems = append(d.problems, Problem{File: d.path, Line: line, Field: key, Reason: reason, Warn: true})
	return 0
}

// hasEndFlag reports whether the text was written to its end: the last ten
// bytes hold #END and only blanks follow.
func hasEndFlag(text []byte) bool {
	tail := text[max(0, len(text)-10):]
	i := bytes.LastIndex(tail, []byte("#END"))
	return i >= 0 && len(bytes.Trim(tail[i+4:], blanks)) == 0
}

// lineCounter gives line numbers for offsets that grow.
type lineCounter struct {
	text       []byte
	done, line int
}

func (l *lineCounter) at(off int) int {
	if off > l.done {
		l.line += bytes.Count(l.text[l.done:off], []byte("\n"))
		l.done = off
	}
	return l.line
}
