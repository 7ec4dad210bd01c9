package engine

import (
	"bytes"

	"headrace/plugin"
)

// match is the scratch memory of one look-up, a part of the flow.
type match struct {
	host     []byte // lower case, reversed, without port
	hostPath []*radix[hostSet]
	pathPath []*paths
}

// find returns the candidate that serves the request, nil if none does. It
// does not allocate in steady state.
func (r *router) find(req *plugin.Request, m *match) *candidate {
	if r.hosts != nil {
		m.setHost(req.Host)
		var whole bool
		m.hostPath, whole = r.hosts.walk(m.host, m.hostPath[:0])
		if n := len(m.hostPath); whole {
			if set := m.hostPath[n-1].val; set.exact != nil {
				if c := r.findPath(set.exact, req, m); c != nil {
					return c
				}
			}
		}
		// Wildcards, the longest ending first. "*.foo.com" stands for
		// ".foo.com" and everything before it.
		for i := len(m.hostPath) - 1; i >= 0; i-- {
			if set := m.hostPath[i].val; set.wild != nil {
				if c := r.findPath(set.wild, req, m); c != nil {
					return c
				}
			}
		}
	}
	return r.findPath(r.anyHost, req, m)
}

func (r *router) findPath(root *paths, req *plugin.Request, m *match) *candidate {
	var whole bool
	m.pathPath, whole = root.walk(req.Path, m.pathPath[:0])
	n := len(m.pathPath)
	if whole {
		for _, c := range m.pathPath[n-1].val.exact {
			if r.fits(c, req) {
				return c
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		for _, c := range m.pathPath[i].val.prefix {
			if (!c.glob || globMatch(c.pattern, req.Path)) && r.fits(c, req) {
				return c
			}
		}
	}
	return nil
}

// fits checks the conditions of a candidate whose path (and host) matched.
func (r *router) fits(c *candidate, req *plugin.Request) bool {
	e := c.entry
	if e.methods != 0 && e.methods&methodBit(req.Method) == 0 {
		return false
	}
	if !r.byURI || len(e.hosts) == 0 {
		return true
	}
	// Here a configured host may carry a port and is compared with the raw
	// header then (gateway.md 1.3).
	for _, h := range e.hosts {
		got := plugin.HostOnly(req.Host)
		if bytes.IndexByte([]byte(h), ':') >= 0 {
			got = req.Host
		}
		if hostMatch(h, got) {
			return true
		}
	}
	return false
}

func hostMatch(pattern string, host []byte) bool {
	if len(pattern) > 0 && pattern[0] == '*' {
		tail := pattern[1:]
		return len(host) >= len(tail) && equalFold(host[len(host)-len(tail):], tail)
	}
	return equalFold(host, pattern)
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func (m *match) setHost(host []byte) {
	host = plugin.HostOnly(host)
	m.host = m.host[:0]
	for i := len(host) - 1; i >= 0; i-- {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		m.host = append(m.host, c)
	}
}

// globMatch says whether path is pattern with every "*" replaced by any bytes.
func globMatch(pattern string, path []byte) bool {
	p, s, star, mark := 0, 0, -1, 0
	for s < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, s
			p++
		case p < len(pattern) && pattern[p] == path[s]:
			p++
			s++
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
