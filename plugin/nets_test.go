package plugin

import (
	"net/netip"
	"testing"

	"headrace/conf/schema"
)

func TestNets(t *testing.T) {
	n, err := ParseNets([]string{"127.0.0.0/24", "113.74.26.106", "::1", "fe80::/32", "2001:DB8:0:23:8:800:200C:417A", "10.1.2.3/8", "::ffff:1.2.3.4"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(addr string, want bool) {
		t.Helper()
		if got := n.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	f("127.0.0.9", true)
	f("127.0.1.1", false)
	f("113.74.26.106", true)
	f("113.74.26.107", false)
	f("::ffff:113.74.26.106", true)
	f("10.200.1.1", true)
	f("::1", true)
	f("::2", false)
	f("fe80::1:1", true)
	f("2001:db8:0:23:8:800:200c:417a", true)
	f("1.2.3.4", true)
	var none *Nets
	if n.Contains(netip.Addr{}) || none.Contains(netip.MustParseAddr("1.1.1.1")) {
		t.Error("what is no address is contained, or nothing contains one")
	}
}

// TestNetsSchema is ip-restriction.t 2, 3, 5, 19, 24.
func TestNetsSchema(t *testing.T) {
	s := schema.MustCompile("nets", NetsSchema)
	f := func(list, want string) {
		t.Helper()
		_, err := s.Check([]byte(list))
		if err == nil && want == "" {
			return
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", list, err)
		}
	}
	const none = "failed to validate item 1: object matches none of the required"
	f(`["10.255.254.0/24","192.168.0.0/16"]`, "")
	f(`["10.255.256.0/24","192.168.0.0/16"]`, none)
	f(`["10.255.254.0/38","192.168.0.0/16"]`, none)
	f(`["127.0.0.1/33"]`, none)
	f(`["::1","fe80::/32","2001:DB8:0:23:8:800:200C:417A"]`, "")
	f(`["::ffgg"]`, none)
	f(`[]`, "expect array to have at least 1 items")
	f(`["::1/129"]`, "") // what the pattern cannot see:
	if err := CheckNets([]string{"$env://NET", "::1/129"}); err == nil || err.Error() != "invalid ip address: ::1/129" {
		t.Error(err)
	}
	if err := CheckNets([]string{"$env://NET", "::1"}); err != nil {
		t.Error(err)
	}
}
