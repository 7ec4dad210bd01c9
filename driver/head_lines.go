package driver

import "bytes"

// The header lines of a head: reading the client's, and which of them end here.

// line is one header line; a folded value still has its line ends in it.
type line struct{ name, value []byte }

// nextLine cuts the first line off src, together with the lines that a leading
// space makes its continuation. A line without a name has a nil name.
func nextLine(src []byte) (l line, rest []byte) {
	end := 0
	for {
		k := bytes.IndexByte(src[end:], '\n')
		if k < 0 {
			end = len(src)
			break
		}
		end += k + 1
		if end >= len(src) || src[end] != ' ' && src[end] != '\t' {
			break
		}
	}
	text, rest := src[:end], src[end:]
	if k := bytes.IndexByte(text, ':'); k > 0 {
		l = line{text[:k], trim(text[k+1:])}
	}
	return l, rest
}

func trim(p []byte) []byte {
	for len(p) > 0 && isBlank(p[0]) {
		p = p[1:]
	}
	for len(p) > 0 && isBlank(p[len(p)-1]) {
		p = p[:len(p)-1]
	}
	return p
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// IsToken tells the names that a header, and the words that a method, may have
// (RFC 9110, 5.6.2).
func IsToken(p []byte) bool {
	for _, c := range p {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(p) > 0
}

func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func appendLower(dst, p []byte) []byte {
	for _, c := range p {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// appendValue appends a value with every control byte, folds among them, made
// a space (RFC 9110, 5.5).
func appendValue(dst, p []byte) []byte {
	start := len(dst)
	dst = append(dst, p...)
	for i, c := range dst[start:] {
		if c < 0x20 && c != '\t' || c == 0x7f {
			dst[start+i] = ' '
		}
	}
	return dst
}

func hasLine(lines, lower []byte) bool {
	for len(lines) > 0 {
		var l line
		if l, lines = nextLine(lines); equalLower(l.name, lower) {
			return true
		}
	}
	return false
}

func equalLower(p, lower []byte) bool {
	if len(p) != len(lower) {
		return false
	}
	for i, c := range p {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hops is a view of the Connection headers of a request.
type hops struct {
	lines []byte // all header lines, nil if there is nothing to look for
}

// hopNames looks whether some Connection header names a header; keep-alive and
// close, which nearly all are, name none.
func hopNames(lines []byte) hops {
	for rest := lines; len(rest) > 0; {
		var l line
		if l, rest = nextLine(rest); !equalLower(l.name, connection) {
			continue
		}
		if !equalLower(l.value, keepAlive) && !equalLower(l.value, closing) {
			return hops{lines}
		}
	}
	return hops{}
}

var (
	connection = []byte("connection")
	keepAlive  = []byte("keep-alive")
	closing    = []byte("close")
)

func (h hops) has(name []byte) bool {
	for rest := h.lines; len(rest) > 0; {
		var l line
		if l, rest = nextLine(rest); !equalLower(l.name, connection) {
			continue
		}
		for v := l.value; len(v) > 0; {
			token := v
			if k := bytes.IndexByte(v, ','); k >= 0 {
				token, v = v[:k], v[k+1:]
			} else {
				v = nil
			}
			if equalLower(trim(token), name) {
				return true
			}
		}
	}
	return false
}
