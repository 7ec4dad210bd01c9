package conf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	storeFile   = "store.db"
	storeFormat = 1 // a larger number in the file is a newer headrace's
	lockTimeout = 2 * time.Second
	groupLimit  = 512 // writes in one transaction at most
)

var (
	bucketMeta  = []byte("meta")
	bucketItems = []byte("items") // "<kind>/<id>" -> rev, created, deadline, value
	bucketTTL   = []byte("ttl")   // deadline, key -> nothing
	keyFormat   = []byte("format")
	keyRev      = []byte("rev")
)

// ErrClosed is what a store answers after Close.
var ErrClosed = errors.New("the store is closed")

// Embedded is a Store in one file of the data directory. A write that
// returned is on disk: kill -9 at any moment loses nothing that was
// acknowledged. Writes that arrive while one is being synced share the next
// transaction. All methods may be called at the same time.
type Embedded struct {
	db      *bbolt.DB
	writes  chan *write
	closing chan struct{}
	done    chan struct{}
	close   sync.Once
	history history
	applied progress
}

// write is one waiting change. do runs inside a transaction that others share,
// so it must change nothing when it returns an error.
type write struct {
	do     func(t *storeTx) error
	err    error
	result chan error
}

// OpenEmbedded opens the store in dir, which is made (0700) if it is missing.
// It fails if another process has the store open, or if a newer version wrote it.
func OpenEmbedded(dir string) (*Embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make data directory %q: %w", dir, errors.Unwrap(err))
	}
	path := filepath.Join(dir, storeFile)
	if err := createStore(dir, path); err != nil {
		return nil, fmt.Errorf("cannot create store %q: %w", path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("data directory %q is in use by another headrace", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open store %q: %w", path, err)
	}
	e := &Embedded{db: db, writes: make(chan *write, groupLimit), closing: make(chan struct{}), done: make(chan struct{})}
	rev, next, err := e.begin()
	if err != nil {
		return nil, fmt.Errorf("cannot open store %q: %w", path, errors.Join(err, db.Close()))
	}
	e.history.reset(rev)
	go e.run(next)
	return e, nil
}

// Load implements Source, ordered by kind and then by Created.
func (e *Embedded) Load(context.Context) (items []Item, rev int64, err error) {
	err = e.view(func(tx *bbolt.Tx) error {
		rev = number(tx.Bucket(bucketMeta).Get(keyRev))
		return tx.Bucket(bucketItems).ForEach(func(k, v []byte) error {
			if it, ok := decodeItem(k, v); ok {
				items = append(items, it)
			}
			return nil
		})
	})
	slices.SortStableFunc(items, func(a, b Item) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return int(a.Created - b.Created)
	})
	return items, rev, err
}

// Watch implements Source. What happened since the store was opened is kept,
// within limits.
func (e *Embedded) Watch(ctx context.Context, rev int64, apply func([]Change, int64)) error {
	for {
		changes, last, more, ok := e.history.after(rev)
		if !ok {
			return ErrResync
		}
		if len(changes) > 0 {
			apply(changes, last)
			rev = last
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.done:
			return ErrClosed
		case <-more:
		}
	}
}

// Get implements Store.
func (e *Embedded) Get(kind Kind, id string) (it Item, err error) {
	err = e.view(func(tx *bbolt.Tx) error {
		k := []byte(itemKey(kind, id))
		var ok bool
		if it, ok = decodeItem(k, tx.Bucket(bucketItems).Get(k)); !ok {
			return ErrNotFound
		}
		return nil
	})
	return it, err
}

// List implements Store.
func (e *Embedded) List(kind Kind) (items []Item, err error) {
	err = e.view(func(tx *bbolt.Tx) error {
		prefix := itemKey(kind, "")
		c := tx.Bucket(bucketItems).Cursor()
		for k, v := c.Seek([]byte(prefix)); strings.HasPrefix(string(k), prefix); k, v = c.Next() {
			if it, ok := decodeItem(k, v); ok {
				items = append(items, it)
			}
		}
		return nil
	})
	slices.SortFunc(items, func(a, b Item) int { return int(a.Created - b.Created) })
	return items, err
}

// Put implements Store.
func (e *Embedded) Put(it Item, ttl time.Duration) (now, old Item, err error) {
	err = e.write(func(t *storeTx) error {
		old, _ = t.get(it.Kind, it.ID)
		now, err = t.put(it, old, ttl)
		return err
	})
	if err != nil {
		return Item{}, Item{}, err
	}
	return now, old, nil
}

