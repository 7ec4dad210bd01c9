package engine

import (
	"io"
	"sync"
	"time"
)

// state keeps what must outlive compiled routes (counters, log files, health),
// found by identity, so that eviction and reload reset nothing.
type state struct {
	mu   sync.Mutex
	held map[string]*held
}

type held struct {
	value any
	used  time.Time
}

// stateIdle is how long a value that nobody asks for is kept.
const stateIdle = 10 * time.Minute

// get returns the value under key, made if there is none. A failing make
// leaves nothing behind.
func (s *state) get(key string, make func() (any, error)) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.held[key]; h != nil {
		h.used = time.Now()
		return h.value, nil
	}
	v, err := make()
	if err != nil {
		return nil, err
	}
	if s.held == nil {
		s.held = map[string]*held{}
	}
	s.held[key] = &held{v, time.Now()}
	return v, nil
}

// drop closes and forgets one value, if it is there.
func (s *state) drop(key string) {
	s.mu.Lock()
	h := s.held[key]
	delete(s.held, key)
	s.mu.Unlock()
	if h != nil {
		closeAll([]*held{h})
	}
}

// each calls f for every value.
func (s *state) each(f func(value any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		f(h.value)
	}
}

// expire closes and forgets what was not asked for since the given moment, is
// not in use and not busy.
func (s *state) expire(since time.Time, inUse func(key string) bool) {
	s.remove(func(key string, h *held) bool {
		if b, ok := h.value.(interface{ Busy() bool }); ok && b.Busy() {
			return false
		}
		return h.used.Before(since) && !inUse(key)
	})
}

// close closes everything.
func (s *state) close() { s.remove(func(string, *held) bool { return true }) }

func (s *state) remove(which func(key string, h *held) bool) {
	s.mu.Lock()
	var gone []*held
	for key, h := range s.held {
		if which(key, h) {
			gone = append(gone, h)
			delete(s.held, key)
		}
	}
	s.mu.Unlock()
	closeAll(gone)
}

// closeAll closes values side by side: each may wait for a slow disk or a log
// server that is down. Those that others use are closed when the others are.
func closeAll(all []*held) {
	for _, shared := range []bool{false, true} {
		var work sync.WaitGroup
		for _, h := range all {
			_, is := h.value.(interface{ Shared() })
			if c, ok := h.value.(io.Closer); ok && is == shared {
				work.Go(func() { c.Close() })
			}
		}
		work.Wait()
	}
}
