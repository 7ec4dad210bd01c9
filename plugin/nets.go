package plugin

import (
	"fmt"
	"net/netip"

	"headrace/conf"
	"headrace/conf/expr"
)

// NetsSchema is the schema of a list of addresses and networks.
const NetsSchema = `{
  "type": "array", "minItems": 1,
  "items": {
    "anyOf": [
      {"title": "IPv4", "type": "string", "format": "ipv4"},
      {"title": "IPv4/CIDR", "type": "string", "pattern": "^` + ipv4 + `\\.` + ipv4 + `\\.` + ipv4 + `\\.` + ipv4 + `/([12]?[0-9]|3[0-2])$"},
      {"title": "IPv6", "type": "string", "format": "ipv6"},
      {"title": "IPv6/CIDR", "type": "string", "pattern": "^([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?/[0-9]{1,3}$"}
    ]
  }
}`

const ipv4 = `([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])`

// Nets is a set of addresses and networks. It is immutable; nil is empty.
type Nets struct {
	single map[netip.Addr]bool
	nets   []netip.Prefix
}

// ParseNets reads a list that NetsSchema has let pass. The error's text is APISIX's.
func ParseNets(list []string) (*Nets, error) {
	n := &Nets{single: map[netip.Addr]bool{}}
	for _, s := range list {
		p, err := expr.ParseNet(s)
		switch {
		case err != nil:
			return nil, fmt.Errorf("invalid ip address: %s", s)
		case p.IsSingleIP():
			n.single[p.Addr()] = true
		default:
			n.nets = append(n.nets, p)
		}
	}
	return n, nil
}

// CheckNets is ParseNets for a configuration whose references are not
// resolved: they are left out.
func CheckNets(list []string) error {
	for _, s := range list {
		if !conf.IsReference(s) {
			if _, err := ParseNets([]string{s}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Contains tells whether a is in the set; an invalid address is in none.
func (n *Nets) Contains(a netip.Addr) bool {
	if n == nil {
		return false
	}
	a = a.Unmap()
	if n.single[a] {
		return true
	}
	for _, p := range n.nets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
