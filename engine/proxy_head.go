package engine

import (
	"bytes"
	"strconv"

	"headrace/plugin"
)

// appendProxyHead writes the head of a request to an ordinary upstream: what
// the client sent, but for what ends at this hop and what a gateway says about
// the client (gateway.md 1.8). length is the body's: -1 chunked, -2 none.
// upgrade is the protocol that the client may change to, nil for none.
func (f *flow) appendProxyHead(dst []byte, up *upstream, n *upstreamNode, length int64, upgrade []byte) []byte {
	r := &f.Req
	dst = append(append(dst, r.Method...), ' ')
	target := r.Target
	if target == nil {
		target = plugin.OriginForm(r.URI)
	}
	dst = append(append(dst, target...), " HTTP/1.1\r\nHost: "...)
	switch {
	case up.passHost == "rewrite":
		f.Upstream.Host = up.host
	case up.passHost != "node" && r.AskHost != nil:
		f.Upstream.Host = r.AskHost
	case up.passHost == "node" || len(r.Host) == 0: // HTTP/1.0 may have none
		f.Upstream.Host = n.header
	default:
		f.Upstream.Host = nil // the log takes the request's own, which moves
	}
	if dst = append(dst, f.Upstream.Host...); f.Upstream.Host == nil {
		dst = append(dst, r.Host...)
	}
	dst = append(dst, '\r', '\n')
	dst, forwarded := appendEndToEnd(dst, r.Headers)

	dst = append(dst, "X-Real-IP: "...)
	dst = appendPeer(dst, r)
	dst = append(dst, "\r\nX-Forwarded-For: "...)
	if forwarded {
		dst = appendForwardedFor(dst, r.Headers)
	}
	dst = append(appendPeer(dst, r), '\r', '\n')
	dst = appendWay(dst, r, "X-Forwarded-Proto: ", plugin.ForwardedProto)
	dst = appendWay(dst, r, "X-Forwarded-Host: ", plugin.ForwardedHost)
	dst = appendWay(dst, r, "X-Forwarded-Port: ", plugin.ForwardedPort)
	dst = appendWay(dst, r, "Forwarded: ", plugin.ForwardedLine)
	if upgrade != nil {
		dst = append(append(dst, "Connection: Upgrade\r\nUpgrade: "...), upgrade...)
		dst = append(dst, '\r', '\n')
	}
	switch {
	case length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, '\r', '\n')
	case length == -1:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// appendWay writes a header line about the way of the request, if there is
// anything to say.
func appendWay(dst []byte, r *plugin.Request, name string, h plugin.Forwarded) []byte {
	at := len(dst)
	dst = append(dst, name...)
	from := len(dst)
	dst, ok := r.AppendForwarded(dst, h)
	if !ok {
		return dst[:at]
	}
	blankControls(dst[from:])
	return append(dst, '\r', '\n')
}

// blankControls makes blanks of what must not be in a header's value.
func blankControls(value []byte) {
	for i, c := range value {
		if c < 0x20 && c != '\t' || c == 0x7f {
			value[i] = ' '
		}
	}
}

func appendPeer(dst []byte, r *plugin.Request) []byte {
	if !r.Remote.IsValid() {
		return append(dst, "unknown"...)
	}
	return r.Remote.Addr().Unmap().AppendTo(dst)
}

// appendEndToEnd appends the header lines that go on to the upstream, in order
// and as they are spelled. forwarded says that X-Forwarded-For was among the
// rest.
func appendEndToEnd(dst, lines []byte) (out []byte, forwarded bool) {
	named := namesHeaders(lines)
	for len(lines) > 0 {
		var name, value []byte
		name, value, lines = cutHeader(lines)
		if !isToken(name) {
			continue
		}
		if equalFold(name, "x-forwarded-for") {
			forwarded = true
			continue
		}
		if endsHere(name) || setHere(name) || tellsTheWay(name) || named != nil && hasConnectionToken(named, name) {
			continue
		}
		dst = append(append(dst, name...), ':', ' ')
		from := len(dst)
		dst = append(dst, value...)
		blankControls(dst[from:])
		dst = append(dst, '\r', '\n')
	}
	return dst, forwarded
}

// endsHere tells the headers that are about one connection, in a request or an
// answer (RFC 9110, 7.6.1, and what RFC 2616 counted among them).
func endsHere(name []byte) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "te")
	case 7:
		return equalFold(name, "trailer") || equalFold(name, "upgrade")
	case 10:
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case 16:
		return equalFold(name, "proxy-connection")
	case 17:
		return equalFold(name, "transfer-encoding")
	case 18:
		return equalFold(name, "proxy-authenticate")
	case 19:
		return equalFold(name, "proxy-authorization")
	}
	return false
}

