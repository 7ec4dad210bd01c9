package etcd

import (
	"bytes"
	"maps"
	"slices"

	"headrace/conf"
)

// entry is a key of etcd. A value is never changed.
type entry struct {
	value       []byte
	mod, create int64 // revisions
}

// state is everything below the prefix at one revision, marks and foreign keys
// included: only then can two be compared.
type state struct {
	rev int64
	kvs map[string]entry
}

// keys are sorted, which is the order of etcd and of APISIX's first load.
func (st *state) keys() []string { return slices.Sorted(maps.Keys(st.kvs)) }

// items returns what the keys of a state mean, in their order.
func (s *Store) items(st *state) []conf.Item {
	items := make([]conf.Item, 0, len(st.kvs))
	for _, k := range st.keys() {
		if it, ok := s.item(k, st.kvs[k]); ok {
			items = append(items, it)
		}
	}
	return items
}

// diff is what leads from one state to another, deletions first: an item may
// have moved to another id.
func (s *Store) diff(from, to *state) (changes []conf.Change) {
	for _, k := range from.keys() {
		if _, ok := to.kvs[k]; !ok {
			if ch, ok := s.deletion(k, from.kvs[k], to.rev); ok {
				changes = append(changes, ch)
			}
		}
	}
	for _, k := range to.keys() {
		old, now := from.kvs[k], to.kvs[k]
		if old.mod == now.mod && old.create == now.create && bytes.Equal(old.value, now.value) {
			continue
		}
		if it, ok := s.item(k, now); ok {
			changes = append(changes, conf.Change{Item: it})
		}
	}
	return changes
}

func (s *Store) deletion(key string, old entry, rev int64) (ch conf.Change, ok bool) {
	kind, id, ok := s.parse(key)
	it := conf.Item{Kind: kind, ID: id, Rev: rev, Created: old.create}
	return conf.Change{Item: it, Deleted: true}, ok
}

// same tells whether two lists of keys are those of one state. Values are not
// looked at: a revision writes a key once.
func same(a, b map[string]entry) bool {
	if len(a) != len(b) {
		return false
	}
	for k, e := range a {
		o, ok := b[k]
		if !ok || o.mod != e.mod || o.create != e.create {
			return false
		}
	}
	return true
}
