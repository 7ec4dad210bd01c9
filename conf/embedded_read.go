package conf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Stored is an item of an embedded store with the time at which its TTL ends;
// zero: it has none.
type Stored struct {
	Item
	Expires time.Time
}

const (
	copyTries = 100
	metaSize  = 16 + 64 // a page's head and what bbolt keeps in a meta page
)

// ReadEmbedded returns what the store in dir held at one moment, ordered as by
// Load. It takes no lock and changes nothing, so a gateway may be running on
// the store, or start meanwhile. For a moment the system's folder for
// temporary files, or dir where that cannot be written, holds a nameless copy.
func ReadEmbedded(dir string) (items []Stored, err error) {
	path := filepath.Join(dir, storeFile)
	fail := func(err error) ([]Stored, error) { return nil, fmt.Errorf("cannot read store %q: %w", path, err) }
	file, err := os.Open(path)
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	defer file.Close()
	tmp, err := nameless(dir)
	if err != nil {
		return fail(err)
	}
	if err := copyStore(tmp, file); err != nil {
		tmp.Close()
		return fail(err)
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{
		ReadOnly: true, OpenFile: func(string, int, os.FileMode) (*os.File, error) { return tmp, nil },
	})
	if err != nil {
		tmp.Close()
		return fail(err)
	}
	defer db.Close()
	// bbolt trusts what it reads: a file that was cut off would end the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			items, err = fail(fmt.Errorf("it is damaged: %v", r))
		}
	}()
	now := time.Now()
	err = db.View(func(tx *bbolt.Tx) error {
		if err := checkStore(tx); err != nil {
			return err
		}
		return tx.Bucket(bucketItems).ForEach(func(k, v []byte) error {
			it, ok := decodeItem(k, v)
			if !ok {
				return nil
			}
			s := Stored{Item: it}
			if deadline := number(v[16:24]); deadline != 0 {
				if s.Expires = time.UnixMilli(deadline); !s.Expires.After(now) {
					return nil
				}
			}
			items = append(items, s)
			return nil
		})
	})
	if err != nil {
		return fail(err)
	}
	slices.SortStableFunc(items, func(a, b Stored) int { return loadOrder(a.Item, b.Item) })
	return items, nil
}

// nameless makes a file that is gone when it is closed, however the process
// ends: the store is full of secrets.
func nameless(dir string) (*os.File, error) {
	f, err := os.CreateTemp("", "headrace-*")
	if err != nil {
		var second error
		if f, second = os.CreateTemp(dir, storeFile+".copy-*"); second != nil {
			return nil, fmt.Errorf("no room for a copy (TMPDIR names another place): %w", err)
		}
	}
	return f, os.Remove(f.Name())
}

// copyStore copies the file as one transaction left it. A writer of bbolt
// leaves all pages of the last transaction as they are until the next one is
// done, and that changes a meta page: where both are the same afterwards, no
// page of the copy that they lead to has changed meanwhile.
func copyStore(dst, src *os.File) error {
	for try := range copyTries {
		before, err := metaPages(src)
		if err != nil {
			return err
		}
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := dst.Seek(0, io.SeekStart); err != nil {
			return err
		}
		n, err := io.Copy(dst, src)
		if err != nil {
			return err
		}
		after, err := metaPages(src)
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			return dst.Truncate(n)
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
	return errors.New("it changes all the time: try again when fewer changes are made")
}

// metaPages reads the two pages that say where everything is.
func metaPages(f *os.File) ([]byte, error) {
	both := make([]byte, 2*metaSize)
	if _, err := f.ReadAt(both[:metaSize], 0); err != nil {
		return nil, errors.New("it is no store of headrace")
	}
	size := binary.NativeEndian.Uint32(both[24:28])
	if size < 512 || size > 1<<20 {
		return nil, errors.New("it is no store of headrace")
	}
	if _, err := f.ReadAt(both[metaSize:], int64(size)); err != nil {
		return nil, errors.New("it is no store of headrace")
	}
	return both, nil
}
