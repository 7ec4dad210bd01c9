package engine

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

type closer struct{ closed int }

func (c *closer) Close() error { c.closed++; return nil }

func TestState(t *testing.T) {
	var s state
	c := new(closer)
	made := 0
	get := func(key string) any {
		v, err := s.get(key, func() (any, error) { made++; return c, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if get("a") != get("a") || made != 1 {
		t.Errorf("made %d times", made)
	}
	if _, err := s.get("b", func() (any, error) { return nil, errors.New("no") }); err == nil {
		t.Error("no error")
	}
	used := func(string) bool { return true }
	unused := func(string) bool { return false }
	s.expire(time.Now().Add(time.Hour), used)
	s.expire(time.Now().Add(-time.Hour), unused)
	if c.closed != 0 {
		t.Error("closed while it is in use or fresh")
	}
	s.expire(time.Now().Add(time.Hour), unused)
	if c.closed != 1 || len(s.held) != 0 {
		t.Errorf("closed %d times, %d held", c.closed, len(s.held))
	}
}

// worker is a closer that may be busy.
type worker struct {
	closer
	busy bool
}

func (w *worker) Busy() bool { return w.busy }

func TestStateBusy(t *testing.T) {
	var s state
	w := &worker{busy: true}
	s.get("a", func() (any, error) { return w, nil })
	unused := func(string) bool { return false }
	s.expire(time.Now().Add(time.Hour), unused)
	if w.closed != 0 {
		t.Error("closed while it was busy")
	}
	w.busy = false
	s.expire(time.Now().Add(time.Hour), unused)
	if w.closed != 1 {
		t.Errorf("closed %d times", w.closed)
	}
	w = &worker{busy: true}
	s.get("a", func() (any, error) { return w, nil })
	if s.close(); w.closed != 1 {
		t.Error("the end waits for nobody")
	}
}

// ordered notes when it is closed.
type ordered struct {
	n  int
	to *orderOf
}

type orderOf struct {
	mu  sync.Mutex
	got []int
}

func (o ordered) Close() error {
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	o.to.got = append(o.to.got, o.n)
	return nil
}

type sharedOrdered struct{ ordered }

func (sharedOrdered) Shared() {}

// What others use is closed after them.
func TestStateClose(t *testing.T) {
	var s state
	var to orderOf
	for i := range 20 {
		s.get(fmt.Sprint(i), func() (any, error) {
			if o := (ordered{i, &to}); i%3 != 0 {
				return o, nil
			} else {
				return sharedOrdered{o}, nil
			}
		})
	}
	s.close()
	if len(to.got) != 20 {
		t.Fatalf("%d closed", len(to.got))
	}
	for i, n := range to.got {
		if shared := n%3 == 0; shared != (i >= 13) {
			t.Fatalf("closed in the order %v, want what is shared at the end", to.got)
		}
	}
}

func TestCowMap(t *testing.T) {
	var m cowMap[int]
	e := editMap(&m)
	for i := range 1000 {
		e.set(fmt.Sprint(i), i)
	}
	full := *e.m
	e = editMap(&full)
	e.set("7", -7)
	e.delete("8")
	e.delete("none")
	next := *e.m
	f := func(m *cowMap[int], id string, want int, there bool) {
		t.Helper()
		if v, ok := m.get(id); v != want || ok != there {
			t.Errorf("%s: %d %v", id, v, ok)
		}
	}
	f(&full, "7", 7, true)
	f(&full, "8", 8, true)
	f(&next, "7", -7, true)
	f(&next, "8", 0, false)
	f(&next, "9", 9, true)
	n := 0
	next.each(func(string, int) { n++ })
	if full.len() != 1000 || next.len() != 999 || n != 999 || m.len() != 0 {
		t.Errorf("lengths %d %d %d", full.len(), next.len(), n)
	}
}
