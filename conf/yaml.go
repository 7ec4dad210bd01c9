package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits on what aliases may make of a document: enough for 5,000 routes that
// share a block of 200 values, little enough to stop an alias bomb.
const (
	maxAliasNodes = 1 << 20
	maxAliasBytes = 64 << 20
	maxYAMLDepth  = 500
)

// lineError is a fault of the text at a line (0: not known).
type lineError struct {
	line int
	msg  string
}

func (e lineError) Error() string {
	if e.line > 0 {
		return fmt.Sprintf("line %d: %s", e.line, e.msg)
	}
	return e.msg
}

// parseYAML returns the root value of the first document, nil if the text is
// empty. The parser is not ours and reads a file that may be half written: a
// panic in it becomes an error.
func parseYAML(text []byte) (root *yaml.Node, more bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("not valid YAML: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, yamlErrors(err)[0]
	}
	var next yaml.Node
	more = dec.Decode(&next) == nil
	if len(doc.Content) == 0 {
		return nil, more, nil
	}
	root = deref(doc.Content[0])
	if isNull(root) {
		root = nil
	}
	return root, more, nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)`)

// parserFault tells the errors whose line yaml v3.0.4 counts from 0, and takes
// where the broken mapping or list begins (the scanner's errors are right).
var parserFault = regexp.MustCompile(`^did not find expected (<document start>|node content|'-' indicator|key|',' or '[]}]')`)

// yamlErrors takes the line numbers out of the library's texts.
func yamlErrors(err error) []lineError {
	var le lineError
	if errors.As(err, &le) {
		return []lineError{le}
	}
	texts := []string{err.Error()}
	var te *yaml.TypeError
	if errors.As(err, &te) {
		texts = te.Errors
	}
	var out []lineError
	for _, s := range texts {
		if m := yamlLine.FindStringSubmatch(s); m != nil {
			n, _ := strconv.Atoi(m[1])
			if parserFault.MatchString(m[2]) {
				n++
				m[2] += " in the value that begins here"
			}
			out = append(out, lineError{n, m[2]})
		} else {
			out = append(out, lineError{0, strings.TrimPrefix(s, "yaml: ")})
		}
	}
	return out
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// yamlWriter turns nodes into JSON. Its limits count over the whole document.
type yamlWriter struct {
	buf        []byte
	depth      int
	aliasDepth int
	aliasNodes int
	aliasBytes int
	open       map[*yaml.Node]bool // aliases being expanded: one may not contain itself
}

// YAMLToJSON returns the first document of a YAML text as JSON: keys in their
// order, numbers digit by digit, aliases and "<<" resolved. An empty document
// is null. The error has the line, and may quote keys but no values.
func YAMLToJSON(text []byte) ([]byte, error) {
	root, _, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return []byte("null"), nil
	}
	return (&yamlWriter{}).json(root)
}

// json returns n as JSON in memory of its own.
func (w *yamlWriter) json(n *yaml.Node) ([]byte, error) {
	w.buf, w.depth, w.aliasDepth = w.buf[:0], 0, 0
	clear(w.open)
	if err := w.value(n); err != nil {
		return nil, err
	}
	return bytes.Clone(w.buf), nil
}

func (w *yamlWriter) value(n *yaml.Node) error {
	if w.depth++; w.depth > maxYAMLDepth {
		return lineError{n.Line, "values are nested too deeply"}
	}
	defer func() { w.depth-- }()
	if w.aliasDepth > 0 {
		w.aliasNodes++
		w.aliasBytes += len(n.Value)
		if w.aliasNodes > maxAliasNodes || w.aliasBytes > maxAliasBytes {
			return lineError{n.Line, "aliases make the document too large"}
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.alias(n)
	case yaml.SequenceNode:
		w.buf = append(w.buf, '[')
		for i, x := range n.Content {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if err := w.value(x); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, ']')
		return nil
	case yaml.MappingNode:
		w.buf = append(w.buf, '{')
		if err := w.mapping(n, map[string]bool{}); err != nil {
			return err
		}
		w.buf = append(w.buf, '}')
		return nil
	case yaml.ScalarNode:
		return w.scalar(n)
	}
	return lineError{n.Line, "unexpected kind of value"}
}

func (w *yamlWriter) alias(n *yaml.Node) error {
	if n.Alias == nil || w.open[n.Alias] {
		return lineError{n.Line, fmt.Sprintf("anchor %q contains itself", n.Value)}
	}
	if w.open == nil {
		w.open = map[*yaml.Node]bool{}
	}
	w.open[n.Alias] = true
	w.aliasDepth++
	err := w.value(n.Alias)
	w.aliasDepth--
	delete(w.open, n.Alias)
	return err
}

// mapping writes the members of n that have is not set for. Own keys come
// before those that "<<" merges in, so that they win.
func (w *yamlWriter) mapping(n *yaml.Node, have map[string]bool) error {
	var merged []*yaml.Node
	own := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := deref(n.Content[i]), n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" {
			return lineError{n.Content[i].Line, "a key must be a string"}
		}
		if k.ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if line, ok := own[k.Value]; ok {
			return lineError{k.Line, fmt.Sprintf("key %q is already defined at line %d", k.Value, line)}
		}
		own[k.Value] = k.Line
		if have[k.Value] {
			continue
		}
		have[k.Value] = true
		if w.buf[len(w.buf)-1] != '{' {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(appendString(w.buf, k.Value), ':')
		if err := w.value(v); err != nil {
			return err
		}
	}
	for _, v := range merged {
		if err := w.merge(v, have); err != nil {
			return err
		}
	}
	return nil
}

// merge writes the members of the mapping, or list of mappings, behind "<<".
func (w *yamlWriter) merge(v *yaml.Node, have map[string]bool) error {
	if w.depth++; w.depth > maxYAMLDepth {
		return lineError{v.Line, "values are nested too deeply"}
	}
	w.aliasDepth++
	defer func() { w.depth--; w.aliasDepth-- }()
	if w.aliasNodes++; w.aliasNodes > maxAliasNodes {
		return lineError{v.Line, "aliases make the document too large"}
	}
	switch n := deref(v); n.Kind {
	case yaml.MappingNode:
		return w.mapping(n, have)
	case yaml.SequenceNode:
		for _, x := range n.Content {
			if deref(x).Kind != yaml.MappingNode {
				return lineError{x.Line, `"<<" takes mappings only`}
			}
			if err := w.merge(x, have); err != nil {
				return err
			}
		}
		return nil
	}
	return lineError{v.Line, `"<<" takes mappings only`}
}

// scalar writes numbers digit by digit: a large integer must not pass through
// a float. Dates stay the strings that they look like.
func (w *yamlWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.buf = append(w.buf, "null"...)
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return lineError{n.Line, "not a boolean"}
		}
		w.buf = strconv.AppendBool(w.buf, v)
	case "!!int", "!!float":
		return w.number(n)
	default:
		w.buf = appendString(w.buf, n.Value)
	}
	return nil
}

func (w *yamlWriter) number(n *yaml.Node) error {
	if isJSONNumber(n.Value) {
		w.buf = append(w.buf, n.Value...)
		return nil
	}
	if n.ShortTag() == "!!int" {
		var i int64
		if n.Decode(&i) == nil {
			w.buf = strconv.AppendInt(w.buf, i, 10)
			return nil
		}
	}
	var f float64
	if err := n.Decode(&f); err != nil {
		return lineError{n.Line, "not a number"}
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !isJSONNumber(s) {
		return lineError{n.Line, "a number must be finite"}
	}
	w.buf = append(w.buf, s...)
	return nil
}
