package logentry

import (
	"bytes"
	"slices"

	"headrace/plugin"
)

const masked = "***"

// secretEnds are the ends of names, in lower case and without anything but
// letters and digits, of headers and query arguments that hold credentials.
// A name that is one of secretNames does too.
var (
	secretEnds = []string{
		"authorization", "cookie", "apikey", "subscriptionkey", "accesskey", "secretkey", "token", "secret",
		"password", "passwd", "signature", "credential", "jwt",
	}
	secretNames = []string{"key", "sig", "auth", "pass"}
)

// secret tells whether the values under a name must not be in a log.
func secret(name []byte) bool {
	var room [64]byte
	n := room[:0]
	for _, b := range name {
		switch {
		case 'A' <= b && b <= 'Z':
			n = append(n, b+'a'-'A')
		case 'a' <= b && b <= 'z' || '0' <= b && b <= '9':
			n = append(n, b)
		}
	}
	for _, s := range secretEnds {
		if len(n) >= len(s) && string(n[len(n)-len(s):]) == s {
			return true
		}
	}
	for _, s := range secretNames {
		if string(n) == s {
			return true
		}
	}
	return false
}

// pair is a header line or a query argument; a nil value is none at all.
type pair struct{ name, value []byte }

// maxPairs is how many headers or arguments an entry shows, as in APISIX.
const maxPairs = 100

// appendHeaders writes header lines as an object.
func appendHeaders(dst, lines []byte) []byte {
	var room [maxPairs]pair
	all := room[:0]
	for len(lines) > 0 && len(all) < maxPairs {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\n"))
		if name, v, ok := bytes.Cut(line, []byte(":")); ok {
			all = append(all, pair{name, bytes.TrimSpace(v)})
		}
	}
	for i := range all {
		if all[i].value == nil {
			all[i].value = []byte{} // TrimSpace makes nil of blanks
		}
	}
	return appendPairs(dst, all, true)
}

// appendQuery writes query arguments as an object, decoded; one without "="
// is true.
func appendQuery(dst, query []byte) []byte {
	var room [maxPairs]pair
	all := room[:0]
	for len(query) > 0 && len(all) < maxPairs {
		var arg []byte
		arg, query, _ = bytes.Cut(query, []byte("&"))
		name, v, is := bytes.Cut(arg, []byte("="))
		if len(name) == 0 {
			continue
		}
		p := pair{name: unescaped(name)}
		if is {
			p.value = unescaped(v)
		}
		all = append(all, p)
	}
	return appendPairs(dst, all, false)
}

func unescaped(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s
	}
	return plugin.AppendUnescaped(make([]byte, 0, len(s)), s)
}

// appendPairs writes an object in which several values of one name are an
// array. With fold set, names are written in lower case and compared so.
func appendPairs(dst []byte, all []pair, fold bool) []byte {
	same := bytes.Equal
	if fold {
		same = bytes.EqualFold
	}
	dst = append(dst, '{')
	start := len(dst)
next:
	for i := range all {
		name := all[i].name
		for _, p := range all[:i] {
			if same(p.name, name) {
				continue next
			}
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		at := len(dst)
		dst = append(dst, name...)
		if fold {
			lower(dst[at:])
		}
		dst = append(quoteTail(dst, at), ':')
		hide := secret(name)
		repeated := slices.ContainsFunc(all[i+1:], func(p pair) bool { return same(p.name, name) })
		if repeated {
			dst = append(dst, '[')
		}
		dst = appendPairValue(dst, all[i].value, hide)
		for _, p := range all[i+1:] {
			if same(p.name, name) {
				dst = appendPairValue(append(dst, ','), p.value, hide)
			}
		}
		if repeated {
			dst = append(dst, ']')
		}
	}
	return append(dst, '}')
}

func appendPairValue(dst, v []byte, hide bool) []byte {
	switch {
	case v == nil:
		return append(dst, "true"...)
	case hide:
		v = []byte(masked)
	}
	at := len(dst)
	return quoteTail(append(dst, v...), at)
}

func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// appendURI writes a request's path and query with the secret values masked.
func appendURI(dst, uri []byte) []byte {
	path, query, is := bytes.Cut(uri, []byte("?"))
	dst = append(dst, path...)
	for sep := byte('?'); is; sep = '&' {
		var arg []byte
		arg, query, is = bytes.Cut(query, []byte("&"))
		name, v, has := bytes.Cut(arg, []byte("="))
		dst = append(append(dst, sep), name...)
		if has {
			dst = append(dst, '=')
			if secret(unescaped(name)) {
				v = []byte(masked)
			}
			dst = append(dst, v...)
		}
	}
	return dst
}
