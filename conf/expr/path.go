package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Path is what follows "post_arg." in the name of a variable: the members of
// a JSON body that lead to a value. With a bracket, a "*" or a ".." in it, it
// is JSONPath without the leading "$." and selects an array of all hits.
// It never changes.
type Path struct {
	text  string
	plain bool // members only: selects one value
	steps []step
}

// step is what a path says about one level of the body.
type step struct {
	deep   bool     // "..": at any depth below
	all    bool     // "*"
	names  []string // members; of arrays, the elements with these indexes
	slices []slice  // of arrays
}

// slice is [from:to:by]; a negative limit counts from the end.
type slice struct {
	from, to, by int
	open         bool // there is no to
}

// maxSteps is a limit of the walk, which keeps a bit per step.
const maxSteps = 63

var errFilter = errors.New("filters and scripts in JSONPath are not supported")

// ParsePath compiles a path: members by dots, "..", "*", and brackets with
// "*", or with indexes, slices and quoted names separated by commas.
func ParsePath(text string) (*Path, error) {
	p := &Path{text: text, plain: !strings.ContainsAny(text, "[*") && !strings.Contains(text, "..")}
	for rest := text; rest != "" || len(p.steps) == 0; {
		s, n, err := parseStep(rest, len(p.steps) == 0)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("invalid expression near %q", rest)
		}
		p.steps, rest = append(p.steps, s), rest[n:]
	}
	if len(p.steps) > maxSteps {
		return nil, fmt.Errorf("invalid expression %q: more than %d steps", text, maxSteps)
	}
	return p, nil
}

// parseStep reads the step at the beginning of s and returns its length, 0 if
// there is none.
func parseStep(s string, first bool) (st step, n int, err error) {
	switch {
	case first:
	case strings.HasPrefix(s, ".."):
		st.deep, n = true, 2
	case strings.HasPrefix(s, "."):
		n = 1
	}
	if !first && strings.HasPrefix(s[n:], "[") && n != 1 {
		k, err := st.bracket(s[n:])
		if k == 0 || err != nil {
			return st, 0, err
		}
		return st, n + k, nil
	}
	if !first && n == 0 {
		return st, 0, nil
	}
	name := s[n:]
	if i := strings.IndexAny(name, ".[]()*?'\", "); i >= 0 {
		name = name[:i]
	}
	switch {
	case name != "":
		st.names = []string{name}
		return st, n + len(name), nil
	case strings.HasPrefix(s[n:], "*"):
		st.all = true
		return st, n + 1, nil
	}
	return st, 0, nil
}

// bracket reads the "[...]" at the beginning of s and returns its length, 0 if
// it is none.
func (st *step) bracket(s string) (n int, err error) {
	rest := strings.TrimLeft(s[1:], " ")
	if after, ok := strings.CutPrefix(rest, "*"); ok {
		st.all = true
		after = strings.TrimLeft(after, " ")
		if !strings.HasPrefix(after, "]") {
			return 0, nil
		}
		return len(s) - len(after) + 1, nil
	}
	if strings.HasPrefix(rest, "?") || strings.HasPrefix(rest, "(") {
		return 0, errFilter
	}
	for {
		rest = strings.TrimLeft(rest, " ")
		k := 0
		if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
			k = st.quoted(rest)
		} else if k = strings.IndexAny(rest, ",]"); k > 0 && !st.indexes(strings.TrimRight(rest[:k], " ")) {
			k = 0
		}
		if k <= 0 {
			return 0, nil
		}
		rest = strings.TrimLeft(rest[k:], " ")
		switch {
		case strings.HasPrefix(rest, "]"):
			return len(s) - len(rest) + 1, nil
		case !strings.HasPrefix(rest, ","):
			return 0, nil
		}
		rest = rest[1:]
	}
}

// quoted reads a name between quotes and returns its length with them.
func (st *step) quoted(s string) int {
	var name []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			st.names = append(st.names, string(name))
			return i + 1
		case c == '\\' && i+1 < len(s) && (s[i+1] == s[0] || s[i+1] == '\\'):
			i++
			name = append(name, s[i])
		default:
			name = append(name, c)
		}
	}
	return 0
}

// indexes reads an index or a slice.
func (st *step) indexes(s string) bool {
	parts := strings.Split(s, ":")
	var limits [3]int
	if len(parts) > 3 {
		return false
	}
	limits[2] = 1
	for i, part := range parts {
		part = strings.TrimSpace(part)
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil && (part != "" || len(parts) == 1) {
			return false
		}
		if part != "" {
			limits[i] = int(n)
		}
	}
	if len(parts) == 1 {
		st.names = append(st.names, s)
		return true
	}
	st.slices = append(st.slices, slice{limits[0], limits[1], limits[2], strings.TrimSpace(parts[1]) == ""})
	return limits[2] != 0
}

// String is the path as it is written.
func (p *Path) String() string { return p.text }

// Head returns the top-level member that the path begins with, "" if it does
// not begin with exactly one.
func (p *Path) Head() string {
	if s := &p.steps[0]; !s.all {
		return s.names[0]
	}
	return ""
}

// Single says whether Head is the whole path.
func (p *Path) Single() bool { return len(p.steps) == 1 && !p.steps[0].all }
