package plugin

import "bytes"

// nextHeader finds the next line with the given header in a block of header
// lines as received and returns its value, which is not nil, and the lines
// behind it. In names "-" and "_" are the same if dash is set, as in those of
// variables.
func nextHeader(lines []byte, name string, dash bool) (value, rest []byte, ok bool) {
	for len(lines) > 0 {
		line := lines
		if i := bytes.IndexByte(lines, '\n'); i >= 0 {
			line, lines = lines[:i], lines[i+1:]
		} else {
			lines = nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && sameName(line[:len(name)], name, dash) {
			v := line[len(name)+1:]
			if value = bytes.TrimSpace(v); value == nil {
				value = v[:0] // TrimSpace makes nil of blanks
			}
			return value, lines, true
		}
	}
	return nil, nil, false
}

// LastHeader returns the value of the last line with a request header; nil if
// there is none.
func (r *Request) LastHeader(name string) (value []byte) {
	for lines := r.Headers; ; {
		v, rest, ok := nextHeader(lines, name, false)
		if !ok {
			return value
		}
		value, lines = v, rest
	}
}

// sameName compares names of equal length in any letter case.
func sameName(got []byte, name string, dash bool) bool {
	for i := range got {
		if foldByte(got[i], dash) != foldByte(name[i], dash) {
			return false
		}
	}
	return true
}

func foldByte(b byte, dash bool) byte {
	switch {
	case 'A' <= b && b <= 'Z':
		return b + 'a' - 'A'
	case b == '-' && dash:
		return '_'
	}
	return b
}
