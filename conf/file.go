package conf

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// File is the Source of a data plane: apisix.yaml or apisix.json. Load reads
// the file; Watch looks at it once a second, and what it cannot use leaves the
// configuration before in force. Revisions are made from the clock, so they
// also grow over a restart. All methods may be called at the same time.
type File struct {
	path   string
	format Format
	log    *slog.Logger
	env    Env
	every  time.Duration

	mu    sync.Mutex
	state documentState
	seen  fileStamp
	sum   uint64
	bad   error // why the bytes of sum cannot be used
	seed  maphash.Seed
}

// fileStamp is what tells that a file changed without reading it.
type fileStamp struct {
	mtime time.Time
	size  int64
	inode uint64
	read  time.Time
}

// NewFile makes the source; nothing is read yet. log may be nil.
func NewFile(path string, format Format, log *slog.Logger, env Env) *File {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &File{path: path, format: format, log: log, env: env, every: time.Second, seed: maphash.MakeSeed()}
}

// Load implements Source. The items are in file order.
func (f *File) Load(context.Context) ([]Item, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, _, err := f.reload(); err != nil {
		return nil, 0, err
	}
	return f.state.list(), f.state.rev, nil
}

// Watch implements Source: one batch for each reading that changed anything.
func (f *File) Watch(ctx context.Context, rev int64, apply func([]Change, int64)) error {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		f.mu.Lock()
		if rev != f.state.rev {
			f.mu.Unlock()
			return ErrResync
		}
		before := f.state
		changes := f.poll()
		moved := before.moved(f.state)
		rev = f.state.rev
		f.mu.Unlock()
		// Changes cannot say that routes only swapped places, and the order
		// breaks ties between them.
		if moved {
			return ErrResync
		}
		if len(changes) > 0 {
			apply(changes, rev)
		}
	}
}

// poll reads the file if it changed and says so in the log, once for each change.
func (f *File) poll() []Change {
	now, err := stampOf(f.path)
	if err != nil {
		if f.seen != (fileStamp{}) {
			f.log.Error("failed to fetch attributes of "+f.path, "error", errors.Unwrap(err))
			f.seen, f.sum, f.bad = fileStamp{}, 0, nil
		}
		return nil
	}
	touched := !now.same(f.seen)
	// A write inside the same tick of the file system's clock leaves the
	// stamp as it is: a young file is read once more.
	if !touched && f.seen.read.Sub(f.seen.mtime) > 2*time.Second {
		return nil
	}
	changes, fresh, err := f.reload()
	switch {
	case !touched && !fresh:
	case err != nil:
		f.log.Error("failed to parse the content of file "+f.path+", the configuration before stays", "error", err.Error())
	default:
		f.log.Warn("config file " + f.path + " reloaded.")
	}
	return changes
}

// reload reads the file and returns what differs from the last good reading,
// and whether the bytes did.
func (f *File) reload() (changes []Change, fresh bool, err error) {
	stamp, err := stampOf(f.path)
	if err != nil {
		return nil, true, fmt.Errorf("cannot read %q: %w", f.path, errors.Unwrap(err))
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, true, fmt.Errorf("cannot read %q: %w", f.path, errors.Unwrap(err))
	}
	stamp.read = time.Now()
	sum := maphash.Bytes(f.seed, text)
	fresh = sum != f.sum || f.seen == (fileStamp{})
	f.seen, f.sum = stamp, sum
	if !fresh && (f.state.items != nil || f.bad != nil) {
		return nil, false, f.bad
	}
	d, err := parseDocument(f.path, f.format, text, f.env)
	f.bad = err
	if err != nil {
		return nil, fresh, err
	}
	for _, p := range d.problems {
		f.report(p)
	}
	next := f.state.next(d.entries, time.Now(), f.log)
	changes = f.state.diff(next)
	f.state = next
	return changes, true, nil
}

func (f *File) report(p Problem) {
	attrs := []any{"file", p.File, "line", p.Line}
	if p.ID != "" {
		attrs = append(attrs, "id", p.ID)
	}
	if p.Warn {
		f.log.Warn(Problem{Field: p.Field, Reason: p.Reason}.Error(), attrs...)
		return
	}
	f.log.Error(fmt.Sprintf("failed to check item data of [%s] err:%s", p.Kind, p.Reason), attrs...)
}

func stampOf(path string) (fileStamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	s := fileStamp{mtime: fi.ModTime(), size: fi.Size()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s, nil
}

func (s fileStamp) same(o fileStamp) bool {
	return s.mtime.Equal(o.mtime) && s.size == o.size && s.inode == o.inode
}
