package conf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Bounds of the history that Watch can go back to.
const (
	historyChanges = 10_000
	historyBytes   = 64 << 20
)

// storeTx is the writing side of one transaction. Revisions are given out in
// order and become real when the transaction does.
type storeTx struct {
	meta, items, ttl *bbolt.Bucket
	rev              int64
	changes          []Change
	broken           error // bbolt failed: the whole transaction is lost
}

func begin(tx *bbolt.Tx) *storeTx {
	t := &storeTx{meta: tx.Bucket(bucketMeta), items: tx.Bucket(bucketItems), ttl: tx.Bucket(bucketTTL)}
	t.rev = number(t.meta.Get(keyRev))
	return t
}

func (t *storeTx) finish() error { return t.meta.Put(keyRev, u64(t.rev)) }

func (t *storeTx) get(kind Kind, id string) (Item, bool) {
	k := []byte(itemKey(kind, id))
	return decodeItem(k, t.items.Get(k))
}

func (t *storeTx) put(it, old Item, ttl time.Duration) (Item, error) {
	// Refused here, one bad key cannot fail the transaction that others share.
	if KindOf(it.Kind.String()) == 0 || it.ID == "" || len(it.ID) > maxIDLength {
		return Item{}, fmt.Errorf("cannot store an item of kind %q: its id has %d bytes", it.Kind, len(it.ID))
	}
	k := []byte(itemKey(it.Kind, it.ID))
	if err := t.clearDeadline(k); err != nil {
		return Item{}, err
	}
	t.rev++
	it.Rev, it.Created = t.rev, t.rev
	if old.Raw != nil {
		it.Created = old.Created
	}
	it.Raw = bytes.Clone(it.Raw)
	var deadline int64
	if ttl > 0 {
		deadline = time.Now().Add(ttl).UnixMilli()
		if err := t.ttl.Put(append(u64(deadline), k...), nil); err != nil {
			t.broken = err
			return Item{}, err
		}
	}
	if err := t.items.Put(k, encodeItem(it, deadline)); err != nil {
		t.broken = err
		return Item{}, err
	}
	t.changes = append(t.changes, Change{Item: it})
	return it, nil
}

func (t *storeTx) delete(old Item) error {
	k := []byte(itemKey(old.Kind, old.ID))
	if err := t.clearDeadline(k); err != nil {
		return err
	}
	if err := t.items.Delete(k); err != nil {
		t.broken = err
		return err
	}
	t.rev++
	t.changes = append(t.changes, Change{Item: Item{Kind: old.Kind, ID: old.ID, Rev: t.rev, Created: old.Created}, Deleted: true})
	return nil
}

func (t *storeTx) clearDeadline(k []byte) error {
	v := t.items.Get(k)
	if len(v) < itemHead {
		return nil
	}
	deadline := number(v[16:24])
	if deadline == 0 {
		return nil
	}
	if err := t.ttl.Delete(append(u64(deadline), k...)); err != nil {
		t.broken = err
		return err
	}
	return nil
}

// expire deletes what is due, in the order of the deadlines.
func (t *storeTx) expire(now time.Time) error {
	for {
		k, _ := t.ttl.Cursor().First()
		if k == nil || number(k[:8]) > now.UnixMilli() {
			return nil
		}
		key := bytes.Clone(k)
		if old, ok := decodeItem(key[8:], t.items.Get(key[8:])); ok {
			if err := t.delete(old); err != nil {
				return err
			}
		}
		if err := t.ttl.Delete(key); err != nil {
			return err
		}
	}
}

func (t *storeTx) nextDeadline() time.Time {
	k, _ := t.ttl.Cursor().First()
	if k == nil {
		return time.Time{}
	}
	return time.UnixMilli(number(k[:8]))
}

const maxIDLength = 1024

const itemHead = 24 // revision, created, deadline in ms (0: none)

func encodeItem(it Item, deadline int64) []byte {
	b := make([]byte, 0, itemHead+len(it.Raw))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Rev))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Created))
	b = binary.BigEndian.AppendUint64(b, uint64(deadline))
	return append(b, it.Raw...)
}

// decodeItem copies: bbolt's memory ends with the transaction.
func decodeItem(k, v []byte) (Item, bool) {
	kind, id, ok := strings.Cut(string(k), "/")
	if !ok || len(v) < itemHead || KindOf(kind) == 0 {
		return Item{}, false
	}
	raw := make([]byte, len(v)-itemHead)
	copy(raw, v[itemHead:])
	return Item{Kind: KindOf(kind), ID: id, Raw: raw, Rev: number(v[:8]), Created: number(v[8:16])}, true
}

// history is what changed since the store was opened, bounded.
type history struct {
	mu      sync.Mutex
	changes []Change
	bytes   int
	base    int64 // revision before the first change
	more    chan struct{}
}

func (h *history) reset(rev int64) {
	h.base, h.more = rev, make(chan struct{})
}

func (h *history) add(changes []Change) {
	if len(changes) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		h.bytes += len(c.Raw)
	}
	h.changes = append(h.changes, changes...)
	drop := 0
	for n := len(h.changes); n-drop > historyChanges || h.bytes > historyBytes && drop < n-1; drop++ {
		h.bytes -= len(h.changes[drop].Raw)
		h.base = h.changes[drop].Rev
	}
	// Keep what drop says without copying everything each time.
	clear(h.changes[:drop])
	h.changes = h.changes[drop:]
	close(h.more)
	h.more = make(chan struct{})
}

// after returns what changed after rev, and a channel that closes when there
// is more. It is not ok if the history no longer reaches back to rev.
func (h *history) after(rev int64) (changes []Change, last int64, more <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rev < h.base {
		return nil, 0, nil, false
	}
	// Every change has the revision after the one before it.
	if skip := rev - h.base; skip < int64(len(h.changes)) {
		changes = append(changes, h.changes[skip:]...)
		last = changes[len(changes)-1].Rev
	}
	return changes, last, h.more, true
}
