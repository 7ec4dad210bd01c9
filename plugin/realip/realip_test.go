package realip

import (
	"net/netip"
	"strings"
	"testing"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// TestAddress has the cases of real-ip.t by their numbers.
func TestAddress(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, headers, want, log string) {
		t.Helper()
		g.Log.Reset()
		c := g.Request("GET", "/hello?addr=9.9.9.9%3A80", headers)
		if g.Bind(config).(plugin.Rewriter).Rewrite(c) != 0 {
			t.Error("the request ends")
		}
		if got := c.Req.Remote.String(); got != want || !strings.Contains(g.Log.String(), log) || log == "" && g.Log.Len() > 0 {
			t.Errorf("%s %q: %s, log %q", config, headers, got, &g.Log)
		}
	}
	const peer, missing, bad = "127.0.0.1:4000", "missing real address", "bad address"
	const xff = `{"source":"http_xff"}`
	f(xff, "XFF: 1.1.1.1\n", "1.1.1.1:0", "") // 3
	f(xff, "XFF: 1.1.1.1:80\n", "1.1.1.1:80", "")
	f(xff, "", peer, missing)
	f(xff, "XFF: 1.1.1.1.1\n", peer, bad)
	f(xff, "XFF: 1.1.1.1:65536\n", peer, bad)
	f(xff, "XFF: 1.1.1.1:0\n", peer, bad)
	f(xff, "XFF: localhost\n", peer, bad)
	f(xff, "XFF:\n", peer, bad)
	f(xff, "XFF: ::2\n", "[::2]:0", "") // 9
	f(xff, "XFF: [::2]:80\n", "[::2]:80", "")
	f(xff, "XFF: ::ffff:1.1.1.1\n", "1.1.1.1:0", "")
	f(xff, "XFF: [::2]\n", "[::2]:0", "")
	f(xff, "XFF: [1.1.1.1]\n", peer, bad)
	f(xff, "XFF: fe80::1%eth0\n", peer, bad)
	f(xff, "XFF: [fe80::1%eth0]:80\n", peer, bad)
	f(xff, "XFF: "+strings.Repeat("1", 300)+"\n", peer, bad)
	f(`{"source":"arg_addr"}`, "", "9.9.9.9:80", "")
	f(`{"source":"nothing_of_that_name"}`, "", peer, missing)

	const forwarded = `{"source":"http_x_forwarded_for"`
	f(forwarded+`}`, "X-Forwarded-For: ::1, ::2\n", "[::2]:0", "") // 15
	f(forwarded+`}`, "X-Forwarded-For: ::1\nx-forwarded-for: ::2\n", "[::2]:0", "")
	f(forwarded+`}`, "", peer, missing)
	f(forwarded+`}`, "X-Forwarded-For: 1.1.1.1,\n", peer, bad)
	f(forwarded+`,"trusted_addresses":["192.128.0.0/16"]}`, "X-Forwarded-For: 1.1.1.1\n", peer, "") // 19
	const trusted = forwarded + `,"trusted_addresses":["192.128.0.0/16","127.0.0.0/24"]`
	f(trusted+`}`, "X-Forwarded-For: 1.1.1.1\n", "1.1.1.1:0", "")
	f(trusted+`,"recursive":true}`, "X-Forwarded-For: 1.1.1.1, 192.128.1.1, 127.0.0.1\n", "1.1.1.1:0", "") // 23
	f(trusted+`,"recursive":true}`, "X-Forwarded-For: 8.8.8.8, 1.1.1.1:7 , 192.128.1.1:8,127.0.0.1\n", "1.1.1.1:7", "")
	f(trusted+`,"recursive":true}`, "X-Forwarded-For: 192.128.1.1, 127.0.0.1\n", "192.128.1.1:0", "")
	f(trusted+`,"recursive":true}`, "X-Forwarded-For: 1.1.1.1, unknown, 127.0.0.1\n", peer, bad)
	f(trusted+`}`, "X-Forwarded-For: 1.1.1.1, 192.128.1.1\n", "192.128.1.1:0", "")
	f(forwarded+`,"recursive":true}`, "X-Forwarded-For: 1.1.1.1, 192.128.1.1\n", "192.128.1.1:0", "")

	c := g.Request("GET", "/", "X-Forwarded-For: 1.1.1.1\n")
	c.Req.Remote = netip.AddrPort{}
	g.Bind(trusted + `}`).(plugin.Rewriter).Rewrite(c)
	if c.Req.Remote.IsValid() {
		t.Error("a peer that is not known is trusted")
	}
	if _, err := g.TryBind(`{"source":"arg_a","trusted_addresses":["$env://X"]}`); err == nil {
		t.Error("a list that cannot be resolved trusts everybody")
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{}`, `property "source" is required`)
	g.Check(`{"source":"http_xff","trusted_addresses":["127.0.0.1/33"]}`,
		`property "trusted_addresses" validation failed: failed to validate item 1: object matches none of the required`)
	g.Check(`{"source":"http_xff","trusted_addresses":["::1/129"]}`, "invalid ip address: ::1/129")
	g.Check(`{"source":"http_xff","trusted_addresses":["$env://NET"]}`, "")
	g.Check(`{"source":""}`, `property "source" validation failed: string too short, expected at least 1, got 0`)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.1.1.1:80", "[::2]:80", "[::2]", "::ffff:1.1.1.1", "[]", "1.1.1.1:", ":", "fe80::1%x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parse([]byte(s))
		if !ok {
			return
		}
		if !a.IsValid() || a.Addr().Zone() != "" {
			t.Errorf("%q is %v", s, a)
		}
		if again, ok := parse([]byte(a.Addr().String())); !ok || again.Addr() != a.Addr() {
			t.Errorf("%q is %v, which is %v", s, a, again)
		}
	})
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	r := g.Bind(`{"source":"http_x_forwarded_for","trusted_addresses":["127.0.0.0/24"],"recursive":true}`).(plugin.Rewriter)
	c := g.Request("GET", "/", "X-Forwarded-For: 1.1.1.1, 127.0.0.9\n")
	peer := c.Req.Remote
	plugintest.Budget(t, "two addresses, one of them twice", 3, func() { c.Req.Remote = peer; r.Rewrite(c) })
}
