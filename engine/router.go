package engine

import (
	"slices"
	"strings"

	"headrace/conf"
)

// router finds routes by host and path. It is immutable: with and without
// return a changed copy that shares almost everything. The order in which
// candidates are tried is that of gateway.md 1.3.
type router struct {
	hosts   *radix[hostSet] // by reversed host name
	anyHost *paths
	byURI   bool // router.http is one of the radixtree_uri: path first, hosts are a condition
	params  bool // it is radixtree_uri_with_parameter
}

// paths holds the path patterns of one host, by their literal beginning.
type paths = radix[pathSet]

// hostSet holds what is configured for one host name and for every name that
// ends like it ("*.x" or "*x").
type hostSet struct{ exact, wild *paths }

// pathSet holds the patterns with one literal: those that are the literal and
// those that go on.
type pathSet struct{ exact, prefix []*candidate }

// candidate is one pattern of one route.
type candidate struct {
	entry   *entry
	pattern string
	host    string // as configured, "" for none
	form    form   // of what follows the literal beginning
}

// with returns a router that also knows e.
func (r *router) with(e *entry) *router { return r.each(e, insert) }

// without returns a router that no longer knows e.
func (r *router) without(e *entry) *router { return r.each(e, remove) }

func (r *router) each(e *entry, op func([]*candidate, *candidate) []*candidate) *router {
	next := *r
	hosts := e.hosts
	if r.byURI || len(hosts) == 0 {
		for _, uri := range e.uris {
			next.anyHost = r.updatePath(next.anyHost, &candidate{entry: e, pattern: uri}, op)
		}
		return &next
	}
	for _, host := range hosts {
		name, wild := strings.CutPrefix(host, "*")
		next.hosts = next.hosts.update(reversed(name), func(old *hostSet) *hostSet {
			var set hostSet
			if old != nil {
				set = *old
			}
			at := &set.exact
			if wild {
				at = &set.wild
			}
			for _, uri := range e.uris {
				*at = r.updatePath(*at, &candidate{entry: e, pattern: uri, host: host}, op)
			}
			if set.exact == nil && set.wild == nil {
				return nil
			}
			return &set
		})
	}
	return &next
}

func (r *router) updatePath(root *paths, c *candidate, op func([]*candidate, *candidate) []*candidate) *paths {
	var literal string
	literal, c.form = cutPattern(c.pattern, r.params)
	return root.update(literal, func(old *pathSet) *pathSet {
		var set pathSet
		if old != nil {
			set = *old
		}
		if c.form == exactForm {
			set.exact = op(set.exact, c)
		} else {
			set.prefix = op(set.prefix, c)
		}
		if len(set.exact)+len(set.prefix) == 0 {
			return nil
		}
		return &set
	})
}

// insert keeps the order in which the candidates of one literal are tried:
// priority, then the longer pattern, then who came first.
func insert(list []*candidate, c *candidate) []*candidate {
	at, _ := slices.BinarySearchFunc(list, c, func(a, b *candidate) int {
		switch {
		case a.entry.priority != b.entry.priority:
			return b.entry.priority - a.entry.priority
		case len(a.pattern) != len(b.pattern):
			return len(b.pattern) - len(a.pattern)
		case a.entry.seq != b.entry.seq:
			if a.entry.seq < b.entry.seq {
				return -1
			}
			return 1
		}
		return -1
	})
	next := make([]*candidate, 0, len(list)+1)
	return append(append(append(next, list[:at]...), c), list[at:]...)
}

func remove(list []*candidate, c *candidate) []*candidate {
	next := make([]*candidate, 0, len(list))
	for _, o := range list {
		if o.entry != c.entry || o.pattern != c.pattern {
			next = append(next, o)
		}
	}
	return next
}

// reversed returns s back to front, so that a common ending is a common
// beginning of the tree's keys.
func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// entry is one route of a snapshot, compiled only when a request needs it.
type entry struct {
	id           string
	seq          uint64 // order of arrival
	rev          int64
	priority     int
	service      string // id, "" for none
	pluginConfig string // id, "" for none
	methods      methodSet
	hosts        []string // lower case
	uris         []string
	when         *conditions // nil: none
	item         conf.Item
	checked      bool     // its instances have health checks
	visible      bool     // status is 1
	hot          hotRoute // see compile.go
}

// methodSet has a bit per method; none set means any method.
type methodSet uint16

var methodNames = [...]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"}

func methodsOf(names []string) (set methodSet) {
	for _, name := range names {
		set |= methodBit([]byte(name))
	}
	return set
}

func methodBit(name []byte) methodSet {
	for i, m := range methodNames {
		if string(name) == m {
			return 1 << i
		}
	}
	return 0
}
