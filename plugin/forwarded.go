package plugin

import (
	"bytes"
	"strconv"
)

// Trust says how far a client is believed about the way that its request took
// before it (apisix.trusted_addresses, gateway.md 1.8).
type Trust uint8

// The levels. Without a list of trusted addresses, and for a peer that is not
// in it, X-Forwarded-Proto, -Host and -Port are what the gateway itself sees
// and Forwarded is dropped; of an untrusted peer X-Forwarded-For, too.
const (
	TrustUnset Trust = iota
	Trusted
	Untrusted
)

// Forwarded is one of the headers about the way of a request.
type Forwarded uint8

// The headers.
const (
	ForwardedProto Forwarded = iota
	ForwardedHost
	ForwardedPort
	ForwardedLine // Forwarded, of RFC 7239
	notForwarded
)

var forwardedNames = [...]string{"x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"}

// forwardedOf tells which of the headers a name is; dash is as in nextHeader.
func forwardedOf(name string, dash bool) Forwarded {
	for i, n := range forwardedNames {
		if len(n) == len(name) && (n[0] == name[0]|0x20) && sameName([]byte(n), name, dash) {
			return Forwarded(i)
		}
	}
	return notForwarded
}

// Believed says whether the header's lines count: a trusted client's, or those
// of a plugin.
func (r *Request) Believed(h Forwarded) bool {
	return r.Trust == Trusted || r.own>>h&1 != 0
}

// AppendForwarded writes what upstreams and conditions get to know; ok is false
// if there is nothing to say.
func (r *Request) AppendForwarded(dst []byte, h Forwarded) (out []byte, ok bool) {
	if r.Believed(h) {
		if out, ok = appendHeader(dst, r.Headers, forwardedNames[h], false); ok && len(out) > len(dst) {
			return out, true
		}
		if r.own>>h&1 != 0 { // a plugin has removed it
			return dst, false
		}
	}
	switch h {
	case ForwardedProto:
		return append(dst, r.scheme()...), true
	case ForwardedHost: // with its port, as sent
		return append(dst, r.Host...), len(r.Host) > 0
	case ForwardedPort:
		if p := hostPort(r.Host); p != nil {
			return append(dst, p...), true
		}
		return strconv.AppendUint(dst, uint64(r.Local.Port()), 10), r.Local.IsValid()
	}
	return dst, false
}

// hostPort is the port in a Host header, nil if it has none.
func hostPort(host []byte) []byte {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || i == len(host)-1 {
		return nil
	}
	for _, c := range host[i+1:] {
		if c < '0' || c > '9' {
			return nil
		}
	}
	return host[i+1:]
}

func (r *Request) scheme() string {
	if r.TLS {
		return "https"
	}
	return "http"
}
