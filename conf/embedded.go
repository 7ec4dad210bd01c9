package conf

import (
	"cmp"
	"context"
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
	applied Progress
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
	slices.SortStableFunc(items, loadOrder)
	return items, rev, err
}

// loadOrder is by kind and then by Created.
func loadOrder(a, b Item) int {
	return cmp.Or(int(a.Kind)-int(b.Kind), cmp.Compare(a.Created, b.Created))
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

// Applied implements Store.
func (e *Embedded) Applied(rev int64) { e.applied.Reach(rev) }

// WaitApplied implements Store.
func (e *Embedded) WaitApplied(ctx context.Context, rev int64) error {
	return e.applied.Wait(ctx, e.done, rev)
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
