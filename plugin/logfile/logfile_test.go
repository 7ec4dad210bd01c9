package logfile

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wait polls until ok holds.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// start opens a log and sees to it that it leaves no goroutine behind.
func start(t *testing.T, path string, o Options) *File {
	t.Helper()
	before := runtime.NumGoroutine()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		wait(t, "the writer to end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return f
}

const never = time.Hour

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "a.log")
	f := start(t, path, Options{Flush: never})
	line := []byte("one\n")
	f.Append(line)
	copy(line, "xxx") // the caller's bytes are its own again
	f.Append([]byte("two\n"))
	if got := contents(t, path); got != "" {
		t.Errorf("written at once: %q", got)
	}
	f.Close()
	if got := contents(t, path); got != "one\ntwo\n" || f.Dropped() != 0 {
		t.Errorf("%q, %d dropped", got, f.Dropped())
	}

	// What is there stays.
	f = start(t, path, Options{Flush: never})
	f.Append([]byte("three\n"))
	f.Close()
	if got := contents(t, path); got != "one\ntwo\nthree\n" {
		t.Errorf("%q", got)
	}
	f.Append([]byte("late\n"))
	if f.Dropped() != 1 || f.Close() != nil || f.Reopen() != os.ErrClosed {
		t.Errorf("closed: %d dropped", f.Dropped())
	}
}

func TestFlush(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := start(t, path, Options{Flush: time.Millisecond})
	for i := range 3 {
		f.Append([]byte("x\n"))
		wait(t, "the interval", func() bool { return contents(t, path) == strings.Repeat("x\n", i+1) })
	}
}

func TestBuffer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := start(t, path, Options{Flush: never, Buffer: 10})
	want := ""
	for range 5 {
		f.Append([]byte("12345678\n"))
		if got := contents(t, path); got != want || len(f.wake) > 0 {
			t.Fatalf("written below the threshold: %q", got)
		}
		f.Append([]byte("\n"))
		want += "12345678\n\n"
		wait(t, "a full buffer to be written", func() bool { return contents(t, path) == want })
	}
	// A buffer that can never be full would wait for the interval.
	g := start(t, path, Options{Flush: never, Buffer: 1000, Max: 4})
	g.Append([]byte("123\n"))
	wait(t, "a buffer above Max to be written", func() bool { return contents(t, path) == want+"123\n" })
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.log.1")
	f := start(t, path, Options{Flush: never})
	f.Append([]byte("before\n"))
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	f.Append([]byte("after\n"))

	// A path that cannot be opened leaves the file as it is.
	f.path = filepath.Join(old, "no folder")
	if err := f.Reopen(); err == nil {
		t.Error("no error for a path below a file")
	}
	f.Append([]byte("still\n"))
	f.Close()
	if a, b := contents(t, old), contents(t, path); a != "before\n" || b != "after\nstill\n" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestOpenFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for _, p := range []string{filepath.Join(path, "x"), t.TempDir(), ""} {
		if _, err := Open(p, Options{}); err == nil {
			t.Errorf("%q was opened", p)
		}
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more", n-before)
	}
}

