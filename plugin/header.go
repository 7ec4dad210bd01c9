package plugin

import "bytes"

// headerValue returns the first value of a header in a block of header lines
// as received. With dash set, "_" in name stands for "-" as well, as in the
// names of variables.
func headerValue(lines []byte, name string, dash bool) []byte {
	for len(lines) > 0 {
		line := lines
		if i := bytes.IndexByte(lines, '\n'); i >= 0 {
			line, lines = lines[:i], lines[i+1:]
		} else {
			lines = nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && sameName(line[:len(name)], name, dash) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

func sameName(got []byte, name string, dash bool) bool {
	for i := range got {
		g, n := got[i], name[i]
		if 'A' <= g && g <= 'Z' {
			g += 'a' - 'A'
		}
		if 'A' <= n && n <= 'Z' {
			n += 'a' - 'A'
		}
		if g != n && (!dash || n != '_' || g != '-') {
			return false
		}
	}
	return true
}
