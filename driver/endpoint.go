package driver

import (
	"errors"
	"strconv"
	"strings"
)

// errEndpoint has the text of ai-proxy.md section 1.5, row 3.
var errEndpoint = errors.New("invalid endpoint")

// endpoint is override.endpoint taken apart. The zero value is no endpoint.
type endpoint struct {
	plain bool   // http
	host  string // no brackets
	port  int    // 0: the default of the scheme
	path  string // escaped, "" if the endpoint has none; "/" is one
	query string // as written, unsafe bytes escaped
}

// parseEndpoint follows ^(https?)://([^:/]+):?(%d*)/?.*$ and is stricter where
// a match would have no meaning: credentials, a port out of range or followed
// by text, control bytes.
func parseEndpoint(s string) (ep endpoint, err error) {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return endpoint{}, errEndpoint
		}
	}
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return endpoint{}, errEndpoint
		}
		ep.plain = true
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	host, port := authority, ""
	if strings.HasPrefix(authority, "[") {
		if host, port, ok = strings.Cut(authority[1:], "]"); !ok || !isIPv6(host) {
			return endpoint{}, errEndpoint
		}
		if port != "" && port[0] != ':' {
			return endpoint{}, errEndpoint
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		host, port, _ = strings.Cut(authority, ":")
		if !isHost(host) {
			return endpoint{}, errEndpoint
		}
	}
	ep.host = host
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return endpoint{}, errEndpoint
		}
		ep.port = int(n)
	}
	rest, _, _ = strings.Cut(rest, "#")
	path, query, _ := strings.Cut(rest, "?")
	ep.path = string(appendSafe(nil, []byte(path)))
	ep.query = string(appendSafe(nil, []byte(query)))
	return ep, nil
}

func isHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-' || c == '.' || c == '_' || c >= 0x80:
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z':
		default:
			return false
		}
	}
	return s != ""
}

func isIPv6(s string) bool {
	for i := range len(s) {
		if c := s[i]; unhex(c) < 0 && c != ':' && c != '.' {
			return false
		}
	}
	return s != ""
}

// portOf is the port to connect to.
func (ep *endpoint) portOf() int {
	switch {
	case ep.port != 0:
		return ep.port
	case ep.plain:
		return 80
	}
	return 443
}

// appendHost appends the value of the Host header (2.8): the port only where
// it is not the default of the scheme.
func (ep *endpoint) appendHost(dst []byte) []byte {
	if strings.IndexByte(ep.host, ':') >= 0 {
		dst = append(append(append(dst, '['), ep.host...), ']')
	} else {
		dst = append(dst, ep.host...)
	}
	if p := ep.portOf(); ep.plain && p != 80 || !ep.plain && p != 443 {
		dst = strconv.AppendInt(append(dst, ':'), int64(p), 10)
	}
	return dst
}
