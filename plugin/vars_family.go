package plugin

import "bytes"

// headerVar is the variable http_<name>.
func headerVar(name string) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) { return appendHeader(dst, c.Req.Headers, name) }
}

// appendHeader writes the value of a request header. Several of one name are
// joined, as nginx does since 1.23.
func appendHeader(dst, lines []byte, name string) ([]byte, bool) {
	v, lines, ok := nextHeader(lines, name, true)
	if !ok {
		return dst, false
	}
	comma := ", "
	if name == cookieName {
		comma = "; "
	}
	for ; ok; v, lines, ok = nextHeader(lines, name, true) {
		dst = append(append(dst, v...), comma...)
	}
	return dst[:len(dst)-len(comma)], true
}

// appendArg writes the first value of a query argument, decoded; names are
// case-sensitive.
func appendArg(dst, query []byte, name string) ([]byte, bool) {
	at := len(dst)
	for len(query) > 0 {
		var kv []byte
		kv, query, _ = bytes.Cut(query, []byte("&"))
		k, v, _ := bytes.Cut(kv, []byte("="))
		dst = AppendUnescaped(dst[:at], k)
		if string(dst[at:]) == name {
			return AppendUnescaped(dst[:at], v), true
		}
	}
	return dst[:at], false
}

const cookieName = "cookie"

// appendCookie writes the value of a cookie.
func appendCookie(dst, lines []byte, name string) ([]byte, bool) {
	v, ok := findCookie(lines, name)
	return append(dst, v...), ok
}

// findCookie returns the value of the first cookie of that name.
func findCookie(lines []byte, name string) ([]byte, bool) {
	all, lines, ok := nextHeader(lines, cookieName, false)
	for ; ok; all, lines, ok = nextHeader(lines, cookieName, false) {
		for len(all) > 0 {
			var kv []byte
			kv, all, _ = bytes.Cut(all, []byte(";"))
			k, v, is := bytes.Cut(bytes.TrimSpace(kv), []byte("="))
			if is && string(k) == name {
				return v, true
			}
		}
	}
	return nil, false
}

// AppendUnescaped writes a name or a value of a query decoded: %XX, and "+"
// as a blank. A "%" that begins no such escape stands for itself.
func AppendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b == '+' {
			b = ' '
		} else if b == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi < 16 && lo < 16 {
				b = hi<<4 | lo
				i += 2
			}
		}
		dst = append(dst, b)
	}
	return dst
}

// unhex is the value of a hexadecimal digit, 16 for what is none.
func unhex(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 16
}
