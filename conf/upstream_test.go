package conf

import (
	"slices"
	"strings"
	"testing"
)

func TestDecodeUpstream(t *testing.T) {
	f := func(nodes string, want ...Node) {
		t.Helper()
		u, err := DecodeUpstream([]byte(`{"nodes":` + nodes + `}`))
		if err != nil {
			t.Errorf("%s: %v", nodes, err)
			return
		}
		if !slices.Equal(u.Nodes, want) {
			t.Errorf("%s: %+v, want %+v", nodes, u.Nodes, want)
		}
	}
	f(`{"b.com:8080":2,"a":0,"1.2.3.4:1":1.0}`, Node{"b.com", 8080, 2, 0}, Node{"a", 0, 0, 0}, Node{"1.2.3.4", 1, 1, 0})
	f(`{"[::1]:80":1,"::1":2,"[fe80::1]":3}`, Node{"::1", 80, 1, 0}, Node{"::1", 0, 2, 0}, Node{"fe80::1", 0, 3, 0})
	f(`[{"host":"a","port":80,"weight":1,"priority":-1,"metadata":{"x":1}},{"host":"[::1]","weight":2}]`, Node{"a", 80, 1, -1}, Node{"::1", 0, 2, 0})
	f(`{}`)
	f(`[]`)
	f(`null`)
	for _, nodes := range []string{`1`, `{"a:0":1}`, `{"a:70000":1}`, `{"a:x":1}`, `{"":1}`, `{":80":1}`, `{"a":1.5}`, `["a"]`} {
		if u, err := DecodeUpstream([]byte(`{"nodes":` + nodes + `}`)); err == nil {
			t.Errorf("%s: %+v", nodes, u.Nodes)
		}
	}

	u, err := DecodeUpstream([]byte(`{"id":1,"retries":0,"timeout":{"connect":1,"send":0.5,"read":3},"keepalive_pool":{"size":4,"idle_timeout":0},"tls":{"verify":true},"labels":{"a":"b"}}`))
	if err != nil || u.ID != "1" || u.Retries == nil || *u.Retries != 0 || u.Timeout.Send != 0.5 || *u.KeepalivePool.Size != 4 || *u.KeepalivePool.IdleTimeout != 0 || !u.TLS.Verify {
		t.Errorf("%+v %v", u, err)
	}
	if u.Type != "roundrobin" || u.HashOn != "vars" || u.Scheme != "http" || u.PassHost != "pass" {
		t.Errorf("defaults: %+v", u)
	}
}

func TestNodeAddresses(t *testing.T) {
	f := func(n Node, scheme, addr, host string) {
		t.Helper()
		if got := n.Addr(scheme); got != addr {
			t.Errorf("%+v %s: address %s, want %s", n, scheme, got, addr)
		}
		if got := n.HostHeader(scheme); got != host {
			t.Errorf("%+v %s: host %s, want %s", n, scheme, got, host)
		}
	}
	f(Node{Host: "a"}, "http", "a:80", "a")
	f(Node{Host: "a"}, "https", "a:443", "a")
	f(Node{Host: "a", Port: 443}, "https", "a:443", "a")
	f(Node{Host: "a", Port: 443}, "http", "a:443", "a:443")
	f(Node{Host: "::1"}, "http", "[::1]:80", "[::1]")
	f(Node{Host: "::1", Port: 81}, "http", "[::1]:81", "[::1]:81")
}

func TestUpstreamCheck(t *testing.T) {
	f := func(members, fault, unsupported, warning string) {
		t.Helper()
		u, err := DecodeUpstream([]byte(`{"nodes":{"a":1},` + members + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := u.Check(); err != nil {
			got = err.Error()
		}
		if got != fault {
			t.Errorf("%s: %q, want %q", members, got, fault)
		}
		if got := strings.Join(u.Unsupported(), "; "); got != unsupported {
			t.Errorf("%s: unsupported %q, want %q", members, got, unsupported)
		}
		if got := strings.Join(u.Warnings(), "; "); got != warning {
			t.Errorf("%s: warnings %q, want %q", members, got, warning)
		}
	}
	f(`"type":"roundrobin"`, "", "", "")
	f(`"type":"chash"`, "missing key", "", "")
	f(`"type":"chash","hash_on":"consumer"`, "", "", "")
	f(`"type":"chash","key":"uri"`, "", "", "")
	f(`"type":"x"`, "unknown balancer: x", "", "")
	f(`"type":"ewma"`, "", "", "upstream type ewma is not supported yet: roundrobin is used instead")
	f(`"pass_host":"rewrite"`, "`upstream_host` can't be empty when `pass_host` is `rewrite`", "", "")
	f(`"scheme":"kafka"`, "", "upstream scheme kafka is not supported: use http or https", "")
	f(`"service_name":"x","discovery_type":"y"`, "", "service_name and discovery_type are not supported: name the nodes", "")
	f(`"tls":{"client_cert":"x","client_key":"y"}`, "", "client certificates for upstreams are not supported yet", "")
	f(`"checks":{"active":{}}`, "", "", "health checks of upstreams are not supported yet and have no effect")
}