// setHere tells the request headers that the gateway writes itself or removes.
func setHere(name []byte) bool {
	switch len(name) {
	case 4:
		return equalFold(name, "host")
	case 6:
		return equalFold(name, "expect")
	case 9:
		return equalFold(name, "x-real-ip")
	case 14:
		return equalFold(name, "content-length")
	}
	return false
}

// appendForwardedFor joins what the client says about those before it, and
// gets the peer appended by the caller.
func appendForwardedFor(dst, lines []byte) []byte {
	for len(lines) > 0 {
		var name, value []byte
		if name, value, lines = cutHeader(lines); len(value) > 0 && equalFold(name, "x-forwarded-for") {
			dst = append(append(dst, value...), ", "...)
		}
	}
	return dst
}

func isToken(name []byte) bool {
	for _, c := range name {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(name) > 0
}

// tokenBytes marks the bytes that a header name may have.
var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// cutHeader takes the first header line off lines; name is empty for a line
// that is none.
func cutHeader(lines []byte) (name, value, rest []byte) {
	line := lines
	if i := indexByte(lines, '\n'); i >= 0 {
		line, rest = lines[:i], lines[i+1:]
	}
	if i := indexByte(line, ':'); i > 0 {
		return line[:i], bytes.TrimSpace(line[i+1:]), rest
	}
	return nil, nil, rest
}

// namesHeaders returns lines if a Connection header among them may name
// others: keep-alive and close, which nearly all are, do not.
func namesHeaders(lines []byte) []byte {
	for rest := lines; len(rest) > 0; {
		var name, value []byte
		if name, value, rest = cutHeader(rest); equalFold(name, "connection") &&
			!equalFold(value, "keep-alive") && !equalFold(value, "close") {
			return lines
		}
	}
	return nil
}

// hasConnectionToken says whether a Connection header among lines has token.
func hasConnectionToken(lines, token []byte) bool {
	for len(lines) > 0 {
		var name, value []byte
		if name, value, lines = cutHeader(lines); !equalFold(name, "connection") {
			continue
		}
		for more := true; more; {
			var item []byte
			if item, value, more = bytes.Cut(value, comma); bytes.EqualFold(bytes.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

var (
	comma        = []byte(",")
	upgradeToken = []byte("upgrade")
)

// upgrade returns the protocol that the client asks to change to, nil for none.
func (f *flow) upgrade() []byte {
	if !f.rt.websocket {
		return nil
	}
	if v := f.Header("upgrade"); len(v) > 0 && hasConnectionToken(f.Req.Headers, upgradeToken) {
		return v
	}
	return nil
}

// copyHead gives the client the headers of the upstream's answer, but for what
// ends at this hop and what a server says of itself.
func (f *flow) copyHead() {
	h, raw := &f.HTTP.Response.Header, f.ex.Head.Raw
	named := namesHeaders(raw)
	for name, value := range f.ex.Head.All {
		switch {
		case endsHere(name), equalFold(name, "content-length"), equalFold(name, "date"), equalFold(name, "server"):
		case named != nil && hasConnectionToken(named, name):
		default:
			h.AddBytesKV(name, value)
		}
	}
}
