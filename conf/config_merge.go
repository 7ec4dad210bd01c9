package conf

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// settings is config.yaml on its way to a Config. It collects problems instead
// of stopping at the first.
type settings struct {
	file     string
	env      Env
	lines    map[string]int // of each key path
	user     object         // the user's document after substitution
	merged   object         // defaults with the document over them
	base     object         // defaults alone
	problems Problems
	warnings []Warning
}

// problem notes what is wrong with the value at path. Of one that holds an unset
// variable nothing else is worth saying.
func (s *settings) problem(path, reason string) {
	if !slices.ContainsFunc(s.problems, func(p Problem) bool { return p.Unset != "" && p.Field == path }) {
		s.problems = append(s.problems, Problem{File: s.file, Line: s.line(path), Field: path, Reason: reason})
	}
}

func (s *settings) warn(path, reason string) {
	s.warnings = append(s.warnings, Warning{File: s.file, Line: s.line(path), Field: path, Reason: reason, Warn: true})
}

// line finds the nearest key above that has a line.
func (s *settings) line(path string) int {
	for path != "" {
		if n := s.lines[path]; n > 0 {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// sort puts everything in the order of the file.
func (s *settings) sort() {
	byLine := func(a, b Problem) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Field, b.Field)) }
	slices.SortStableFunc(s.problems, byLine)
	slices.SortStableFunc(s.warnings, byLine)
}

// parse reads the document over the defaults.
func (s *settings) parse(text []byte) {
	s.base = defaults()
	s.lines = map[string]int{}
	root, _, err := parseYAML(text)
	if err != nil {
		s.fault(err)
		return
	}
	if root != nil && root.Kind != yaml.MappingNode {
		s.problems = append(s.problems, Problem{File: s.file, Line: root.Line, Reason: "expected an object with settings"})
		return
	}
	if root != nil {
		// One pass through our own writer bounds what aliases may do.
		w := &yamlWriter{}
		if _, err := w.json(root); err != nil {
			s.fault(err)
			return
		}
		indexLines(root, "", s.lines, 0)
	}
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(s.base, ""), nil); err != nil {
		s.fault(err)
		return
	}
	if root != nil {
		if err := k.Load(rawbytes.Provider(text), s, koanf.WithMergeFunc(s.merge)); err != nil {
			s.fault(err)
			return
		}
	}
	if s.user == nil {
		s.user = object{}
	}
	s.merged = k.Raw()
	s.etcdHosts()
}

// fault takes an error of the YAML reader apart.
func (s *settings) fault(err error) {
	for _, e := range yamlErrors(err) {
		s.problems = append(s.problems, Problem{File: s.file, Line: e.line, Reason: e.msg})
	}
}

// Unmarshal implements koanf.Parser: YAML, then ${{}} in values and keys.
func (s *settings) Unmarshal(b []byte) (map[string]any, error) {
	m, err := koanfyaml.Parser().Unmarshal(b)
	if err != nil {
		return nil, err
	}
	doc, _ := plain(m).(object)
	substituteTree(doc, "", s.env, func(path string, m missingVar) {
		s.problems = append(s.problems, Problem{
			File: s.file, Line: s.line(path), Field: path,
			Reason: "failed to handle configuration: " + missingError([]missingVar{m}).Error(), Unset: m.name,
		})
	})
	s.user = doc
	return plain(doc).(object), nil
}

// Marshal implements koanf.Parser.
func (s *settings) Marshal(m map[string]any) ([]byte, error) {
	return koanfyaml.Parser().Marshal(m)
}

// plain copies a document; all keys become strings.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(object, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case map[any]any:
		out := make(object, len(v))
		for k, x := range v {
			out[fmt.Sprint(k)] = plain(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	case time.Time: // no setting is a date: it was meant as a word
		return v.Format(time.DateOnly)
	}
	return v
}

// merge puts the document over the defaults by APISIX's rules: objects merge,
// lists replace, null removes, a scalar keeps its type.
func (s *settings) merge(src, dest map[string]any) error {
	s.mergeAt(src, dest, nil)
	return nil
}

