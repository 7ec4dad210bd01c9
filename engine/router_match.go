package engine

import (
	"strings"

	"headrace/plugin"
)

// match is the scratch memory of one look-up, a part of the flow.
type match struct {
	host     []byte // lower case, reversed, without port
	hostPath []*radix[hostSet]
	pathPath []*paths
	params   []plugin.Param
	path     []byte // see keepSlashes
}

// find returns the candidate that serves the request, nil if none does, and
// sets the parameters of the path. It does not allocate in steady state.
func (r *router) find(ctx *plugin.Ctx, m *match) *candidate {
	ctx.Params = nil
	if r.hosts != nil {
		m.setHost(ctx.Req.Host)
		var whole bool
		m.hostPath, whole = r.hosts.walk(m.host, m.hostPath[:0])
		if n := len(m.hostPath); whole {
			if set := m.hostPath[n-1].val; set.exact != nil {
				if c := r.findPath(set.exact, ctx, m); c != nil {
					return c
				}
			}
		}
		// Wildcards, the longest ending first. "*.foo.com" stands for
		// ".foo.com" and everything before it.
		for i := len(m.hostPath) - 1; i >= 0; i-- {
			if set := m.hostPath[i].val; set.wild != nil {
				if c := r.findPath(set.wild, ctx, m); c != nil {
					return c
				}
			}
		}
	}
	return r.findPath(r.anyHost, ctx, m)
}

func (r *router) findPath(root *paths, ctx *plugin.Ctx, m *match) *candidate {
	var whole bool
	m.pathPath, whole = root.walk(ctx.Req.Path, m.pathPath[:0])
	n := len(m.pathPath)
	if whole {
		for _, c := range m.pathPath[n-1].val.exact {
			if r.fits(c, ctx) {
				return c
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		for _, c := range m.pathPath[i].val.prefix {
			if m.rest(c, ctx.Req.Path) && r.fits(c, ctx) {
				if c.form == paramForm {
					ctx.Params = m.params
				}
				return c
			}
		}
	}
	return nil
}

// rest compares the path with the pattern of a candidate whose literal
// beginning is there. APISIX does this last; here it stands before the other
// conditions, of which some need the body.
func (m *match) rest(c *candidate, path []byte) (ok bool) {
	switch c.form {
	case globForm:
		return globMatch(c.pattern, path)
	case paramForm:
		m.params, ok = matchParams(c.pattern, path, m.params[:0])
		return ok
	}
	return true
}

// fits checks the conditions of a candidate whose path (and host) matched, in
// the order of gateway.md 1.3: what is dear comes last.
func (r *router) fits(c *candidate, ctx *plugin.Ctx) bool {
	e := c.entry
	if e.methods != 0 && e.methods&methodBit(ctx.Req.Method) == 0 {
		return false
	}
	if e.when != nil && !e.when.allows(ctx.Req.Remote.Addr()) {
		return false
	}
	if r.byURI && len(e.hosts) > 0 && !anyHost(e.hosts, ctx.Req.Host) {
		return false
	}
	return e.when == nil || e.when.hold(ctx)
}

// anyHost is the condition on the host of a router that goes by path first.
// Here a configured host may carry a port and is compared with the raw header
// then (gateway.md 1.3).
func anyHost(hosts []string, raw []byte) bool {
	name := hostName(raw)
	for _, h := range hosts {
		got := name
		if strings.IndexByte(h, ':') >= 0 {
			got = raw
		}
		if hostMatch(h, got) {
			return true
		}
	}
	return false
}

// hostName is a Host header without port and final dot.
func hostName(raw []byte) []byte {
	name := plugin.HostOnly(raw)
	if n := len(name); n > 1 && name[n-1] == '.' {
		name = name[:n-1]
	}
	return name
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
	host = hostName(host)
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
