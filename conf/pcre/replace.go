package pcre

import (
	"fmt"
	"strconv"
	"strings"
)

// Replacement is the text that takes the place of a match, compiled.
type Replacement struct{ parts []part }

type part struct {
	text  string
	group int // -1: text
}

// CompileReplacement compiles a text in which $0, or ${0}, is the match, $1
// and so on are its groups and $$ is a dollar sign, as in ngx.re.sub.
func CompileReplacement(text string) (*Replacement, error) {
	r := new(Replacement)
	for rest := text; rest != ""; {
		lit, after, found := strings.Cut(rest, "$")
		rest = after
		if lit != "" {
			r.parts = append(r.parts, part{lit, -1})
		}
		if !found {
			break
		}
		if strings.HasPrefix(rest, "$") {
			r.parts, rest = append(r.parts, part{"$", -1}), rest[1:]
			continue
		}
		group, after, ok := CutGroup(rest)
		if !ok {
			return nil, fmt.Errorf("invalid capturing variable name found in %q", text)
		}
		r.parts, rest = append(r.parts, part{"", group}), after
	}
	return r, nil
}

// CutGroup takes "1" or "{1}" off the front of what follows a dollar sign.
func CutGroup(s string) (group int, rest string, ok bool) {
	digits, braced := strings.CutPrefix(s, "{")
	n := 0
	for n < len(digits) && '0' <= digits[n] && digits[n] <= '9' {
		n++
	}
	group, err := strconv.Atoi(digits[:n])
	if err != nil {
		return 0, s, false
	}
	if rest = digits[n:]; !braced {
		return group, rest, true
	}
	rest, ok = strings.CutPrefix(rest, "}")
	return group, rest, ok
}

// Group returns what a group matched in text, loc being the result of Find;
// nil for a group that there is not or that took no part.
func Group(text []byte, loc []int, group int) []byte {
	if group < 0 || group >= len(loc)/2 || loc[2*group] < 0 {
		return nil
	}
	return text[loc[2*group]:loc[2*group+1]]
}

// Append writes the replacement of a match in text.
func (r *Replacement) Append(dst, text []byte, loc []int) []byte {
	for _, p := range r.parts {
		if p.group < 0 {
			dst = append(dst, p.text...)
		} else {
			dst = append(dst, Group(text, loc, p.group)...)
		}
	}
	return dst
}

// Replace appends text to dst with the first match replaced, or all of them.
// If err, ErrTimeout, is not nil, nothing was appended.
func (r *Regexp) Replace(dst, text []byte, with *Replacement, all bool) ([]byte, error) {
	found, err := r.find(text, all)
	if err != nil {
		return dst, err
	}
	from := 0
	for _, loc := range found {
		dst = append(dst, text[from:loc[0]]...)
		dst = with.Append(dst, text, loc)
		from = loc[1]
	}
	return append(dst, text[from:]...), nil
}