func (s *settings) mergeAt(src, dest object, path []string) {
	for key, val := range src {
		at := append(path[:len(path):len(path)], key)
		old, ok := dest[key]
		if obj, isObj := val.(object); isObj {
			sub, wasObj := old.(object)
			switch {
			case !ok || old == nil:
				sub = object{}
			case !wasObj:
				s.mergeProblem(at, old, val)
				continue
			}
			dest[key] = sub
			s.mergeAt(obj, sub, at)
			continue
		}
		if val == nil {
			delete(dest, key)
			continue
		}
		// YAML 1.1, which APISIX reads, has these words for booleans.
		if _, wantBool := old.(bool); wantBool {
			if b, ok := yaml11Bool(val); ok {
				val = b
			}
		}
		if _, isList := val.([]any); !isList && ok && typeName(old) != typeName(val) && !multiType(at, val) {
			s.mergeProblem(at, old, val)
			continue
		}
		dest[key] = val
	}
}

func (s *settings) mergeProblem(path []string, old, val any) {
	s.problem(strings.Join(path, "."), fmt.Sprintf("failed to merge, path[%s] expect: %s, but got: %s",
		strings.Join(path, "->"), typeName(old), typeName(val)))
}

// multiType lists the places where APISIX lets a scalar change the type.
func multiType(path []string, val any) bool {
	t := typeName(val)
	switch p := strings.Join(path, "->"); {
	case len(path) > 1 && (path[0] == "nginx_config" || path[0] == "headrace"):
		// Ours as well: times and sizes are numbers or words with a unit.
		return t == "number" || t == "string"
	case p == "apisix->node_listen":
		return t == "number"
	case p == "apisix->data_encryption->keyring":
		return true
	}
	return false
}

// typeName is Lua's name, which the error texts use.
func typeName(v any) string {
	switch v := v.(type) {
	case Typed:
		return typeName(v.Val)
	case string:
		return "string"
	case bool:
		return "boolean"
	case object, []any:
		return "table"
	case nil:
		return "nil"
	case int, int64, uint64, float64:
		return "number"
	}
	return "string" // dates
}

func yaml11Bool(v any) (val, ok bool) {
	switch v {
	case "on", "On", "ON", "yes", "Yes", "YES":
		return true, true
	case "off", "Off", "OFF", "no", "No", "NO":
		return false, true
	}
	return false, false
}

// etcdHosts applies the one variable that APISIX reads by itself.
func (s *settings) etcdHosts() {
	v, ok := s.env(envEtcdHost)
	if !ok {
		return
	}
	const path = "deployment.etcd.host"
	var hosts []string
	if err := json.Unmarshal([]byte(v), &hosts); err != nil || len(hosts) == 0 {
		s.problem(path, envEtcdHost+" must be a JSON array of URLs")
		return
	}
	list := make([]any, len(hosts))
	for i, h := range hosts {
		list[i] = h
	}
	for _, doc := range []object{s.user, s.merged} {
		child(child(doc, "deployment"), "etcd")["host"] = list
	}
}

func child(m object, key string) object {
	sub, ok := m[key].(object)
	if !ok {
		sub = object{}
		m[key] = sub
	}
	return sub
}

func lookup(m object, path []string) (any, bool) {
	for i, key := range path {
		v, ok := m[key]
		if !ok || i == len(path)-1 {
			return v, ok
		}
		if m, ok = v.(object); !ok {
			return nil, false
		}
	}
	return nil, false
}

// indexLines notes where each key and list element stands.
func indexLines(n *yaml.Node, path string, lines map[string]int, depth int) {
	if depth > maxYAMLDepth {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			p := joinPath(path, n.Content[i].Value)
			lines[p] = n.Content[i].Line
			indexLines(n.Content[i+1], p, lines, depth+1)
		}
	case yaml.SequenceNode:
		for i, x := range n.Content {
			p := path + "[" + strconv.Itoa(i) + "]"
			lines[p] = x.Line
			indexLines(x, p, lines, depth+1)
		}
	}
}
