package logbatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a log server.
type sink struct {
	mu    sync.Mutex
	got   []string
	at    []time.Duration // since start
	start time.Time
	fails int           // so many more times
	slow  time.Duration // each time
	hang  bool          // until ctx ends
	deaf  chan struct{} // closed by Close: before that not even ctx helps
	most  atomic.Int64  // side by side
	now   atomic.Int64
	ended atomic.Int64
}

func (s *sink) Send(ctx context.Context, payload []byte) error {
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	if s.slow > 0 {
		select {
		case <-time.After(s.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.deaf != nil {
		<-s.deaf
		return errors.New("given up")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return errors.New("no")
	}
	s.got = append(s.got, string(payload))
	s.at = append(s.at, time.Since(s.start))
	return nil
}

func (s *sink) Close() {
	s.ended.Add(1)
	if s.deaf != nil {
		close(s.deaf)
	}
}

func (s *sink) payloads() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, " ")
}

type fixture struct {
	*Batcher
	*sink
	text bytes.Buffer
	lost *tally
}

// batches makes a batcher of JSON arrays with APISIX's defaults but what change says.
func batches(change func(*Options, *sink)) *fixture {
	o := Options{Policy: Policy{Name: "test", MaxSize: 3, Inactive: 5, Duration: 60, RetryDelay: 1},
		Open: "[", Between: ",", Close: "]", MaxBytes: 1 << 20, Senders: 4}
	f := &fixture{sink: &sink{start: time.Now()}, lost: new(tally)}
	f.lost.name.Store(&o.Name)
	if change != nil {
		change(&o, f.sink)
	}
	f.Batcher = newBatcher(o, f.sink, f.lost, newRoom(roomBytes), slog.New(slog.NewTextHandler(&f.text, nil)))
	return f
}

func (f *fixture) add(entries ...string) {
	for _, e := range entries {
		f.Add([]byte(e))
	}
}

// counts are delivered, failed, dropped and pending entries.
func (f *fixture) counts() string {
	return fmt.Sprint(f.lost.delivered.Load(), f.lost.failed.Load(), f.lost.dropped.Load(), f.lost.pending.Load())
}

// run has its own clock. The bubble ends only when no goroutine is left in it: a
// batcher without entries holds none.
func run(t *testing.T, test func(t *testing.T)) { synctest.Test(t, test) }

func TestFull(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(nil)
		f.add("1", "2", "3", "4")
		synctest.Wait()
		if got := f.payloads(); got != "[1,2,3]" || f.at[0] != 0 || f.counts() != "3 0 0 1" {
			t.Errorf("%s %v %s", got, f.at, f.counts())
		}
		f.Batcher.Close()
		if got := f.payloads(); got != "[1,2,3] [4]" || f.counts() != "4 0 0 0" || f.ended.Load() != 1 {
			t.Errorf("%s %s", got, f.counts())
		}
		f.add("5")
		f.Batcher.Close()
		if got := f.payloads(); got != "[1,2,3] [4]" || f.counts() != "4 0 1 0" || f.ended.Load() != 1 {
			t.Errorf("%s %s", got, f.counts())
		}
	})
}

// A batch that is not full goes out when nothing has come for a while, or when
// its first entry is old.
func TestDue(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, _ *sink) { o.MaxSize = 1000 })
		defer f.Batcher.Close()
		f.add("1")
		time.Sleep(4 * time.Second)
		f.add("2")
		time.Sleep(7 * time.Second)
		if got := f.payloads(); got != "[1,2]" || f.at[0] != 9*time.Second {
			t.Errorf("%s %v", got, f.at)
		}
		for range 20 {
			f.add("x")
			time.Sleep(4100 * time.Millisecond)
		}
		synctest.Wait()
		if n := strings.Count(f.got[1], "x"); len(f.got) != 2 || n != 15 || f.at[1] != 71*time.Second {
			t.Errorf("%s %v", f.payloads(), f.at)
		}
	})
}

func TestSingle(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, s *sink) {
			o.MaxSize, o.Open, o.Between, o.Close, o.Senders = 1, "", "", "", 2
			s.slow = time.Second
		})
		f.add("1", "2", "3", "4")
		time.Sleep(2500 * time.Millisecond)
		if got := f.payloads(); len(got) != 7 || f.most.Load() != 2 || f.counts() != "4 0 0 0" {
			t.Errorf("%s, %d at a time, %s", got, f.most.Load(), f.counts())
		}
		f.Batcher.Close()
	})
}

func TestMaxBytes(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, _ *sink) { o.MaxBytes, o.MaxSize, o.Senders = 10, 1000, 1 })
		f.add("1234", "567", "89", "longer than a batch", "a")
		f.Batcher.Close()
		if got := f.payloads(); got != "[1234,567] [89] [longer than a batch] [a]" {
			t.Error(got)
		}
	})
}

func TestRetry(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, s *sink) { o.Retries, s.fails = 2, 2 })
		f.add("1", "2", "3")
		time.Sleep(10 * time.Second)
		if got := f.payloads(); got != "[1,2,3]" || f.at[0] != 2*time.Second || f.counts() != "3 0 0 0" {
			t.Errorf("%s %v %s", got, f.at, f.counts())
		}
		text := f.text.String()
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, "Batch Processor[test] failed to process entries, trying again") || !strings.Contains(text, "err=no") {
			t.Error(text)
		}
		f.fails = 3
		f.add("4", "5", "6", "7")
		time.Sleep(10 * time.Second)
		if got := f.payloads(); got != "[1,2,3] [7]" || f.counts() != "4 3 0 0" {
			t.Errorf("%s %s", got, f.counts())
		}
		if text := f.text.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "exceeded the max_retry_count[2] dropping the entries") || !strings.Contains(text, "entries=3") {
			t.Error(text)
		}
		f.Batcher.Close()
	})
}

