package schema

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"headrace/conf/pcre"
)

// secretPattern stands for isSecretRef inside prepared schemas.
const secretPattern = `^\$(secret|(?i:env))://`

// forStrings are the keywords that can fail for a string.
var forStrings = []string{"enum", "const", "pattern", "minLength", "maxLength",
	"format", "oneOf", "not", "if"}

// prepare rewrites a schema for the library. It wraps what APISIX skips for
// secret references (a schema whose type is "string", or that names no type)
// as
//
//	{"type": T, "default": D, "if": <secret reference>, "else": <the rest>}
//
// and drops the keywords that APISIX's validator does not look at. around is
// the type that an enclosing schema demands of the same value.
func prepare(doc any, around string) any {
	s, ok := doc.(*object)
	if !ok {
		return doc // true and false
	}
	typ := around
	if t, ok := s.vals["type"]; ok {
		typ, _ = t.(string)
		if typ == "" {
			typ = "several" // a list of types: APISIX skips nothing
		}
	}
	out := newObject()
	for _, k := range s.keys {
		val := s.vals[k]
		switch k {
		case "properties", "patternProperties", "definitions":
			val = prepareMap(val, "")
		case "dependencies":
			val = prepareMap(val, "object")
		case "items", "additionalItems", "additionalProperties", "contains":
			val = prepareAny(val, "")
		case "allOf", "anyOf", "oneOf", "not", "if", "then", "else":
			val = prepareAny(val, typ)
		case "propertyNames":
			if _, ok := val.(*object); ok {
				continue
			}
		case "format":
			if name, _ := val.(string); !knownFormat(name) {
				continue
			}
		case "$schema", "$id", "id":
			continue
		}
		out.set(k, val)
	}
	if typ != "" && typ != "string" || !hasAny(out, forStrings) {
		return out
	}
	wrap, rest := newObject(), newObject()
	wrap.wrapped = true
	for _, k := range out.keys {
		if k == "type" || k == "default" || k == "definitions" {
			wrap.set(k, out.vals[k])
		} else {
			rest.set(k, out.vals[k])
		}
	}
	ref := newObject()
	ref.set("type", "string")
	ref.set("pattern", secretPattern)
	wrap.set("if", ref)
	wrap.set("else", rest)
	return wrap
}

func prepareMap(doc any, around string) any {
	m, ok := doc.(*object)
	if !ok {
		return doc
	}
	out := newObject()
	for _, k := range m.keys {
		if _, names := m.vals[k].([]any); names {
			out.set(k, m.vals[k]) // dependencies: a list of names
			continue
		}
		out.set(k, prepare(m.vals[k], around))
	}
	return out
}

func prepareAny(doc any, around string) any {
	list, ok := doc.([]any)
	if !ok {
		return prepare(doc, around)
	}
	out := make([]any, len(list))
	for i, d := range list {
		out[i] = prepare(d, around)
	}
	return out
}

func hasAny(o *object, keys []string) bool {
	for _, k := range keys {
		if o.has(k) {
			return true
		}
	}
	return false
}

// isSecretRef tells whether s is "$secret://..." or, in any letter case,
// "$env://...".
func isSecretRef(s string) bool {
	if len(s) < 7 || s[0] != '$' {
		return false
	}
	return strings.HasPrefix(s, "$secret://") || strings.EqualFold(s[:7], "$env://")
}

// matcher is a pattern that needs no regular expression.
type matcher struct {
	src   string
	match func(s string) bool
}

func (m *matcher) MatchString(s string) bool { return m.match(s) }
func (m *matcher) String() string            { return m.src }

// compileRegexp compiles a pattern of a schema, which is a PCRE.
func compileRegexp(src string) (jsonschema.Regexp, error) {
	if src == secretPattern {
		return &matcher{src, isSecretRef}, nil
	}
	if src == ".*" || src == "" {
		return &matcher{src, func(string) bool { return true }}, nil
	}
	re, err := pcre.Compile(src, "")
	if err != nil {
		return nil, err // a nil *Regexp would not be nil
	}
	return re, nil
}

// formats are the ones that APISIX's validator knows (jsonschema 0.9.13), as
// strict as they are there. All others are ignored.
var formats = []*jsonschema.Format{
	{Name: "ipv4", Validate: checkString(func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	})},
	{Name: "ipv6", Validate: checkString(func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is6() && a.Zone() == ""
	})},
	format("email", `^([A-Za-z0-9_.-])+@([A-Za-z0-9_.-])+\.([A-Za-z]{2,4})$`),
	format("hostname", `^[a-zA-Z0-9.-]+$`),
	format("uuid", `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`),
	format("date", `^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`),
	format("date-time", `^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`),
	format("uri", `^[a-zA-Z][a-zA-Z0-9+.-]*:\S*$`),
}

func knownFormat(name string) bool {
	for _, f := range formats {
		if f.Name == name {
			return true
		}
	}
	return false
}

func format(name, pattern string) *jsonschema.Format {
	return &jsonschema.Format{Name: name, Validate: checkString(regexp.MustCompile(pattern).MatchString)}
}

var errFormat = errors.New("wrong format")

func checkString(ok func(string) bool) func(any) error {
	return func(v any) error {
		if s, is := v.(string); is && !ok(s) {
			return errFormat
		}
		return nil
	}
}
