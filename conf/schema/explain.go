package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// explain finds the first thing that is wrong with v, in the order in which
// APISIX's validator looks (jsonschema 0.9.13), and says it in its words. The
// library is asked about each part again, so this is slow, but it is only
// called for values that failed. It returns "" if nothing is wrong.
func (n *node) explain(v any) string {
	if n.ref != nil {
		return n.ref.explain(v)
	}
	err := n.sch.Validate(v)
	if err == nil {
		return ""
	}
	own := ownErrors(nil, err.(*jsonschema.ValidationError), n.sch.Location)
	if find[*kind.FalseSchema](own) != nil {
		return "expect false always"
	}
	if find[*kind.Type](own) != nil {
		want := strings.Join(n.types, ", ")
		if len(n.types) > 1 {
			want = "one of " + want
		}
		return "wrong type: expected " + want + ", got " + luaType(v)
	}
	if n.inner != nil {
		return n.inner.explain(v)
	}
	var text string
	switch x := v.(type) {
	case map[string]any:
		text = n.explainObject(x, own)
	case []any:
		text = n.explainArray(x, own)
	case string:
		text = n.explainString(x)
	default:
		text = explainNumber(own)
	}
	if text == "" && find[*kind.Enum](own) != nil {
		text = "matches none of the enum values"
	}
	if text == "" {
		text = n.explainLogic(v, own)
	}
	if f := find[*kind.Format](own); text == "" && f != nil {
		text = fmt.Sprintf("expect valid %s format but got: %v", f.Want, v)
	}
	if text == "" && find[*kind.Const](own) != nil {
		text = "failed to check const value"
	}
	if list, ok := v.([]any); ok && text == "" && find[*kind.Contains](own) != nil {
		text = "failed to check contains"
		if len(list) == 0 {
			text = "check contains: empty array is invalid"
		}
	}
	if text == "" {
		// A rule that only the library knows, such as $ref loops.
		text = "failed to validate: " + err.Error()
	}
	return text
}

func (n *node) explainObject(m map[string]any, own []*jsonschema.ValidationError) string {
	for i := range n.props {
		p := &n.props[i]
		val, ok := m[p.name]
		if !ok {
			if p.required {
				return `property "` + p.name + `" is required`
			}
			continue
		}
		if text := p.node.explain(val); text != "" {
			return `property "` + p.name + `" validation failed: ` + text
		}
		if p.dep != nil {
			if text := p.dep.explain(m); text != "" {
				return text
			}
		}
	}
	for _, name := range n.required {
		if _, ok := m[name]; !ok {
			return `property "` + name + `" is required`
		}
	}
	for i := range n.deps {
		if d := &n.deps[i]; !n.hasProp(d.name) {
			if text := d.explain(m); text != "" {
				return text
			}
		}
	}
	if text := n.explainRest(m); text != "" {
		return text
	}
	if k := find[*kind.MinProperties](own); k != nil {
		return fmt.Sprintf("expect object to have at least %d properties", k.Want)
	}
	if k := find[*kind.MaxProperties](own); k != nil {
		return fmt.Sprintf("expect object to have at most %d properties", k.Want)
	}
	return ""
}

func (d *dep) explain(m map[string]any) string {
	if _, ok := m[d.name]; !ok {
		return ""
	}
	for _, name := range d.names {
		if _, ok := m[name]; !ok {
			return `property "` + name + `" is required when "` + d.name + `" is set`
		}
	}
	if d.node != nil {
		if text := d.node.explain(m); text != "" {
			return `failed to validate dependent schema for "` + d.name + `": ` + text
		}
	}
	return ""
}

// explainRest looks at patternProperties and additionalProperties.
func (n *node) explainRest(m map[string]any) string {
	closed := n.sch.AdditionalProperties == false
	if len(n.patterns) == 0 && !closed && n.rest == nil {
		return ""
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		matched := n.hasProp(k)
		for _, p := range n.patterns {
			if !p.re.MatchString(k) {
				continue
			}
			matched = true
			if text := p.node.explain(m[k]); text != "" {
				return "failed to validate " + k + ` (matching "` + p.re.String() + `"): ` + text
			}
		}
		switch {
		case matched:
		case closed:
			return "additional properties forbidden, found " + k
		case n.rest != nil:
			if text := n.rest.explain(m[k]); text != "" {
				return "failed to validate additional property " + k + ": " + text
			}
		}
	}
	return ""
}

