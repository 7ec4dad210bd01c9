package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Upstream is an upstream object of APISIX 3.18 (gateway.md 3.6), alone or
// inside a route, decoded but not validated: conf/schema does that, and Check.
type Upstream struct {
	ID            ID                `json:"id"`
	Name          string            `json:"name"`
	Desc          string            `json:"desc"`
	Labels        map[string]string `json:"labels"`
	Type          string            `json:"type"` // "": roundrobin
	Nodes         Nodes             `json:"nodes"`
	HashOn        string            `json:"hash_on"` // "": vars
	Key           string            `json:"key"`
	Scheme        string            `json:"scheme"`    // "": http
	PassHost      string            `json:"pass_host"` // "": pass
	UpstreamHost  string            `json:"upstream_host"`
	Retries       *integer          `json:"retries"` // nil: one less than there are nodes
	RetryTimeout  float64           `json:"retry_timeout"`
	Timeout       *Timeout          `json:"timeout"`
	KeepalivePool *KeepalivePool    `json:"keepalive_pool"`
	TLS           *UpstreamTLS      `json:"tls"`
	Checks        json.RawMessage   `json:"checks"`
	ServiceName   string            `json:"service_name"`
	DiscoveryType string            `json:"discovery_type"`
	CreateTime    integer           `json:"create_time"`
	UpdateTime    integer           `json:"update_time"`
}

// KeepalivePool says how idle connections are kept; times are in seconds.
type KeepalivePool struct {
	Size        *integer `json:"size"`         // nil: 320
	IdleTimeout *float64 `json:"idle_timeout"` // nil: 60; 0: no limit
	Requests    integer  `json:"requests"`
}

// UpstreamTLS is the TLS side of an upstream.
type UpstreamTLS struct {
	ClientCertID ID     `json:"client_cert_id"`
	ClientCert   string `json:"client_cert"`
	ClientKey    string `json:"client_key"`
	Verify       bool   `json:"verify"`
}

// Node is one server of an upstream.
type Node struct {
	Host     string // IPv6 without brackets
	Port     int    // 0: the scheme's
	Weight   int
	Priority int
}

// Nodes are the nodes of an upstream in the order of the document.
type Nodes []Node

// UnmarshalJSON implements json.Unmarshaler: nodes may be an object of
// "host:port" and weight, or a list.
func (ns *Nodes) UnmarshalJSON(b []byte) error {
	switch jsonType(b) {
	case "null":
		return nil
	case "object":
		var err error
		members(b, 0, func(addr string, start, end int) {
			var weight integer
			host, port, ok := splitAddr(addr)
			if e := weight.UnmarshalJSON(b[start:end]); e != nil || !ok {
				err = fmt.Errorf("expected an address and a weight at %q", addr)
			}
			*ns = append(*ns, Node{Host: host, Port: port, Weight: int(weight)})
		})
		return err
	case "array":
		var list []struct {
			Host     string  `json:"host"`
			Port     integer `json:"port"`
			Weight   integer `json:"weight"`
			Priority integer `json:"priority"`
		}
		if err := json.Unmarshal(b, &list); err != nil {
			return errors.New("expected objects with host, port and weight")
		}
		for _, n := range list {
			host := strings.TrimSuffix(strings.TrimPrefix(n.Host, "["), "]")
			*ns = append(*ns, Node{host, int(n.Port), int(n.Weight), int(n.Priority)})
		}
		return nil
	}
	return errors.New("expected object or array")
}

// splitAddr splits "host", "host:port", "[ip6]:port" and a bare IPv6 address.
func splitAddr(addr string) (host string, port int, ok bool) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")); err == nil {
		return ip.String(), 0, true
	}
	if !strings.Contains(addr, ":") {
		return addr, 0, addr != ""
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return addr, 0, false
	}
	port, err = strconv.Atoi(text)
	return host, port, err == nil && port > 0 && port < 1<<16
}

// Addr is host:port as APISIX spells it, with the scheme's port where the
// node names none.
func (n Node) Addr(scheme string) string {
	return net.JoinHostPort(n.Host, strconv.Itoa(n.PortOr(scheme)))
}

// PortOr is the node's port, or the scheme's.
func (n Node) PortOr(scheme string) int {
	if n.Port > 0 {
		return n.Port
	}
	return schemePort(scheme)
}

func schemePort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
}

// HostHeader is what pass_host node sends: the port only where it is not the
// scheme's own, as APISIX.
func (n Node) HostHeader(scheme string) string {
	if port := n.PortOr(scheme); port != schemePort(scheme) {
		return n.Addr(scheme)
	}
	if strings.Contains(n.Host, ":") {
		return "[" + n.Host + "]"
	}
	return n.Host
}

// DecodeUpstream decodes a stored upstream or the one of a route, as
// DecodeRoute does.
func DecodeUpstream(raw []byte) (*Upstream, error) {
	u := &Upstream{}
	if err := decode(raw, u); err != nil {
		return nil, fmt.Errorf("cannot decode upstream: %w", err)
	}
	for p, def := range map[*string]string{&u.Type: "roundrobin", &u.HashOn: "vars", &u.Scheme: "http", &u.PassHost: "pass"} {
		if *p == "" {
			*p = def
		}
	}
	return u, nil
}

// Check makes the tests that follow the schema; the texts are APISIX's. What a
// key of a consistent hash may be is the engine's to say.
func (u *Upstream) Check() error {
	if u.PassHost == "rewrite" && u.UpstreamHost == "" {
		return errors.New("`upstream_host` can't be empty when `pass_host` is `rewrite`")
	}
	switch u.Type {
	case "roundrobin", "ewma", "least_conn":
		return nil
	case "chash":
	default:
		return fmt.Errorf("unknown balancer: %s", u.Type)
	}
	if u.Key == "" && u.HashOn != "consumer" {
		return errors.New("missing key")
	}
	return nil
}

// Unsupported lists what the upstream asks for and this version cannot do:
// requests would not arrive where they should.
func (u *Upstream) Unsupported() (out []string) {
	if u.Scheme != "http" && u.Scheme != "https" {
		out = append(out, "upstream scheme "+u.Scheme+" is not supported: use http or https")
	}
	if u.ServiceName != "" || u.DiscoveryType != "" {
		out = append(out, "service_name and discovery_type are not supported: name the nodes")
	}
	if t := u.TLS; t != nil && (t.ClientCert != "" || t.ClientCertID != "") {
		out = append(out, "client certificates for upstreams are not supported yet")
	}
	return out
}

// Warnings lists what is valid but will not do what its author meant.
func (u *Upstream) Warnings() (out []string) {
	if u.Type == "ewma" || u.Type == "least_conn" {
		out = append(out, "upstream type "+u.Type+" is not supported yet: roundrobin is used instead")
	}
	if !isAbsent(u.Checks) {
		out = append(out, "health checks of upstreams are not supported yet and have no effect")
	}
	return out
}
