package proxyrewrite

import (
	"strings"

	"headrace/plugin"
)

// uri is the configured uri, taken apart at its first question mark. One that
// comes out of a variable separates nothing.
type uri struct{ path, query text }

func newURI(s string) *uri {
	path, query := cutQuery(s)
	return &uri{newText(path), newText(query)}
}

// cutQuery finds the first question mark that is not part of "${name ?? default}".
func cutQuery(s string) (path, query string) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '?':
			return s[:i], s[i+1:]
		case strings.HasPrefix(s[i:], "${"):
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				i += end
			}
		}
	}
	return s, ""
}

// text is text with variables; plain is it if there are none.
type text struct {
	plain []byte
	vars  *plugin.Combination // nil: none
}

func newText(s string) text {
	if strings.IndexByte(s, '$') < 0 {
		return text{plain: []byte(s)}
	}
	return text{vars: plugin.CompileCombination(s)}
}

// fill returns bytes with no room behind them that is not their own.
func (t *text) fill(c *plugin.Ctx) []byte {
	if t.vars == nil {
		return t.plain[:len(t.plain):len(t.plain)]
	}
	out, _ := t.vars.Append(nil, c)
	return out
}
