package limit

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// table holds a small value for each key. Keys come from clients, so memory is
// bounded: what is over is forgotten as others are looked up, and when the
// table or the process has too many the one that was renewed longest ago goes.
// A key that is there is found without an allocation.
type table[T any] struct {
	clock
	room *Room
	seed maphash.Seed
	// over says that a value means no more than none at all, held that it must
	// stay; held may be nil.
	over func(v *T, now int64) bool
	held func(v *T) bool

	shards [shardCount]shard[T]
}

const (
	shardCount = 64   // as many as a mask has bits
	shardFree  = 16   // keys of a shard that need no room
	shardMax   = 4096 // keys of a shard: 262,144 of a table
)

type shard[T any] struct {
	mu             sync.Mutex
	entries        map[string]*entry[T]
	oldest, newest *entry[T]
	_              [24]byte // a cache line for each
}

type entry[T any] struct {
	key          string
	older, newer *entry[T]
	v            T
}

// Room bounds how many keys all tables of a process hold together.
type Room struct {
	used atomic.Int64
	max  int64
}

// NewRoom returns room for about a million keys, some 150 MB.
func NewRoom() *Room { return &Room{max: 1 << 20} }

// clock tells nanoseconds since 1970 that never go back.
type clock struct {
	start time.Time
	unix  int64
}

func newClock() clock {
	t := time.Now()
	return clock{t, t.UnixNano()}
}

func (c *clock) now() int64 { return c.unix + int64(time.Since(c.start)) }

func newTable[T any](room *Room, over func(*T, int64) bool, held func(*T) bool) *table[T] {
	return &table[T]{clock: newClock(), room: room, seed: maphash.MakeSeed(), over: over, held: held}
}

func (t *table[T]) index(key []byte) int { return int(maphash.Bytes(t.seed, key) % shardCount) }

// bit is the place of a key in the mask of lock.
func (t *table[T]) bit(key []byte) uint64 { return 1 << t.index(key) }

// lock locks the shards of a mask, always in the same order.
func (t *table[T]) lock(mask uint64) {
	for ; mask != 0; mask &= mask - 1 {
		t.shards[bits.TrailingZeros64(mask)].mu.Lock()
	}
}

func (t *table[T]) unlock(mask uint64) {
	for ; mask != 0; mask &= mask - 1 {
		t.shards[bits.TrailingZeros64(mask)].mu.Unlock()
	}
}

// get returns the entry of a key, made if there is none, with its shard, which
// must be locked. It is valid until the shard is unlocked, or another key is
// got.
func (t *table[T]) get(key []byte, now int64) (*entry[T], *shard[T]) {
	s := &t.shards[t.index(key)]
	e := s.entries[string(key)]
	if e != nil && t.over(&e.v, now) {
		s.renew(e) // else it might be reclaimed below
	}
	for range 2 { // so that a table shrinks faster than it grows
		if o := s.oldest; o == nil || o == e || !t.over(&o.v, now) {
			break
		}
		t.remove(s, s.oldest)
	}
	if e != nil {
		return e, s
	}
	if n := len(s.entries); n >= shardMax || n >= shardFree && t.room.used.Load() >= t.room.max {
		if o := s.oldest; t.held == nil || !t.held(&o.v) {
			t.remove(s, o)
		}
	}
	if s.entries == nil {
		s.entries = make(map[string]*entry[T])
	}
	e = &entry[T]{key: string(key)}
	s.entries[e.key] = e
	s.append(e)
	t.room.used.Add(1)
	return e, s
}

func (t *table[T]) remove(s *shard[T], e *entry[T]) {
	s.unlink(e)
	delete(s.entries, e.key)
	if len(s.entries) == 0 {
		s.entries = nil // a map does not shrink
	}
	t.room.used.Add(-1)
}

// Busy says that a value is there that means something.
func (t *table[T]) Busy() bool {
	now := t.now()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		e := s.newest
		busy := e != nil && !t.over(&e.v, now)
		s.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}

// Close gives the room back. The table goes on working for requests that still
// have it.
func (t *table[T]) Close() error {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		t.room.used.Add(-int64(len(s.entries)))
		s.entries, s.oldest, s.newest = nil, nil, nil
		s.mu.Unlock()
	}
	return nil
}

// renew makes e the last to go.
func (s *shard[T]) renew(e *entry[T]) {
	if s.newest != e {
		s.unlink(e)
		s.append(e)
	}
}

func (s *shard[T]) append(e *entry[T]) {
	e.older, e.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

func (s *shard[T]) unlink(e *entry[T]) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
}
