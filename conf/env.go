package conf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Env looks a variable up, as os.LookupEnv does.
type Env func(name string) (value string, ok bool)

// Substitute replaces every ${{VAR}} and ${{VAR:=default}} in s; blanks inside
// the braces are allowed. What does not look like a reference stays as it is.
// All variables that are missing and have no default are in the error.
func Substitute(s string, env Env) (string, error) {
	out, _, missing := substitute(s, env)
	if len(missing) > 0 {
		return "", missingError(missing)
	}
	return out, nil
}

// missingVar is a reference without a value; at is its offset in the text.
type missingVar struct {
	name string
	at   int
}

// missingError spells it as APISIX does, each name once.
func missingError(missing []missingVar) error {
	var lines []string
	seen := map[string]bool{}
	for _, m := range missing {
		if !seen[m.name] {
			seen[m.name] = true
			lines = append(lines, "can't find environment variable "+m.name)
		}
	}
	return fmt.Errorf("%s", strings.Join(lines, "; "))
}

// substitute returns the text with values put in, whether there were any
// references, and those that have no value. Like APISIX's pattern, a default
// ends at the first "}}".
func substitute(s string, env Env) (out string, used bool, missing []missingVar) {
	from := strings.Index(s, "${{")
	if from < 0 {
		return s, false, nil
	}
	var b strings.Builder
	done := 0
	for from < len(s) {
		i := strings.Index(s[from:], "${{")
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		body := strings.TrimLeft(s[i+3:], blanks)
		if body == "" || !isWord(body[0]) {
			continue
		}
		start := len(s) - len(body)
		n := strings.Index(body, "}}")
		if n < 0 {
			break
		}
		name, def, hasDef := strings.Cut(body[:n], ":=")
		name = strings.Trim(name, blanks)
		v, ok := env(name)
		if !ok && hasDef {
			v, ok = strings.Trim(def, blanks), true
		}
		if !ok {
			missing = append(missing, missingVar{name, i})
		}
		used = true
		b.WriteString(s[done:i])
		b.WriteString(v)
		done = start + n + 2
		from = done
	}
	b.WriteString(s[done:])
	return b.String(), used, missing
}

const blanks = " \t\r\n\v\f"

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Typed is a value that came out of ${{}} and reads as a number or a boolean:
// Val is that. Text keeps the spelling, so that a password of digits with a
// leading zero is not harmed where a string is wanted.
type Typed struct {
	Text string
	Val  any
}

// retype gives the result of a substitution the type that it reads as.
func retype(s string) any {
	switch s {
	case "true":
		return Typed{s, true}
	case "false":
		return Typed{s, false}
	}
	lit, ok := numberLiteral(s)
	if !ok {
		return s
	}
	if n, err := strconv.Atoi(lit); err == nil {
		return Typed{s, n}
	}
	f, _ := strconv.ParseFloat(lit, 64)
	return Typed{s, f}
}

// numberLiteral returns s as a JSON number if it is one for Lua's tonumber.
// Digits are kept where they are valid JSON already.
func numberLiteral(s string) (string, bool) {
	s = strings.Trim(s, blanks)
	if isJSONNumber(s) {
		return s, true
	}
	if s == "" || strings.Contains(s, "_") || !strings.ContainsAny(s, "0123456789") {
		return "", false
	}
	if n, err := strconv.ParseInt(s, 0, 64); err == nil && strings.ContainsAny(s, "xX") {
		return strconv.FormatInt(n, 10), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	return strconv.FormatFloat(f, 'f', -1, 64), true
}

// isJSONNumber reports whether s is a number in JSON's grammar that a float can hold.
func isJSONNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	if last := s[len(s)-1]; last < '0' || last > '9' {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && json.Valid([]byte(s))
}

// substituteTree does it in the strings and keys of a parsed document, in
// place. path names the value in missing.
func substituteTree(v any, path string, env Env, missing func(path string, m missingVar)) any {
	switch v := v.(type) {
	case string:
		out, used, miss := substitute(v, env)
		for _, m := range miss {
			missing(path, m)
		}
		if !used {
			return v
		}
		return retype(out)
	case []any:
		for i := range v {
			v[i] = substituteTree(v[i], path+"["+strconv.Itoa(i)+"]", env, missing)
		}
	case map[string]any:
		renamed := map[string]string{}
		for k, x := range v {
			p := joinPath(path, k)
			v[k] = substituteTree(x, p, env, missing)
			key, used, miss := substitute(k, env)
			for _, m := range miss {
				missing(p, m)
			}
			if len(miss) == 0 && used && key != k {
				renamed[k] = key
			}
		}
		for old, key := range renamed {
			x := v[old]
			delete(v, old)
			v[key] = x
		}
	}
	return v
}

// substituteJSON does it in the strings and keys of valid JSON text, and
// leaves everything else byte for byte: order, digits, blanks.
func substituteJSON(text []byte, env Env) ([]byte, []missingVar) {
	if !bytes.Contains(text, []byte("{{")) {
		return text, nil
	}
	var out []byte
	var missing []missingVar
	done := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		end := stringEnd(text, i)
		tok := text[i:end]
		var s string
		if bytes.Contains(tok, []byte("{{")) && json.Unmarshal(tok, &s) == nil {
			v, used, miss := substitute(s, env)
			for _, m := range miss {
				missing = append(missing, missingVar{m.name, i})
			}
			if used {
				out = append(out, text[done:i]...)
				out = append(out, jsonValue(v, isKey(text, end))...)
				done = end
			}
		}
		i = end - 1
	}
	return append(out, text[done:]...), missing
}

// jsonValue writes what a substitution gave: a key is always a string.
func jsonValue(v string, key bool) string {
	if !key {
		if v == "true" || v == "false" {
			return v
		}
		if lit, ok := numberLiteral(v); ok {
			return lit
		}
	}
	return string(appendString(nil, v))
}

// stringEnd returns the offset behind the string that starts at i.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func isKey(b []byte, i int) bool {
	for ; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '\r', '\n':
		default:
			return b[i] == ':'
		}
	}
	return false
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
