package admin

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// appendYAML writes the lines of an object or a list as YAML in which keys
// keep their order and numbers their digits. Readers of YAML 1.1 (APISIX's) and
// 1.2 (ours) understand it alike: what one of them may take for something else
// is quoted.
func (v *value) appendYAML(dst []byte, indent int) []byte {
	if !v.block() {
		return append(v.appendScalar(dst, indent, false), '\n')
	}
	return v.appendLines(dst, indent, false)
}

// block tells that the value has lines of its own.
func (v *value) block() bool {
	if v.kind != '{' && v.kind != '[' || v.empty() {
		return false
	}
	return v.kind == '{' || !v.short()
}

// short tells that a list is better read on one line.
func (v *value) short() bool {
	size := 0
	for _, it := range v.items {
		if it.kind == '{' || it.kind == '[' || bytes.Contains(it.raw, []byte(`\n`)) {
			return false
		}
		size += len(it.raw) + 2
	}
	return size <= 100
}

// appendLines writes one line for each member, and what is below it. begun
// tells that the first line has its indentation already.
func (v *value) appendLines(dst []byte, indent int, begun bool) []byte {
	start := func(i int) {
		for n := indent; n > 0 && (i > 0 || !begun); n-- {
			dst = append(dst, ' ')
		}
	}
	for i, m := range v.members {
		start(i)
		dst = append(appendYAMLString(dst, m.key), ':')
		if m.val.block() {
			dst = m.val.appendLines(append(dst, '\n'), indent+2, false)
			continue
		}
		dst = append(m.val.appendScalar(append(dst, ' '), indent+2, true), '\n')
	}
	for i, it := range v.items {
		start(i)
		dst = append(dst, "- "...)
		if it.block() {
			dst = it.appendLines(dst, indent+2, true)
			continue
		}
		dst = append(it.appendScalar(dst, indent+2, true), '\n')
	}
	return dst
}

// appendScalar writes what fits on a line; texts of several lines begin there
// where they may.
func (v *value) appendScalar(dst []byte, indent int, lines bool) []byte {
	switch v.kind {
	case '{':
		return append(dst, "{}"...)
	case '[':
		dst = append(dst, '[')
		for i, it := range v.items {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = it.appendScalar(dst, indent, false)
		}
		return append(dst, ']')
	case '"':
		if s := v.text(); lines && literal(s) {
			return appendLiteral(dst, s, indent)
		}
		return appendYAMLString(dst, v.text())
	case '0':
		// YAML 1.1 has no exponent without a point and a sign.
		if bytes.ContainsAny(v.raw, "eE") {
			if f, err := strconv.ParseFloat(string(v.raw), 64); err == nil {
				return strconv.AppendFloat(dst, f, 'f', -1, 64)
			}
		}
	}
	return append(dst, v.raw...)
}

var (
	plainWord = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./*+@-]*( [A-Za-z0-9_./*+@-]+)*$`)
	otherWord = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`) // what is no string in YAML 1.1
	textLines = regexp.MustCompile(`^[!-~][ -~]*(\n[ -~]*)*[!-~]\n?$`)
)

// appendYAMLString quotes as JSON does, which YAML understands, and escapes what
// YAML does not allow or what a resource file would take for a variable.
func appendYAMLString(dst []byte, s string) []byte {
	if plainWord.MatchString(s) && !otherWord.MatchString(s) {
		return append(dst, s...)
	}
	for i, r := range string(appendQuoted(nil, s)) {
		switch {
		case r < ' ' || r > '~' && r <= 0xffff && !unicode.IsPrint(r):
			dst = append(dst, `\u`...)
			for shift := 12; shift >= 0; shift -= 4 {
				dst = append(dst, "0123456789abcdef"[r>>shift&15])
			}
		case r == '{' && i > 0 && dst[len(dst)-1] == '$':
			dst = append(dst, `\u007b`...)
		default:
			dst = append(dst, string(r)...)
		}
	}
	return dst
}

// literal tells that a text of several lines, such as a certificate, may be
// written line by line.
func literal(s string) bool {
	return strings.Contains(s, "\n") && textLines.MatchString(s) && !strings.Contains(s, "${{")
}

func appendLiteral(dst []byte, s string, indent int) []byte {
	dst = append(dst, '|')
	text, ended := strings.CutSuffix(s, "\n")
	if !ended {
		dst = append(dst, '-')
	}
	for line := range strings.SplitSeq(text, "\n") {
		dst = append(dst, '\n')
		if line != "" {
			dst = append(append(dst, strings.Repeat(" ", indent)...), line...)
		}
	}
	return dst
}
