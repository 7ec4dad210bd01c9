// Package schema checks resources and plugin configurations against JSON
// schemas the way APISIX does: the same verdicts, the same texts, the same
// defaults. The verdicts come from a JSON Schema library; this package adds
// what is APISIX's own:
//
//   - one error, the first in the order in which APISIX's validator checks,
//     in its words (explain.go);
//   - defaults are filled while checking, and only inside objects that are
//     present (fill.go);
//   - a string that is a secret reference passes every check of a field that
//     may be a string (prepare.go);
//   - {} and [] are the same thing where a schema names a type, because Lua
//     cannot tell them apart.
//
// Where APISIX checks in the random order of a hash table, the order here is
// that of the schema's text, and of the sorted keys of the value.
package schema

import (
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled schema. It never changes and may be used from any
// number of goroutines.
type Schema struct {
	text []byte
	root *node
}

// Compile compiles the JSON text of a draft-07 schema. name appears in
// errors only.
func Compile(name, text string) (*Schema, error) {
	doc, err := parseOrdered(text)
	if err != nil {
		return nil, fmt.Errorf("cannot parse schema %q: %w", name, err)
	}
	return compile(name, doc)
}

// MustCompile is Compile for schemas that are part of the program; it panics
// if text is not a schema.
func MustCompile(name, text string) *Schema {
	s, err := Compile(name, text)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}

// CompilePlugin compiles the schema of a plugin's configuration and adds the
// property "_meta" to it, which APISIX accepts in every plugin.
func CompilePlugin(name, text string) (*Schema, error) {
	doc, err := parseOrdered(text)
	if err != nil {
		return nil, fmt.Errorf("cannot parse schema %q: %w", name, err)
	}
	o, ok := doc.(*object)
	if !ok {
		return nil, fmt.Errorf("cannot add _meta to schema %q: it is not an object", name)
	}
	props, ok := o.vals["properties"].(*object)
	if !ok {
		props = newObject()
		o.set("properties", props)
	}
	if _, taken := props.vals["_meta"]; taken {
		return nil, fmt.Errorf("cannot add _meta to schema %q: it has one", name)
	}
	meta, err := parseOrdered(metaText)
	if err != nil {
		return nil, fmt.Errorf("cannot parse schema %q: %w", "_meta", err)
	}
	props.set("_meta", meta)
	// The mark that APISIX sets, for tools that look for it.
	o.set("$comment", "this is a mark for our injected plugin schema")
	return compile(name, doc)
}

// MustCompilePlugin is CompilePlugin for schemas that are part of the
// program; it panics if text is not a schema.
func MustCompilePlugin(name, text string) *Schema {
	s, err := CompilePlugin(name, text)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}

func compile(name string, doc any) (*Schema, error) {
	text := appendOrdered(nil, doc)
	doc = prepare(doc, "")
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	for _, f := range formats {
		c.RegisterFormat(f)
	}
	c.UseRegexpEngine(compileRegexp)
	const url = "schema:///schema.json" // an own scheme: nothing is ever loaded from it
	if err := c.AddResource(url, plain(doc)); err != nil {
		return nil, fmt.Errorf("cannot compile schema %q: %w", name, err)
	}
	sch, err := c.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("cannot compile schema %q: %w", name, err)
	}
	b := builder{root: doc, done: map[*jsonschema.Schema]*node{}}
	root := b.build(doc, sch)
	if b.err != nil {
		return nil, fmt.Errorf("cannot compile schema %q: %w", name, b.err)
	}
	seen := map[*node]bool{}
	for _, n := range b.done {
		if n.endless(map[*node]bool{}, seen) {
			return nil, fmt.Errorf("cannot compile schema %q: a $ref leads back to itself", name)
		}
	}
	return &Schema{text: text, root: root}, nil
}

// JSON returns the text of the schema without insignificant blanks, as the
// Admin API shows it. The caller must not change it.
func (s *Schema) JSON() []byte {
	return s.text
}

// Validate checks v, which must be made of the types that encoding/json and
// sonic decode into an any: map[string]any, []any, string, bool, nil, and
// float64 or json.Number for numbers. As in APISIX, checking fills defaults:
// v is changed in place, so it must belong to the caller. A top-level value
// that is no object or array cannot be changed.
//
// The error's text is APISIX's, without a prefix.
func (s *Schema) Validate(v any) error {
	_, err := s.validate(v)
	return err
}

// Check decodes raw, checks it and returns it with defaults filled: sorted
// keys, numbers spelled as they came. Two things are put right for readers
// with strict types: a whole number of a field of type integer is written
// without fraction and exponent (APISIX takes 1.0 for an integer), and {} and
// [] become what the schema asks for.
func (s *Schema) Check(raw []byte) (normalized []byte, err error) {
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	v, err = s.validate(v)
	if err != nil {
		return nil, err
	}
	return encode(v)
}

func (s *Schema) validate(v any) (any, error) {
	if err := checkNumbers(v); err != nil {
		return v, err
	}
	v, _ = s.root.fill(v)
	if s.root.sch.Validate(v) == nil {
		return v, nil
	}
	return v, errors.New(s.root.explain(v))
}