// A log server that is down is said now and then, not with every batch.
func TestHush(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, s *sink) { o.MaxSize, s.fails = 1, 1<<30 })
		for range 1000 {
			f.add("x")
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		f.add("x")
		synctest.Wait()
		text := f.text.String()
		if n := strings.Count(text, "\n"); n != 3 || !strings.Contains(text, "entries=500") || f.counts() != "0 1001 0 0" {
			t.Errorf("%d lines, %s\n%s", n, f.counts(), text)
		}
		f.Batcher.Close()
	})
}

func TestPending(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(func(o *Options, s *sink) { o.MaxSize, o.Senders, s.slow = 2, 1, time.Minute })
		f.limit.Store(5)
		f.add("1", "2", "3", "4", "5", "6", "7")
		synctest.Wait()
		if f.counts() != "0 0 2 5" || !strings.Contains(f.text.String(), "max pending entries limit exceeded. discarding entry.") {
			t.Errorf("%s %s", f.counts(), &f.text)
		}
		time.Sleep(time.Minute + time.Second) // the first two are gone
		f.add("8", "9", "a")
		synctest.Wait()
		if f.counts() != "2 0 3 5" {
			t.Error(f.counts())
		}
		time.Sleep(5 * time.Minute)
		if got := f.payloads(); got != "[1,2] [3,4] [5] [8,9]" && got != "[1,2] [3,4] [5,8] [9]" {
			t.Error(got)
		}
		f.Batcher.Close()
	})
}

// All batchers together hold no more than the room that they share.
func TestRoom(t *testing.T) {
	run(t, func(t *testing.T) {
		f, g := batches(func(_ *Options, s *sink) { s.slow = time.Hour }), batches(nil)
		f.room, g.room = newRoom(100), nil
		g.room = f.room
		f.add(strings.Repeat("x", 60))
		g.add(strings.Repeat("y", 60), strings.Repeat("z", 30))
		if f.counts() != "0 0 0 1" || g.counts() != "0 0 1 1" {
			t.Errorf("%s, %s", f.counts(), g.counts())
		}
		time.Sleep(2 * time.Hour)
		if n := f.room.free.Load(); n != 100 || f.counts() != "1 0 0 0" {
			t.Errorf("%d bytes are free, %s", n, f.counts())
		}
		f.Batcher.Close()
		g.Batcher.Close()
	})
}

func TestCloseBound(t *testing.T) {
	for name, change := range map[string]func(*Options, *sink){
		"hangs":       func(_ *Options, s *sink) { s.hang = true },
		"fails":       func(o *Options, s *sink) { s.fails, o.Retries, o.RetryDelay = 1<<30, 1<<30, 1 },
		"is deaf":     func(_ *Options, s *sink) { s.deaf = make(chan struct{}) },
		"is one slow": func(o *Options, s *sink) { s.slow, o.Senders = 4*time.Second, 1 },
	} {
		run(t, func(t *testing.T) {
			f := batches(change)
			f.add("1", "2", "3", "4", "5", "6", "7")
			start := time.Now()
			err := f.Batcher.Close()
			if d := time.Since(start); err == nil || d > 9*time.Second || d < 5*time.Second {
				t.Errorf("a server that %s: %v after %v", name, err, d)
			}
			synctest.Wait()
			if f.lost.pending.Load() != 0 || f.lost.delivered.Load()+f.lost.failed.Load() != 7 || f.ended.Load() != 1 || f.room.free.Load() != roomBytes {
				t.Errorf("a server that %s: %s, closed %d times", name, f.counts(), f.ended.Load())
			}
		})
	}
}

func TestPanic(t *testing.T) {
	run(t, func(t *testing.T) {
		f := batches(nil)
		f.to = bomb{f.sink}
		f.add("1", "2", "3")
		synctest.Wait()
		if f.counts() != "0 3 0 0" || !strings.Contains(f.text.String(), "BUG: panic while sending log entries: boom") {
			t.Errorf("%s %s", f.counts(), &f.text)
		}
		f.Batcher.Close()
	})
}

type bomb struct{ *sink }

func (bomb) Send(context.Context, []byte) error { panic("boom") }

// Many requests add at once while batches fail, go out and are closed: every
// entry is accounted for.
func TestConcurrent(t *testing.T) {
	f := batches(func(o *Options, s *sink) { o.MaxSize, o.RetryDelay, s.fails = 7, 0, 20 })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				f.add("entry")
			}
		})
	}
	time.Sleep(time.Millisecond)
	all.Wait()
	f.Batcher.Close()
	if sum := f.lost.delivered.Load() + f.lost.failed.Load() + f.lost.dropped.Load(); sum != 16000 || f.lost.pending.Load() != 0 || f.room.free.Load() != roomBytes {
		t.Errorf("%s", f.counts())
	}
	n := 0
	for _, p := range f.got {
		n += strings.Count(p, "entry")
	}
	if uint64(n) != f.lost.delivered.Load() {
		t.Errorf("%d entries arrived, %d are counted", n, f.lost.delivered.Load())
	}
}

func TestBudgetAdd(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	f := batches(func(o *Options, _ *sink) { o.MaxSize = 1 << 30 })
	f.limit.Store(1 << 30)
	defer f.Batcher.Close()
	entry := bytes.Repeat([]byte("x"), 100)
	f.Add(entry)
	if n := testing.AllocsPerRun(1000, func() { f.Add(entry) }); n >= 1 {
		t.Errorf("%v allocations for an entry", n)
	}
}
