package plugin

import "strings"

// Combination is a text in which variables stand: the keys of limits and of
// consistent hashing (ai-proxy.md 6.4, vars_combinations; gateway.md 8.1),
// headers and bodies that plugins make.
type Combination struct{ parts []keyPart }

type keyPart struct {
	text string // literal, or the default of v
	v    Var
}

// CompileCombination compiles a text in which $name, ${name} and
// ${name ?? default} stand for request variables and \$ for a dollar sign.
func CompileCombination(text string) *Combination {
	k := new(Combination)
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			k.parts = append(k.parts, keyPart{text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && text[i+1] == '$' {
			lit.WriteByte('$')
			i++
			continue
		}
		if text[i] != '$' {
			lit.WriteByte(text[i])
			continue
		}
		name, def, rest := cutDefault(text[i+1:])
		if name == "" {
			lit.WriteByte('$')
			continue
		}
		flush()
		v, _ := LookupVar(name)
		k.parts = append(k.parts, keyPart{def, v})
		i = len(text) - len(rest) - 1
	}
	flush()
	return k
}

// cutDefault takes "name", "{name}" or "{name ?? default}" from the front of s;
// name is empty if none of them is there.
func cutDefault(s string) (name, def, rest string) {
	if inner, after, ok := strings.Cut(s, "}"); ok && strings.HasPrefix(inner, "{") {
		if name, def, ok := strings.Cut(inner[1:], "??"); ok {
			return strings.TrimSpace(name), strings.TrimSpace(def), after
		}
	}
	name, rest = cutName(s)
	return name, "", rest
}

// Key is Append in the form of a Var.
func (k *Combination) Key(c *Ctx, dst []byte) ([]byte, bool) { return k.Append(dst, c) }

// Append writes the key of a request to dst. resolved is true when a variable
// of the text had a value or a default, so never for a text without any, as in
// APISIX; missing ones are empty.
func (k *Combination) Append(dst []byte, c *Ctx) (out []byte, resolved bool) {
	for i := range k.parts {
		p := &k.parts[i]
		if p.v == nil {
			dst = append(dst, p.text...)
			continue
		}
		start, ok := len(dst), false
		if dst, ok = p.v(c, dst); !ok {
			dst = append(dst[:start], p.text...)
		}
		resolved = resolved || ok || p.text != ""
	}
	return dst, resolved
}
