package conf

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// createStore makes the file under another name first: a process killed in the
// middle must not leave half a file.
func createStore(dir, path string) error {
	if _, err := os.Stat(path); err == nil {
		// Tighten a mode that a copy or a backup tool widened. Where the file is
		// not ours the mode is its owner's business.
		_ = os.Chmod(path, 0o600)
		return nil
	}
	tmp, err := os.CreateTemp(dir, storeFile+".new-*")
	if err != nil {
		return errors.Unwrap(err)
	}
	defer os.Remove(tmp.Name())
	if err := tmp.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp.Name(), 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketItems, bucketTTL} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		m := tx.Bucket(bucketMeta)
		return errors.Join(m.Put(keyFormat, u64(storeFormat)), m.Put(keyRev, u64(0)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Of two that start at once, one store stays.
	if err := publish(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkStore refuses what this version cannot read; it changes nothing.
func checkStore(tx *bbolt.Tx) error {
	m := tx.Bucket(bucketMeta)
	if m == nil || tx.Bucket(bucketItems) == nil || tx.Bucket(bucketTTL) == nil {
		return errors.New("it is no store of headrace")
	}
	switch f := number(m.Get(keyFormat)); {
	case f > storeFormat:
		return fmt.Errorf("it was written by a newer headrace (format %d, this version knows %d)", f, storeFormat)
	case f < 1:
		return errors.New("it has no format version")
	}
	return nil
}

// begin checks the format and deletes what expired while nobody looked.
func (e *Embedded) begin() (rev int64, next time.Time, err error) {
	err = e.db.Update(func(tx *bbolt.Tx) error {
		if err := checkStore(tx); err != nil {
			return err
		}
		t := begin(tx)
		if err := t.expire(time.Now()); err != nil {
			return err
		}
		rev, next = t.rev, t.nextDeadline()
		return t.finish()
	})
	return rev, next, err
}