// TestSlowDisk writes into a pipe that nobody reads for a while.
func TestSlowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // its own writer: does not wait for one
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	const most = 300 << 10
	f := start(t, path, Options{Buffer: 1, Max: most})
	line := []byte(strings.Repeat("x", 999) + "\n")
	sent := 0
	began := time.Now()
	for f.Dropped() < 1000 && sent < 100_000 {
		f.Append(line)
		sent++
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("appending took %v", d)
	}
	f.mu.Lock()
	held := cap(f.buf)
	f.mu.Unlock()
	if f.Dropped() < 1000 || held > 2*most {
		t.Errorf("%d dropped, %d bytes held", f.Dropped(), held)
	}

	// The reader comes: all that was not dropped arrives, in whole lines.
	kept := sent - int(f.Dropped())
	all := make([]byte, kept*len(line))
	reader.SetReadDeadline(time.Now().Add(10 * time.Second))
	for n := 0; n < len(all); {
		m, err := reader.Read(all[n:])
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", n, len(all), err)
		}
		n += m
	}
	if !bytes.Equal(all, bytes.Repeat(line, kept)) {
		t.Error("the lines are not whole")
	}
	f.Append(line)
	f.Close()
	if got := int(f.Dropped()); got != sent-kept {
		t.Errorf("%d dropped, then %d", sent-kept, got)
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	var log syncBuffer
	f := start(t, "/dev/full", Options{Buffer: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 5 {
		f.Append([]byte("x\n"))
		wait(t, "the line to be counted", func() bool { return f.Dropped() == uint64(i+1) })
	}
	f.Close()
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "/dev/full") {
		t.Errorf("the log has %q", got)
	}
}

// TestTornLine fills a file up to a limit of its size within a line.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	f := &File{path: path, out: out, opts: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	whole := f.out
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A pipe that has room for a part only, and a deadline, is a disk that
	// is full in the middle of a line.
	w.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	f.out = w
	f.write(bytes.Repeat([]byte("0123456789012345678901234567890123456789012345678\n"), 4000), 4000)
	w.Close()
	got := int(f.Dropped())
	if got == 0 || got >= 4000 || !f.torn || !f.failing {
		t.Fatalf("%d dropped, torn %v", got, f.torn)
	}
	f.out = whole
	f.write([]byte("next\n"), 1)
	f.write([]byte("more\n"), 1)
	if s := contents(t, path); s != "\nnext\nmore\n" || f.torn || f.failing || int(f.Dropped()) != got {
		t.Errorf("%q, torn %v", s, f.torn)
	}
	whole.Close()
}

func TestStandardStreams(t *testing.T) {
	for _, path := range []string{"/dev/stdout", "/dev/stderr"} {
		f := start(t, path, Options{})
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
		f.Close()
	}
	for _, out := range []*os.File{os.Stdout, os.Stderr} {
		if _, err := out.Stat(); err != nil {
			t.Errorf("%s: %v", out.Name(), err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	f := start(t, path, Options{Flush: time.Millisecond, Buffer: 256, Max: 64 << 20})
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				f.Append(fmt.Appendf(nil, "%d-%d-%s\n", w, i, strings.Repeat("x", i%300)))
			}
		})
	}
	wg.Go(func() {
		for i := range 10 {
			os.Rename(path, fmt.Sprintf("%s.%d", path, i))
			if err := f.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	f.Close()
	seen := map[string]bool{}
	files, _ := filepath.Glob(path + "*")
	for _, name := range files {
		for line := range strings.Lines(contents(t, name)) {
			seen[line] = true
		}
	}
	for w := range writers {
		for i := range each {
			if line := fmt.Sprintf("%d-%d-%s\n", w, i, strings.Repeat("x", i%300)); !seen[line] {
				t.Fatalf("line %d of writer %d is not whole", i, w)
			}
		}
	}
	if len(seen) != writers*each || f.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", len(seen), f.Dropped())
	}
}

func TestCloseConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := start(t, path, Options{Flush: never})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			f.Append([]byte("x\n"))
			f.Close()
			// Whoever returns from Close finds the file complete.
			if got := len(contents(t, path)) + 2*int(f.Dropped()); got < 2 {
				t.Errorf("%d bytes", got)
			}
		})
	}
	wg.Wait()
}

// TestCloseStuck holds that a disk that takes nothing cannot keep the program
// from ending.
func TestCloseStuck(t *testing.T) {
	defer func(d time.Duration) { closeWait = d }(closeWait)
	closeWait = 20 * time.Millisecond
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, filepath.Join(t.TempDir(), "a.log"), Options{Flush: never})
	f.out.Close()
	f.out = w // the writer looks at it when it is woken
	f.Append(bytes.Repeat([]byte("x\n"), 1<<20))
	if err := f.Close(); err == nil || !strings.Contains(err.Error(), "took nothing") {
		t.Errorf("Close: %v", err)
	}
	r.Close() // lets the write fail
	<-f.done
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
