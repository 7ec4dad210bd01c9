package engine

import (
	"bytes"
	"net/netip"

	"headrace/plugin"
)

// screen takes the header lines out of a request that must not count, and
// notes how far the client is believed. peer is the address of the connection.
func (e *Engine) screen(r *plugin.Request, peer netip.Addr) {
	if e.opts.DropUnderscores {
		r.Headers = withoutLines(r.Headers, hasUnderscore)
	}
	e.opts.RealIP.apply(r)
	switch {
	case e.opts.Trusted == nil:
	case contains(e.opts.Trusted, peer):
		r.Trust = plugin.Trusted
	default:
		r.Trust = plugin.Untrusted
		r.Headers = withoutLines(r.Headers, tellsTheWay)
	}
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// withoutLines returns lines without those whose name is unwanted: lines
// itself, if there are none.
func withoutLines(lines []byte, unwanted func(name []byte) bool) []byte {
	var out []byte
	for rest := lines; len(rest) > 0; {
		line := rest
		if i := indexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i+1], rest[i+1:]
		} else {
			rest = nil
		}
		bad := unwanted(line[:max(indexByte(line, ':'), 0)])
		switch {
		case bad && out == nil:
			out = append(make([]byte, 0, len(lines)), lines[:len(lines)-len(rest)-len(line)]...)
		case !bad && out != nil:
			out = append(out, line...)
		}
	}
	if out == nil {
		return lines
	}
	return out
}

func hasUnderscore(name []byte) bool { return bytes.IndexByte(name, '_') >= 0 }

// tellsTheWay names the headers by which a client says which way its request
// came.
func tellsTheWay(name []byte) bool {
	switch len(name) {
	case 9:
		return equalFold(name, "forwarded")
	case 15:
		return equalFold(name, "x-forwarded-for")
	case 16:
		return equalFold(name, "x-forwarded-host") || equalFold(name, "x-forwarded-port")
	case 17:
		return equalFold(name, "x-forwarded-proto")
	}
	return false
}
