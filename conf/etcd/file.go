package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"
)

// fileFormat is the form of the file; a larger number is a newer headrace's.
const fileFormat = 1

// saveEvery is how long changes gather before they are written.
const saveEvery = time.Second

// saved is the last good configuration on disk: the values as etcd had them,
// so that encrypted fields are encrypted here too.
type saved struct {
	Format   int        `json:"format"`
	Prefix   string     `json:"prefix"`
	Revision int64      `json:"revision"`
	Keys     []savedKey `json:"keys"`
}

type savedKey struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Create int64  `json:"create_revision"`
	Mod    int64  `json:"mod_revision"`
}

// file keeps the state of a store on disk. A nil *file keeps nothing.
type file struct {
	path  string
	store *Store
	dirty chan struct{}
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
	wrong bool // the last write failed
}

func newFile(path string, s *Store) *file {
	f := &file{path: path, store: s, dirty: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go f.run()
	return f
}

// changed asks for the state to be written soon.
func (f *file) changed() {
	if f == nil {
		return
	}
	select {
	case f.dirty <- struct{}{}:
	default:
	}
}

func (f *file) run() {
	defer close(f.done)
	for {
		select {
		case <-f.dirty:
		case <-f.stop:
			select {
			case <-f.dirty:
				f.save()
			default:
			}
			return
		}
		t := time.NewTimer(saveEvery)
		select {
		case <-t.C:
		case <-f.stop:
		}
		t.Stop()
		select {
		case <-f.dirty: // written with the rest
		default:
		}
		f.save()
	}
}

// close writes what was not written yet.
func (f *file) close() {
	f.once.Do(func() { close(f.stop) })
	<-f.done
}

func (f *file) save() {
	s := f.store
	s.mu.Lock()
	st := state{s.state.rev, maps.Clone(s.state.kvs)}
	s.mu.Unlock()
	err := f.write(s.prefix, &st)
	switch {
	case err != nil && !f.wrong:
		s.log.Error("cannot keep the last good configuration: a start without etcd would find an old one, or none", "file", f.path, "err", err)
	case err == nil && f.wrong:
		s.log.Warn("the last good configuration is kept again", "file", f.path)
	}
	f.wrong = err != nil
}

// write puts a whole file in place of the one before: never a half one.
func (f *file) write(prefix string, st *state) error {
	d := saved{Format: fileFormat, Prefix: prefix, Revision: st.rev, Keys: []savedKey{}}
	for _, k := range st.keys() {
		e := st.kvs[k]
		if utf8.Valid(e.value) && utf8.ValidString(k) {
			d.Keys = append(d.Keys, savedKey{k, string(e.value), e.create, e.mod})
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(f.path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path)
}

// read returns what is in the file; nil if there is none, or if it is of
// another prefix.
func (f *file) read(prefix string) (*state, error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := parseSaved(text, prefix)
	if err != nil {
		err = fmt.Errorf("%q %w", f.path, err)
	}
	return st, err
}

func parseSaved(text []byte, prefix string) (*state, error) {
	var d saved
	if err := json.Unmarshal(text, &d); err != nil || d.Format < 1 || d.Revision < 1 {
		return nil, errors.New("is no last good configuration of headrace")
	}
	if d.Format > fileFormat {
		return nil, fmt.Errorf("was written by a newer headrace (format %d, this version knows %d)", d.Format, fileFormat)
	}
	if d.Prefix != prefix {
		return nil, nil
	}
	st := &state{d.Revision, make(map[string]entry, len(d.Keys))}
	for _, k := range d.Keys {
		st.kvs[k.Key] = entry{[]byte(k.Value), k.Mod, k.Create}
	}
	return st, nil
}
