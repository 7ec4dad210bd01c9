package engine

import (
	"bytes"
	"net/netip"
	"strings"
	"sync/atomic"

	"headrace/conf"
	"headrace/conf/expr"
	"headrace/plugin"
)

// conditions are what a route asks for besides method, host and path: the
// client's address, and variables.
type conditions struct {
	addrs []netip.Prefix
	vars  []byte // the text of the expression; nil: none
	// compiled is made when a request comes for the first time as far as the
	// expression, so that many cold routes cost little more than their text.
	compiled atomic.Pointer[expr.Expr]
}

// newConditions returns nil for a route that has none. rt was checked.
func newConditions(rt *conf.Route) *conditions {
	c := &conditions{}
	for _, text := range allOf(rt.RemoteAddr, rt.RemoteAddrs) {
		p, _ := parsePrefix(text) // one that is wrong contains no address
		c.addrs = append(c.addrs, p)
	}
	if rt.HasVars() {
		c.vars = bytes.Clone(rt.Vars)
	}
	if c.addrs == nil && c.vars == nil {
		return nil
	}
	return c
}

// allows says whether the client's address, after real_ip_header, is one of
// those that the route is for.
func (c *conditions) allows(client netip.Addr) bool {
	if c.addrs == nil {
		return true
	}
	client = client.Unmap()
	for _, p := range c.addrs {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// hold evaluates the expression. It does not allocate once it is compiled, but
// for what its patterns and a body cost.
func (c *conditions) hold(ctx *plugin.Ctx) bool {
	if c.vars == nil {
		return true
	}
	x := c.compiled.Load()
	if x == nil {
		var err error
		if x, err = expr.Compile(c.vars); err != nil {
			return false // it was compiled when the route was admitted
		}
		c.compiled.Store(x)
	}
	return x.Eval(ctx)
}

// parsePrefix reads an address or a network. IPv4 inside IPv6 is IPv4, as the
// addresses of clients are; bits behind the prefix are cut off.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		a = a.Unmap()
		return netip.PrefixFrom(a.WithZone(""), a.BitLen()), err
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), err
}

// conditionFindings lists what is wrong with the conditions of a route; the
// texts are APISIX's (gateway.md 1.4).
func conditionFindings(rt *conf.Route) (found []Finding) {
	for _, text := range allOf(rt.RemoteAddr, rt.RemoteAddrs) {
		if _, err := parsePrefix(text); err != nil {
			found = append(found, Finding{Level: Invalid, Field: "remote_addr", Text: "invalid ip address: " + text})
		}
	}
	if !rt.HasVars() {
		return found
	}
	x, err := expr.Compile(rt.Vars)
	if err != nil {
		return append(found, Finding{Level: Invalid, Field: "vars", Text: "failed to validate the 'vars' expression: " + err.Error()})
	}
	for _, name := range x.Names() {
		if strings.HasPrefix(name, "graphql_") {
			found = append(found, Finding{Level: Invalid, Field: "vars", Text: "the variable " + name + " is not supported"})
		} else if _, known := plugin.LookupVar(name); !known {
			found = append(found, Finding{Level: Warned, Field: "vars", Text: "there is no variable " + name + ": it never has a value"})
		}
	}
	return found
}
