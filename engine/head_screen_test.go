package engine

import (
	"net/netip"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/plugin"
)

// apisix.trusted_addresses (gateway.md 1.8; T: core/trusted-addresses.t).
func TestProxyTrusted(t *testing.T) {
	const claims = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: example.com\r\nX-Forwarded-Port: 8443\r\nForwarded: for=1.2.3.4\r\n"
	f := func(trusted []string, headers string, want, not []string) {
		t.Helper()
		var list []netip.Prefix
		for _, s := range trusted {
			p, err := parsePrefix(s)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
		r := newRig(t, Options{Trusted: list})
		r.proxied("1", "/h", "{"+nodes(r.node(dump))+"}", "")
		_, got, _ := strings.Cut(r.talk("GET /h HTTP/1.1\r\nHost: Localhost:7\r\nConnection: close\r\n"+headers+"\r\n"), "\r\n\r\n")
		for _, w := range want {
			if strings.Count(got, w) != 1 {
				t.Errorf("%v %.40q: %q is not once in\n%s", trusted, headers, w, got)
			}
		}
		for _, w := range not {
			if strings.Contains(got, w) {
				t.Errorf("%v %.40q: %q is in\n%s", trusted, headers, w, got)
			}
		}
	}
	observed := []string{"X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: Localhost:7\r\n", "X-Forwarded-Port: 7\r\n"}
	claimed := []string{"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n", "X-Forwarded-Proto: https\r\n", "X-Forwarded-Host: example.com\r\n", "X-Forwarded-Port: 8443\r\n", "Forwarded: for=1.2.3.4\r\n"}
	f(nil, claims, append(observed, "X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n"), []string{"for=1.2.3.4"})                                     // T: 1
	f([]string{"127.0.0.1"}, claims, claimed, nil)                                                                                           // T: 2
	f([]string{"1.1.1.0/24", "127.0.0.0/24"}, claims, claimed, nil)                                                                          // T: 5
	f([]string{"0.0.0.0/0"}, claims, claimed, nil)                                                                                           // T: 7, 10
	f([]string{"1.0.0.1", "10.0.0.0/8"}, claims, append(observed, "X-Forwarded-For: 127.0.0.1\r\n"), []string{"1.2.3.4", "example", "8443"}) // T: 8, 9, 15
	f([]string{"127.0.0.1"}, "", append(observed, "X-Forwarded-For: 127.0.0.1\r\n"), []string{"\r\nForwarded"})                              // T: 13
	f([]string{"127.0.0.1"}, "X-Forwarded-Proto:\r\n", observed, nil)                                                                        // T: 16
}

// A condition does not see what was taken away (T: core/trusted-addresses.t 18).
func TestConditionOnForwarded(t *testing.T) {
	f := func(trusted []netip.Prefix, vars string, want int) {
		t.Helper()
		r := newRig(t, Options{Trusted: trusted})
		r.src.put(conf.Routes, "1", `{"id":"1","uri":"/h","vars":`+vars+`,"upstream":{`+nodes(r.node(dump))+`}}`)
		resp, _ := r.do("GET", "/h", "", "X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https")
		if resp.StatusCode != want {
			t.Errorf("%v, %s: %d, want %d", trusted, vars, resp.StatusCode, want)
		}
	}
	far, near := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	f(nil, `[["http_x_forwarded_for","==","9.9.9.9"]]`, 200)
	f(far, `[["http_x_forwarded_for","==","9.9.9.9"]]`, 404)
	f(near, `[["http_x_forwarded_for","==","9.9.9.9"]]`, 200)
	f(nil, `[["http_x_forwarded_proto","==","https"]]`, 404)
	f(near, `[["http_x_forwarded_proto","==","https"]]`, 200)
}

func TestScreen(t *testing.T) {
	f := func(o Options, in, want string) {
		t.Helper()
		e := &Engine{opts: o}
		r := &plugin.Request{Headers: []byte(in), Remote: netip.MustParseAddrPort("127.0.0.1:1")}
		e.screen(r, r.Remote.Addr())
		if string(r.Headers) != want {
			t.Errorf("%q: %q, want %q", in, r.Headers, want)
		}
	}
	const lines = "A_b: 1\r\nHost: x\r\nX-Forwarded-For: 1\r\nC: _\r\nx_real_ip: 2\r\nFORWARDED: for=_a\r\nX-Forwarded-Foo: 3\r\n"
	f(Options{}, lines, lines)
	f(Options{DropUnderscores: true}, lines, "Host: x\r\nX-Forwarded-For: 1\r\nC: _\r\nFORWARDED: for=_a\r\nX-Forwarded-Foo: 3\r\n")
	f(Options{Trusted: []netip.Prefix{}}, lines, "A_b: 1\r\nHost: x\r\nC: _\r\nx_real_ip: 2\r\nX-Forwarded-Foo: 3\r\n")
	f(Options{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, lines, lines)
	f(Options{DropUnderscores: true}, "a_: 1\r\n", "")
	f(Options{DropUnderscores: true}, "", "")
	f(Options{DropUnderscores: true}, "no colon_\r\nb_:\n", "no colon_\r\n")

	// The address is taken out of a header that a client may send; what it
	// says is read before the header is taken away.
	e := &Engine{opts: Options{RealIP: RealIP{Header: "X-Forwarded-For", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, Trusted: []netip.Prefix{}}}
	r := &plugin.Request{Headers: []byte("X-Forwarded-For: 9.8.7.6\r\n"), Remote: netip.MustParseAddrPort("127.0.0.1:1")}
	if e.screen(r, r.Remote.Addr()); r.Remote.Addr().String() != "9.8.7.6" || len(r.Headers) > 0 {
		t.Errorf("%v, %q", r.Remote, r.Headers)
	}
}
