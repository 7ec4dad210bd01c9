package conf

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// prefixes reads addresses and networks.
func (b *block) prefixes(key string, list []string) []netip.Prefix {
	if list == nil {
		return nil
	}
	out := make([]netip.Prefix, 0, len(list))
	for i, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(s); err == nil {
				p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
			}
		}
		if err != nil {
			b.fail(key+"["+strconv.Itoa(i)+"]", "%q is no IP address and no network", s)
			continue
		}
		out = append(out, p.Masked())
	}
	return out
}

// listen reads ip and port out of this block.
func (b *block) listen(ip string, port int) Listen {
	l := Listen{IP: ip, Port: port}
	if s := b.str("ip"); s != "" {
		l.IP = strings.Trim(s, "[]")
		if net.ParseIP(l.IP) == nil && l.IP != "localhost" {
			b.fail("ip", "%q is no IP address", s)
		}
	}
	if b.value("port") != nil {
		l.Port = b.int("port", 0, 65535)
	}
	return l
}
