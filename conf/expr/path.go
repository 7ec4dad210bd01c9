package expr

import (
	"fmt"
	"strings"
)

// checkPath looks at the path of a "post_arg.<path>" variable, which is
// JSONPath without the leading "$.": members by dots, "..", "*", and brackets
// with an index, a slice, a quoted name, a list of these or a ?(filter).
func checkPath(name string) error {
	path, ok := strings.CutPrefix(name, "post_arg.")
	if !ok {
		return nil
	}
	rest, first := path, true
	for rest != "" {
		end := 0
		switch {
		case rest[0] == '[' && !first:
			end = bracket(rest)
		case rest[0] == '.' && !first:
			// ".name", "..name" and "..[...]"
			dots := 1
			if strings.HasPrefix(rest, "..") {
				dots = 2
			}
			if dots == 2 && strings.HasPrefix(rest[2:], "[") {
				end = 2
			} else if m := member(rest[dots:]); m > 0 {
				end = dots + m
			}
		case first:
			end = member(rest)
		}
		if end == 0 {
			return fmt.Errorf("invalid expression near %q", rest)
		}
		rest, first = rest[end:], false
	}
	if first {
		return fmt.Errorf("invalid expression near %q", name)
	}
	return nil
}

// member returns the length of the name, or "*", at the beginning of s.
func member(s string) int {
	if i := strings.IndexAny(s, ".[]()*?'\", "); i >= 0 {
		if i == 0 && s[0] == '*' {
			return 1
		}
		return i
	}
	return len(s)
}

// bracket returns the length of the "[...]" at the beginning of s, or 0 if
// it has no end or holds nothing that JSONPath knows.
func bracket(s string) int {
	quote, depth := byte(0), 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[' || c == '(':
			depth++
		case c == ')':
			depth--
		case c == ']':
			if depth--; depth == 0 {
				if !selector(s[1:i]) {
					return 0
				}
				return i + 1
			}
		}
		if depth < 0 {
			return 0
		}
	}
	return 0
}

// selector tells whether s can stand in brackets.
func selector(s string) bool {
	s = strings.TrimSpace(s)
	if s == "*" {
		return true
	}
	if strings.HasPrefix(s, "?(") || strings.HasPrefix(s, "(") {
		return strings.HasSuffix(s, ")")
	}
	if s == "" || s[0] == '.' {
		return false
	}
	if s[0] == '\'' || s[0] == '"' {
		return s[len(s)-1] == s[0] && len(s) > 1
	}
	return strings.Trim(s, "0123456789:,- ") == ""
}
