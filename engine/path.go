package engine

import (
	"bytes"
	"net/netip"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// matchPath is the path that routes are matched by and plugins see:
// percent-decoded, with doubled slashes joined and dots resolved (gateway.md
// 1.3). It is nil for a path that must be refused.
func (e *Engine) matchPath(ctx *fasthttp.RequestCtx) []byte {
	p := ctx.Path()
	if bytes.HasSuffix(p, slashDot) { // the server leaves a dot at the end
		p = p[:len(p)-1]
	}
	if e.opts.ServletPaths && bytes.IndexByte(p, ';') >= 0 {
		if p = withoutPathParams(p); p == nil {
			return nil
		}
	}
	if e.opts.TrimTailSlash && len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

var (
	slash    = []byte("/")
	slashDot = []byte("/.")
)

// withoutPathParams cuts what follows a ";" off every segment, as servlet
// containers do. It returns nil for a path that they would read differently
// than a gateway: where an empty segment, "." or ".." remains
// (normalize_uri_like_servlet).
func withoutPathParams(path []byte) []byte {
	out := make([]byte, 0, len(path))
	for more := true; more; {
		var seg []byte
		seg, path, more = bytes.Cut(path, slash)
		if i := bytes.IndexByte(seg, ';'); i >= 0 {
			seg = seg[:i]
			switch len(seg) {
			case 0:
				if more {
					return nil
				}
			case 1, 2:
				if seg[0] == '.' && seg[len(seg)-1] == '.' {
					return nil
				}
			case 3, 6:
				if equalFold(seg, "%2e") || equalFold(seg, "%2e%2e") {
					return nil
				}
			}
		}
		if out = append(out, seg...); more {
			out = append(out, '/')
		}
	}
	return out
}

// keepSlashes returns path, decoded from uri, with slashes that were escaped
// as "%2F", in buf; nil if it has none. A path in which more than escapes was
// resolved is left alone: it could not be told which slash is which
// (match_uri_encoded_slash).
func keepSlashes(buf, uri, path []byte) []byte {
	raw, _, _ := bytes.Cut(uri, question)
	buf = buf[:0]
	at, kept := 0, false
	for len(raw) > 0 {
		b, n := raw[0], 1
		if b == '%' && len(raw) > 2 {
			if v, ok := plugin.HexPair(raw[1], raw[2]); ok {
				b, n = v, 3
			}
		}
		if at == len(path) || path[at] != b {
			return nil
		}
		at++
		if b == '/' && n == 3 {
			buf = append(buf, "%2F"...)
			kept = true
		} else {
			buf = append(buf, b)
		}
		raw = raw[n:]
	}
	if at < len(path) || !kept {
		return nil
	}
	return buf
}

var question = []byte("?")

// RealIP says from which peers the client's address is taken out of a header
// (nginx's real_ip module, gateway.md part 4). The zero value takes none.
type RealIP struct {
	Header    string // "X-Real-IP" or "X-Forwarded-For"
	From      []netip.Prefix
	Recursive bool
}

func (r *RealIP) trusted(a netip.Addr) bool {
	return contains(r.From, a)
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
