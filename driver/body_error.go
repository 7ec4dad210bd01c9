package driver

import "strconv"

// want is what the walk expected where it failed; wantNone means it did not.
type want uint8

const (
	wantNone want = iota
	wantValue
	wantKey
	wantColon
	wantObjectEnd
	wantArrayEnd
	wantEnd
	tooDeep
	tooMany
)

var wantNames = [...]string{
	wantValue:     "value",
	wantKey:       "object key string",
	wantColon:     "colon",
	wantObjectEnd: "comma or object end",
	wantArrayEnd:  "comma or array end",
	wantEnd:       "the end",
}

// SyntaxError says why bytes are not a JSON document that Body takes. Its text
// follows the parser of APISIX (2.2 of ai-proxy.md pins only the beginning of
// the answer) and never quotes content.
type SyntaxError struct {
	want  want
	found string
	at    int
}

// Error gives for example "Expected the end but found T_STRING at character 3".
func (e *SyntaxError) Error() string {
	switch e.want {
	case tooDeep:
		return "Found too many nested data structures (" + strconv.Itoa(maxDepth+1) + ")"
	case tooMany:
		return "Found too many top-level members (" + strconv.Itoa(maxFields+1) + ")"
	}
	return "Expected " + wantNames[e.want] + " but found " + e.found + " at character " + strconv.Itoa(e.at+1)
}

// syntaxError looks again at the token at i that the walk refused. Only the
// error path pays for the details.
func syntaxError(p []byte, i int, w want) *SyntaxError {
	e := &SyntaxError{want: w, at: i}
	if i >= len(p) {
		e.at, e.found = len(p), "T_END"
		return e
	}
	switch c := p[i]; c {
	case '{':
		e.found = "T_OBJ_BEGIN"
	case '}':
		e.found = "T_OBJ_END"
	case '[':
		e.found = "T_ARR_BEGIN"
	case ']':
		e.found = "T_ARR_END"
	case ':':
		e.found = "T_COLON"
	case ',':
		e.found = "T_COMMA"
	case '"':
		e.found, e.at = stringFault(p, i)
	default:
		e.found = "invalid token"
		if c == '-' || '0' <= c && c <= '9' {
			e.found = "invalid number"
		}
		if next := skipScalar(p, i); next > 0 {
			e.found = map[byte]string{'t': "T_BOOLEAN", 'f': "T_BOOLEAN", 'n': "T_NULL"}[c]
			if e.found == "" {
				e.found = "T_NUMBER"
			}
		}
	}
	return e
}

// stringFault says what is wrong with the string token at i, and where.
func stringFault(p []byte, i int) (found string, at int) {
	at = i
	for i++; ; {
		i = scanPlain(p, i)
		switch {
		case i >= len(p):
			return "unexpected end of string", len(p)
		case p[i] == '"':
			return "T_STRING", at
		case p[i] != '\\':
			return "invalid token", i
		}
		next := skipEscape(p, i)
		if next < 0 {
			return "invalid escape code", i
		}
		i = next
	}
}
