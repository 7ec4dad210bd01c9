package driver

import (
	"bytes"
	"unicode/utf8"
)

// JSON strings: reading them out of valid bytes and writing them.

// unquoted returns the content of the string raw. Without escapes it aliases
// raw; otherwise it is written behind arena, whose new value is returned.
func unquoted(raw, arena []byte) (s, grown []byte) {
	s = raw[1 : len(raw)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s, arena
	}
	n := len(arena)
	arena = appendUnescaped(arena, s)
	return arena[n:len(arena):len(arena)], arena
}

// appendUnescaped appends the text of s, a string's content as it stands
// between the quotes. Lone surrogates become U+FFFD.
func appendUnescaped(dst, s []byte) []byte {
	for {
		k := bytes.IndexByte(s, '\\')
		if k < 0 || k+1 >= len(s) {
			return append(dst, s...)
		}
		dst = append(dst, s[:k]...)
		c := s[k+1]
		s = s[k+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var r rune
			r, s = unicodeEscape(s)
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

// unicodeEscape reads what follows \u, with the second half of a surrogate pair.
func unicodeEscape(s []byte) (rune, []byte) {
	if len(s) < 4 {
		return utf8.RuneError, nil
	}
	r := hex4(s)
	s = s[4:]
	if r < 0xd800 || r > 0xdfff {
		return r, s
	}
	if r <= 0xdbff && len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
		if low := hex4(s[2:]); 0xdc00 <= low && low <= 0xdfff {
			return (r-0xd800)<<10 | (low - 0xdc00) + 0x10000, s[6:]
		}
	}
	return utf8.RuneError, s
}

// keyIs compares a key as it stands in the document with a name.
func keyIs(key []byte, name string) bool {
	if string(key) == name {
		return true
	}
	// An escaped key is longer than its text, six times at most.
	if len(key) <= len(name) || len(key) > 6*len(name) || bytes.IndexByte(key, '\\') < 0 {
		return false
	}
	var buf [128]byte
	return string(appendUnescaped(buf[:0], key)) == name
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string, quotes included. Only what must be
// escaped is; bytes that are not UTF-8 become U+FFFD, so that the result is
// valid wherever it goes.
func AppendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		k := scanPlain(s, 0)
		if plain := s[:k]; utf8.Valid(plain) {
			dst = append(dst, plain...)
		} else {
			for len(plain) > 0 {
				r, n := utf8.DecodeRune(plain)
				dst, plain = utf8.AppendRune(dst, r), plain[n:]
			}
		}
		if k == len(s) {
			break
		}
		switch c := s[k]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		s = s[k+1:]
	}
	return append(dst, '"')
}

// Strings returns the strings among the elements of the array raw.
func Strings(raw []byte) (list []string) {
	for e := elementsOf(raw); e.next(); {
		if KindOf(e.val) == String {
			list = append(list, string(appendUnescaped(nil, e.val[1:len(e.val)-1])))
		}
	}
	return list
}
