package engine

import (
	"bytes"
	"net/netip"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// matchPath is the path that routes are matched by: percent-decoded, with
// doubled slashes joined and dots resolved (gateway.md 1.3).
func (e *Engine) matchPath(ctx *fasthttp.RequestCtx) []byte {
	p := ctx.Path()
	if e.opts.TrimTailSlash && len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

// RealIP says from which peers the client's address is taken out of a header
// (nginx's real_ip module, gateway.md part 4). The zero value takes none.
type RealIP struct {
	Header    string // "X-Real-IP" or "X-Forwarded-For"
	From      []netip.Prefix
	Recursive bool
}

func (r *RealIP) trusted(a netip.Addr) bool {
	for _, p := range r.From {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// apply replaces the peer's address by the one that a trusted peer names.
func (r *RealIP) apply(req *plugin.Request) {
	if len(r.From) == 0 || !req.Remote.IsValid() || !r.trusted(req.Remote.Addr()) {
		return
	}
	list := req.Header(r.Header)
	for len(list) > 0 {
		last := list
		if i := bytes.LastIndexByte(list, ','); i >= 0 {
			last, list = list[i+1:], list[:i]
		} else {
			list = nil
		}
		addr, err := netip.ParseAddr(string(bytes.TrimSpace(last)))
		if err != nil {
			return
		}
		req.Remote = netip.AddrPortFrom(addr.Unmap(), req.Remote.Port())
		if !r.Recursive || !r.trusted(addr) {
			return
		}
	}
}
