// Package logfile writes log lines to a file or to standard output without
// ever making a request wait for the disk.
//
// Lines are appended to memory and written by a goroutine of the file's own,
// when a buffer's worth has come together or a while has passed. What does
// not fit because the disk is slow or full is dropped and counted.
package logfile

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// File is an append-only log. All methods may be called concurrently.
type File struct {
	path string
	opts Options

	mu      sync.Mutex
	buf     []byte // lines not yet handed to the writer
	spare   []byte
	closed  bool
	lines   int // in buf
	dropped atomic.Uint64

	wake   chan struct{}
	reopen chan chan error
	done   chan struct{}

	// The writer's alone.
	out     *os.File
	torn    bool // the file ends within a line
	failing bool // the last write failed, which is in the log
}

// Options of a File; zero values mean the defaults given.
type Options struct {
	Buffer int           // write when this many bytes are there: 16 KiB
	Flush  time.Duration // and at least this often: 3 s
	Max    int           // bytes held while the disk is slow: 4 MiB or two buffers
	Log    *slog.Logger  // for failures; nil is silent
}

// Open opens path for appending and creates it with its folder if need be.
// "/dev/stdout" and "/dev/stderr" are the process's own streams.
func Open(path string, o Options) (*File, error) {
	if o.Buffer <= 0 {
		o.Buffer = 16 << 10
	}
	if o.Flush <= 0 {
		o.Flush = 3 * time.Second
	}
	if o.Max <= 0 {
		o.Max = max(4<<20, 2*o.Buffer)
	}
	o.Buffer = min(o.Buffer, o.Max)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	out, err := open(path)
	if err != nil {
		return nil, err
	}
	f := &File{
		path: path, opts: o, out: out,
		wake: make(chan struct{}, 1), reopen: make(chan chan error), done: make(chan struct{}),
	}
	go f.run()
	return f, nil
}

func open(path string) (*os.File, error) {
	switch path {
	case "/dev/stdout":
		return os.Stdout, nil
	case "/dev/stderr":
		return os.Stderr, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot create log folder: %w", err)
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open log file: %w", err)
	}
	return out, nil
}

// Append adds a line, which must end with its newline and is copied. It never
// waits for the disk; the line is dropped when too much is waiting already.
func (f *File) Append(line []byte) {
	f.mu.Lock()
	if f.closed || len(f.buf)+len(line) > f.opts.Max {
		f.mu.Unlock()
		f.dropped.Add(1)
		return
	}
	before := len(f.buf)
	f.buf = append(f.buf, line...)
	f.lines++
	full := before < f.opts.Buffer && len(f.buf) >= f.opts.Buffer
	f.mu.Unlock()
	if full {
		f.nudge()
	}
}

func (f *File) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Dropped returns how many lines were lost since the file was opened.
func (f *File) Dropped() uint64 { return f.dropped.Load() }

// Reopen opens the path anew, for log rotation: what was appended before goes
// to the old file.
func (f *File) Reopen() error {
	answer := make(chan error, 1)
	select {
	case f.reopen <- answer:
		return <-answer
	case <-f.done:
		return os.ErrClosed
	}
}

// closeWait is how long Close waits for a disk that takes nothing; tests are
// in more of a hurry.
var closeWait = 5 * time.Second

// Close writes what is left and closes the file. Later lines are dropped.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.nudge()
	late := time.NewTimer(closeWait)
	defer late.Stop()
	select {
	case <-f.done:
		return nil
	case <-late.C:
		return fmt.Errorf("cannot write the rest of log file %q: it took nothing for %v", f.path, closeWait)
	}
}

func (f *File) run() {
	defer close(f.done)
	tick := time.NewTicker(f.opts.Flush)
	defer tick.Stop()
	for {
		select {
		case <-f.wake:
		case <-tick.C:
		case answer := <-f.reopen:
			f.flush()
			answer <- f.swap()
			continue
		}
		f.flush()
		f.mu.Lock()
		end := f.closed && len(f.buf) == 0
		f.mu.Unlock()
		if end {
			f.shut()
			return
		}
	}
}

// flush writes what is there, in one call, so that lines stay whole.
func (f *File) flush() {
	f.mu.Lock()
	buf, lines := f.buf, f.lines
	f.buf, f.lines = f.spare[:0], 0
	f.spare = nil
	f.mu.Unlock()
	if len(buf) > 0 {
		f.write(buf, lines)
	}
	f.mu.Lock()
	if cap(buf) <= 256<<10 {
		f.spare = buf
	}
	f.mu.Unlock()
}

// write writes whole lines. A failure is logged once and not again before a
// success: the log may be on the same disk.
func (f *File) write(buf []byte, lines int) {
	if f.torn {
		if _, err := f.out.Write([]byte{'\n'}); err == nil {
			f.torn = false
		}
	}
	n, err := f.out.Write(buf)
	if err == nil {
		f.failing = false
		return
	}
	if n > 0 {
		f.torn = buf[n-1] != '\n'
	}
	lost := max(0, lines-bytes.Count(buf[:n], []byte{'\n'}))
	f.dropped.Add(uint64(lost))
	if !f.failing {
		f.failing = true
		f.opts.Log.Error("cannot write log file", "path", f.path, "lines", lost, "err", err)
	}
}

// swap goes over to a new file.
func (f *File) swap() error {
	out, err := open(f.path)
	if err != nil {
		f.opts.Log.Error("cannot reopen log file, going on with the old one", "path", f.path, "err", err)
		return err
	}
	f.shut()
	f.out, f.torn, f.failing = out, false, false
	return nil
}

func (f *File) shut() {
	if f.out != os.Stdout && f.out != os.Stderr {
		f.out.Close()
	}
}

var _ io.Closer = (*File)(nil)
