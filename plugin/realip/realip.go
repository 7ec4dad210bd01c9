package realip

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"

	"headrace/plugin"
)

type realIP struct {
	source    plugin.Var   // nil: X-Forwarded-For
	trusted   *plugin.Nets // nil: everybody is
	recursive bool
	log       *slog.Logger
}

// Rewrite implements plugin.Rewriter.
func (r *realIP) Rewrite(c *plugin.Ctx) plugin.Verdict {
	if r.trusted != nil && !r.trusted.Contains(c.Req.Remote.Addr()) {
		return 0
	}
	text, ok := r.lookup(c)
	if !ok {
		r.explain("missing real address", nil)
		return 0
	}
	addr, ok := parse(text)
	if !ok {
		r.explain("bad address", text)
		return 0
	}
	c.Req.Remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return 0
}

// explain logs why an address was not taken. Every client can bring this
// about, so it is no warning.
func (r *realIP) explain(reason string, text []byte) {
	if r.log.Enabled(context.Background(), slog.LevelInfo) {
		r.log.Info("real-ip: "+reason, "address", string(text))
	}
}

// lookup finds the text of the address.
func (r *realIP) lookup(c *plugin.Ctx) ([]byte, bool) {
	if r.source != nil {
		return r.source(c, nil)
	}
	// Of several headers APISIX reads the last one only.
	list := c.Req.LastHeader("X-Forwarded-For")
	if list == nil {
		return nil, false
	}
	for {
		i := bytes.LastIndexByte(list, ',')
		last := bytes.TrimSpace(list[i+1:])
		if i < 0 || !r.recursive || r.trusted == nil {
			return last, true
		}
		if a, ok := parse(last); !ok || !r.trusted.Contains(a.Addr()) {
			return last, true
		}
		list = list[:i]
	}
}

// parse reads an address with or without a port, that of IPv6 in brackets if
// it has one. Port 0 stands for none.
func parse(text []byte) (a netip.AddrPort, ok bool) {
	var err error
	zero := false
	switch s := string(text); {
	case bytes.HasSuffix(text, []byte{']'}):
		// The brackets of an address without a port are taken, too.
		a, err = netip.ParseAddrPort(s + ":1")
		a = netip.AddrPortFrom(a.Addr(), 0)
	case bytes.HasPrefix(text, []byte{'['}), bytes.Count(text, []byte{':'}) == 1:
		a, err = netip.ParseAddrPort(s)
		zero = a.Port() == 0
	default:
		var addr netip.Addr
		addr, err = netip.ParseAddr(s)
		a = netip.AddrPortFrom(addr, 0)
	}
	return a, err == nil && !zero && a.Addr().Zone() == ""
}