// Swap implements Store. An item that is gone is ErrConflict, unless prevRev
// is 0: that asks for an item that is not there yet.
func (e *Embedded) Swap(it Item, prevRev int64, ttl time.Duration) (now Item, err error) {
	err = e.write(func(t *storeTx) error {
		old, _ := t.get(it.Kind, it.ID)
		if old.Rev != prevRev {
			return ErrConflict
		}
		now, err = t.put(it, old, ttl)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	return now, nil
}

// Create implements Store. fill is called inside the transaction and must not
// use the store.
func (e *Embedded) Create(kind Kind, ttl time.Duration, fill func(id string) ([]byte, error)) (now Item, err error) {
	err = e.write(func(t *storeTx) error {
		it := Item{Kind: kind, ID: fmt.Sprintf("%020d", t.rev+1)}
		if it.Raw, err = fill(it.ID); err != nil {
			return err
		}
		old, _ := t.get(kind, it.ID)
		now, err = t.put(it, old, ttl)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	return now, nil
}

// Delete implements Store.
func (e *Embedded) Delete(kind Kind, id string) (old Item, rev int64, err error) {
	err = e.write(func(t *storeTx) error {
		var ok bool
		if old, ok = t.get(kind, id); !ok {
			return ErrNotFound
		}
		err := t.delete(old)
		rev = t.rev
		return err
	})
	if err != nil {
		return Item{}, 0, err
	}
	return old, rev, nil
}

// Applied says that the configuration in force carries everything up to rev.
// The engine calls it from its apply.
func (e *Embedded) Applied(rev int64) { e.applied.reach(rev) }

// WaitApplied returns when Applied was called with rev or more.
func (e *Embedded) WaitApplied(ctx context.Context, rev int64) error {
	for {
		ok, more := e.applied.reached(rev)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.done:
			return ErrClosed
		case <-more:
		}
	}
}

// Close ends the store: writes that are waiting get ErrClosed, those in the
// transaction under way are finished.
func (e *Embedded) Close() error {
	e.close.Do(func() { close(e.closing) })
	<-e.done
	return e.db.Close()
}

func (e *Embedded) view(fn func(*bbolt.Tx) error) error {
	err := e.db.View(fn)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

func (e *Embedded) write(do func(t *storeTx) error) error {
	w := &write{do: do, result: make(chan error, 1)}
	select {
	case e.writes <- w:
	case <-e.done:
		return ErrClosed
	}
	select {
	case err := <-w.result:
		return err
	case <-e.done:
	}
	// The writer may have answered right before it ended.
	select {
	case err := <-w.result:
		return err
	default:
		return ErrClosed
	}
}

// run is the only writer. While one transaction is being synced the next
// writes gather in the channel: 1,000 at once take a few syncs.
func (e *Embedded) run(next time.Time) {
	defer close(e.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilDeadline(next))
		var group []*write
		select {
		case <-e.closing:
			return
		case w := <-e.writes:
			group = append(group, w)
		case <-timer.C:
		}
	gather:
		for len(group) > 0 && len(group) < groupLimit {
			select {
			case w := <-e.writes:
				group = append(group, w)
			default:
				break gather
			}
		}
		next = e.commit(group, next)
	}
}

// commit writes the group and what is due in one transaction, publishes the
// changes and answers.
func (e *Embedded) commit(group []*write, next time.Time) time.Time {
	now := time.Now()
	if len(group) == 0 && (next.IsZero() || now.Before(next)) {
		return next
	}
	var changes []Change
	due := next
	err := e.db.Update(func(tx *bbolt.Tx) error {
		t := begin(tx)
		if err := t.expire(now); err != nil {
			return err
		}
		for _, w := range group {
			if w.err = w.do(t); t.broken != nil {
				return t.broken
			}
		}
		changes, due = t.changes, t.nextDeadline()
		return t.finish()
	})
	if err != nil {
		err = fmt.Errorf("cannot write to the store: %w", err)
		changes, due = nil, next
		// A full disk must not make the timer spin.
		if !due.IsZero() {
			due = now.Add(time.Second)
		}
	}
	e.history.add(changes)
	for _, w := range group {
		if err != nil {
			w.err = err
		}
		w.result <- w.err
	}
	return due
}

// untilDeadline waits a minute at most: the wall clock may be set.
func untilDeadline(next time.Time) time.Duration {
	if next.IsZero() {
		return time.Hour
	}
	return min(max(0, time.Until(next)), time.Minute)
}

func u64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func number(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}
