package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	envPrefix    = "$env://"
	secretPrefix = "$secret://"
)

// IsReference reports whether the whole string is a reference to a secret:
// then a schema does not apply to it and Resolve gives its value.
func IsReference(s string) bool {
	return hasPrefixFold(s, envPrefix) || hasPrefixFold(s, secretPrefix)
}

// Resolve returns the value of $env://NAME or $env://NAME/field (a member of
// the JSON object in the variable), and s itself if it is no reference. The
// prefix may be in any letter case. The error names the reference, never the
// value; the caller must not use s instead of it.
func Resolve(s string, env Env) (value string, isRef bool, err error) {
	switch {
	case hasPrefixFold(s, secretPrefix):
		return "", true, fmt.Errorf("cannot resolve %q: secret managers are asked by the gateway only", s)
	case !hasPrefixFold(s, envPrefix):
		return s, false, nil
	}
	name, field, hasField := strings.Cut(s[len(envPrefix):], "/")
	if name == "" {
		return "", true, fmt.Errorf("cannot resolve %q: it names no environment variable", s)
	}
	v, ok := env(name)
	if !ok {
		return "", true, fmt.Errorf("cannot resolve %q: can't find environment variable %s", s, name)
	}
	if !hasField || field == "" {
		return v, true, nil
	}
	if v, err = member(v, field); err != nil {
		return "", true, fmt.Errorf("cannot resolve %q: %w", s, err)
	}
	return v, true, nil
}

// member takes a field out of a JSON object. Its errors say nothing of the
// text: the text is a secret.
func member(text, field string) (string, error) {
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &m) != nil || m == nil {
		return "", errors.New("the variable holds no JSON object")
	}
	raw, ok := m[field]
	if !ok {
		return "", fmt.Errorf("the JSON object in the variable has no member %q", field)
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[', 'n':
		return "", fmt.Errorf("member %q of the JSON object in the variable is no string", field)
	}
	return string(raw), nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
