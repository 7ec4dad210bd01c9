package iprestriction

import (
	"net/netip"
	"strings"
	"testing"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// TestAccess has the cases of ip-restriction.t by their numbers.
func TestAccess(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, from, want string) {
		t.Helper()
		c := g.Request("GET", "/hello", "")
		c.Req.Remote = netip.AddrPort{}
		if from != "" {
			c.Req.Remote = netip.AddrPortFrom(netip.MustParseAddr(from), 1)
		}
		if got := plugintest.Answer(c, g.Bind(config).(plugin.Accessor).Access(c)); got != want {
			t.Errorf("%s from %s: %q", config, from, got)
		}
	}
	const no = "403 application/json\n" + `{"message":"Your IP address is not allowed"}` + "\n"
	const bad = "403 application/json\n" + `{"message":"Do you want to do something \"bad\"?"}` + "\n"
	const lists = `["127.0.0.0/24","113.74.26.106"]`
	f(`{"whitelist":`+lists+`}`, "127.0.0.1", "") // 8
	f(`{"whitelist":`+lists+`}`, "113.74.26.106", "")
	f(`{"whitelist":`+lists+`}`, "114.114.114.114", no)
	f(`{"whitelist":`+lists+`}`, "2001:db8::2", no)
	f(`{"whitelist":`+lists+`}`, "", no)
	f(`{"blacklist":`+lists+`}`, "127.0.0.1", no) // 13
	f(`{"blacklist":`+lists+`}`, "::ffff:127.0.0.1", no)
	f(`{"blacklist":`+lists+`}`, "113.74.26.106", no)
	f(`{"blacklist":`+lists+`}`, "114.114.114.114", "")
	f(`{"blacklist":`+lists+`}`, "2001:db8::2", "")
	f(`{"blacklist":`+lists+`}`, "", "")
	f(`{"blacklist":["::1","fe80::/32"]}`, "127.0.0.1", "") // 21
	f(`{"blacklist":["::1","fe80::/32"]}`, "::1", no)
	f(`{"blacklist":["::1","fe80::/32"]}`, "fe80::1:1", no)
	f(`{"blacklist":`+lists+`,"message":"Do you want to do something \"bad\"?"}`, "127.0.0.1", bad)             // 27
	f(`{"whitelist":`+lists+`,"message":"Do you want to do something \"bad\"?"}`, "114.114.114.114", bad)       // 30
	f(`{"whitelist":["1.1.1.1"],"response_code":404}`, "114.114.114.114", strings.Replace(no, "403", "404", 1)) // 34
	f(`{"whitelist":["$env://10.0.0.0/8"]}`, "10.1.1.1", "")
	if _, err := g.TryBind(`{"blacklist":["$env://X"]}`); err == nil {
		t.Error("a list that cannot be resolved lets everybody in")
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	const none = `property "whitelist" validation failed: failed to validate item 1: object matches none of the required`
	g.Check(`{"whitelist":["10.255.254.0/24","192.168.0.0/16"]}`, "")
	g.Check(`{"whitelist":["10.255.256.0/24","192.168.0.0/16"]}`, none) // 2
	g.Check(`{"whitelist":["10.255.254.0/38"]}`, none)
	g.Check(`{}`, "value should match only one schema, but matches none") // 4
	g.Check(`{"blacklist":[]}`, `property "blacklist" validation failed: expect array to have at least 1 items`)
	g.Check(`{"whitelist":["172.17.40.0/24"],"blacklist":["10.255.0.0/16"]}`, "value should match only one schema, but matches both schemas 1 and 2")
	g.Check(`{"whitelist":["::1","fe80::/32","2001:DB8:0:23:8:800:200C:417A"]}`, "") // 19
	g.Check(`{"whitelist":["::1/129"]}`, "invalid ip address: ::1/129")
	g.Check(`{"blacklist":["::ffgg"]}`, strings.Replace(none, "white", "black", 1))
	g.Check(`{"whitelist":["1.1.1.1"],"message":""}`, `property "message" validation failed: string too short, expected at least 1, got 0`) // 31
	g.Check(`{"whitelist":["1.1.1.1"],"message":"`+strings.Repeat("-1Aa#", 205)+`"}`, `property "message" validation failed: string too long, expected at most 1024, got 1025`)
	g.Check(`{"whitelist":["1.1.1.1"],"response_code":409}`, `property "response_code" validation failed: expected 409 to be at most 404`)
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	r := g.Bind(`{"whitelist":["10.0.0.0/8","::1","192.168.0.0/16"]}`).(plugin.Accessor)
	c := g.Request("GET", "/", "")
	plugintest.Budget(t, "a check", 0, func() { r.Access(c) })
}