func (n *node) explainArray(list []any, own []*jsonschema.ValidationError) string {
	if k := find[*kind.MinItems](own); k != nil {
		return fmt.Sprintf("expect array to have at least %d items", k.Want)
	}
	if k := find[*kind.MaxItems](own); k != nil {
		return fmt.Sprintf("expect array to have at most %d items", k.Want)
	}
	for i, val := range list {
		sub, prefix := n.items, "failed to validate item "
		if len(n.tuple) > 0 {
			if i < len(n.tuple) {
				sub = n.tuple[i]
			} else {
				sub, prefix = n.overflow, "failed to validate additional item "
			}
		}
		if sub == nil {
			break
		}
		if text := sub.explain(val); text != "" {
			return prefix + strconv.Itoa(i+1) + ": " + text
		}
	}
	if find[*kind.AdditionalItems](own) != nil {
		return "found unexpected extra items in array"
	}
	if k := find[*kind.UniqueItems](own); k != nil {
		return fmt.Sprintf("expected unique items but items %d and %d are equal", k.Duplicates[0]+1, k.Duplicates[1]+1)
	}
	return ""
}

// explainString looks at the schema itself: the library stops at enum and
// format, which come later in APISIX.
func (n *node) explainString(s string) string {
	size := utf8.RuneCountInString(s)
	if k := n.sch.MinLength; k != nil && size < *k {
		return fmt.Sprintf("string too short, expected at least %d, got %d", *k, size)
	}
	if k := n.sch.MaxLength; k != nil && size > *k {
		return fmt.Sprintf("string too long, expected at most %d, got %d", *k, size)
	}
	if k := n.sch.Pattern; k != nil && !k.MatchString(s) {
		return "failed to match pattern " + luaQuote(k.String()) + " with " + luaQuote(s)
	}
	return ""
}

func explainNumber(own []*jsonschema.ValidationError) string {
	if k := find[*kind.Minimum](own); k != nil {
		return "expected " + luaNumber(k.Got) + " to be at least " + luaNumber(k.Want)
	}
	if k := find[*kind.ExclusiveMinimum](own); k != nil {
		return "expected " + luaNumber(k.Got) + " to be greater than " + luaNumber(k.Want)
	}
	if k := find[*kind.Maximum](own); k != nil {
		return "expected " + luaNumber(k.Got) + " to be at most " + luaNumber(k.Want)
	}
	if k := find[*kind.ExclusiveMaximum](own); k != nil {
		return "expected " + luaNumber(k.Got) + " to be smaller than " + luaNumber(k.Want)
	}
	if k := find[*kind.MultipleOf](own); k != nil {
		return "expected " + luaNumber(k.Got) + " to be a multiple of " + luaNumber(k.Want)
	}
	return ""
}

func (n *node) explainLogic(v any, own []*jsonschema.ValidationError) string {
	for i, s := range n.all {
		if text := s.explain(v); text != "" {
			return "allOf " + strconv.Itoa(i+1) + " failed: " + text
		}
	}
	if find[*kind.AnyOf](own) != nil {
		if n.anyRequired != "" {
			return "object matches none of the required: " + n.anyRequired
		}
		return "object matches none of the required"
	}
	if k := find[*kind.OneOf](own); k != nil {
		if len(k.Subschemas) == 2 {
			return fmt.Sprintf("value should match only one schema, but matches both schemas %d and %d",
				k.Subschemas[0]+1, k.Subschemas[1]+1)
		}
		return "value should match only one schema, but matches none"
	}
	if n.cond != nil {
		if n.cond.sch.Validate(v) == nil {
			if n.then != nil && n.then.sch.Validate(v) != nil {
				return "then clause did not match"
			}
		} else if n.els != nil && n.els.sch.Validate(v) != nil {
			return "else clause did not match"
		}
	}
	if find[*kind.Not](own) != nil {
		return "value wasn't supposed to match schema"
	}
	return ""
}

// ownErrors picks from the library's tree the errors of the very schema at
// location, not those of its parts.
func ownErrors(dst []*jsonschema.ValidationError, err *jsonschema.ValidationError, location string) []*jsonschema.ValidationError {
	switch err.ErrorKind.(type) {
	case *kind.Schema, *kind.Group:
		for _, c := range err.Causes {
			dst = ownErrors(dst, c, location)
		}
	default:
		if len(err.InstanceLocation) == 0 && err.SchemaURL == location {
			dst = append(dst, err)
		}
	}
	return dst
}

func find[K jsonschema.ErrorKind](errs []*jsonschema.ValidationError) (zero K) {
	for _, e := range errs {
		if k, ok := e.ErrorKind.(K); ok {
			return k
		}
	}
	return zero
}

// luaType is what type() says; JSON's null is a light userdata there.
func luaType(v any) string {
	switch v.(type) {
	case nil:
		return "userdata"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64, json.Number:
		return "number"
	}
	return "table"
}

// luaNumber is tostring() of a number: C's %.14g.
func luaNumber(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', 14, 64)
}

// luaQuote is Lua's %q.
func luaQuote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b = append(b, '\\', c)
		case '\r':
			b = append(b, `\r`...)
		case 0:
			b = append(b, `\0`...)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
