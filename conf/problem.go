package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing wrong in a configuration file. Fields that do not apply
// or are not known are zero. It never carries a secret.
type Problem struct {
	File   string
	Line   int    // from 1; of the item, or of the key in config.yaml
	Kind   Kind   // of the resource
	ID     string // of the resource
	Field  string // key path, "deployment.admin.admin_listen.port"
	Reason string
	Unset  string // the environment variable that has no value, where that is all
	Warn   bool   // nothing was refused
}

// Error writes "file:line: routes "1": field: reason", leaving out what is not known.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	}
	if p.Kind != 0 {
		b.WriteString(p.Kind.String())
		if p.ID != "" {
			fmt.Fprintf(&b, " %q", p.ID)
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Reason)
	return b.String()
}

// Problems is an error made of all that was found, in the order of the file.
type Problems []Problem

// Error gives each problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Warning is a Problem that stops nothing: an unknown key, a key without effect.
type Warning = Problem

// nearest returns the name that was probably meant, "" if none is close.
func nearest(name string, known []string) string {
	best, dist := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := distance(name, k); d < dist {
			best, dist = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
