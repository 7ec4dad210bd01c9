package engine

import "hash/maphash"

// cowMap is a map from ids to values that is copied on write: a change copies
// one shard of 256 and shares the rest. The zero value is empty. A published
// map is never changed.
type cowMap[V any] struct {
	shards [256]map[string]V
	n      int
}

var cowSeed = maphash.MakeSeed()

func shardOf(id string) uint8 { return uint8(maphash.String(cowSeed, id)) }

func (m *cowMap[V]) get(id string) (V, bool) {
	v, ok := m.shards[shardOf(id)][id]
	return v, ok
}

// getBytes is get for an id that is not a string yet; it does not allocate.
func (m *cowMap[V]) getBytes(id []byte) (V, bool) {
	v, ok := m.shards[uint8(maphash.Bytes(cowSeed, id))][string(id)]
	return v, ok
}

func (m *cowMap[V]) len() int { return m.n }

func (m *cowMap[V]) each(f func(id string, v V)) {
	for _, s := range m.shards {
		for id, v := range s {
			f(id, v)
		}
	}
}

// cowEdit is one batch of changes to a cowMap: each shard is copied at most once.
type cowEdit[V any] struct {
	m      *cowMap[V]
	copied [256]bool
}

func editMap[V any](old *cowMap[V]) *cowEdit[V] {
	m := *old
	return &cowEdit[V]{m: &m}
}

func (e *cowEdit[V]) shard(id string) map[string]V {
	i := shardOf(id)
	if !e.copied[i] {
		e.copied[i] = true
		old := e.m.shards[i]
		next := make(map[string]V, len(old)+1)
		for k, v := range old {
			next[k] = v
		}
		e.m.shards[i] = next
	}
	return e.m.shards[i]
}

func (e *cowEdit[V]) set(id string, v V) {
	s := e.shard(id)
	if _, ok := s[id]; !ok {
		e.m.n++
	}
	s[id] = v
}

func (e *cowEdit[V]) delete(id string) {
	s := e.shard(id)
	if _, ok := s[id]; ok {
		e.m.n--
		delete(s, id)
	}
}
