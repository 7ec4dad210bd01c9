package driver

import (
	"bytes"
	"fmt"
	"strings"
)

// IsReference tells whether a string of the configuration stands for a secret:
// $secret://..., or $env://... in any case (ai-proxy.md section 1.1). Only
// whole strings are references.
func IsReference(s string) bool {
	return strings.HasPrefix(s, "$secret://") || len(s) >= 7 && strings.EqualFold(s[:7], "$env://")
}

// resolver replaces references and remembers the first that failed.
type resolver struct {
	resolve func(string) (string, error)
	broken  error
}

// str returns what s stands for; field names it in errors. secret says that
// the value came out of a reference and must not be shown.
func (r *resolver) str(field, s string) (value string, secret bool) {
	if !IsReference(s) {
		return s, false
	}
	if r.resolve == nil {
		r.fail(field, s, fmt.Errorf("no resolver for references"))
		return "", true
	}
	value, err := r.resolve(s)
	if err != nil {
		r.fail(field, s, err)
		return "", true
	}
	return value, true
}

// fail keeps the first fault of a reference; what it resolved to is not shown.
func (r *resolver) fail(field, ref string, err error) {
	if r.broken == nil {
		r.broken = fmt.Errorf("cannot use reference %q of %s: %w", ref, field, err)
	}
}

// raw replaces the references among the strings of a JSON document, keys not
// included. Without any the document is returned as it is.
func (r *resolver) raw(field string, doc []byte) []byte {
	if !bytes.Contains(doc, []byte("://")) && !bytes.Contains(doc, []byte(`\`)) {
		return doc
	}
	if i := skipSpace(doc, 0); i >= len(doc) {
		return doc
	} else if end, w := skipValue(doc, i, 0); w != wantNone || skipSpace(doc, end) < len(doc) {
		return doc // not JSON: the caller finds out
	} else {
		return r.appendRaw(nil, field, doc[i:end])
	}
}

func (r *resolver) appendRaw(dst []byte, field string, raw []byte) []byte {
	switch raw[0] {
	case '"':
		s := string(appendUnescaped(nil, raw[1:len(raw)-1]))
		if v, secret := r.str(field, s); secret {
			return AppendString(dst, []byte(v))
		}
	case '[':
		dst = append(dst, '[')
		n := 0
		for e := elementsOf(raw); e.next(); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendRaw(dst, fmt.Sprintf("%s[%d]", field, n), e.val)
		}
		return append(dst, ']')
	case '{':
		dst = append(dst, '{')
		n := 0
		for m := membersOf(raw); m.next(); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), m.key...), '"', ':')
			dst = r.appendRaw(dst, field+"."+string(appendUnescaped(nil, m.key)), m.val)
		}
		return append(dst, '}')
	}
	return append(dst, raw...)
}
