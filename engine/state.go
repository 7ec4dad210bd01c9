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
		closeAll([]any{h.value})
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

// expire closes and forgets what was not asked for since the given moment and
// is not in use.
func (s *state) expire(since time.Time, inUse func(key string) bool) {
	s.mu.Lock()
	var gone []any
	for key, h := range s.held {
		if h.used.Before(since) && !inUse(key) {
			gone = append(gone, h.value)
			delete(s.held, key)
		}
	}
	s.mu.Unlock()
	closeAll(gone)
}

// close closes everything.
func (s *state) close() { s.expire(time.Now().Add(time.Hour), func(string) bool { return false }) }

// closeAll closes values side by side: each may wait for a slow disk or a log
// server that is down.
func closeAll(values []any) {
	var all sync.WaitGroup
	for _, v := range values {
		if c, ok := v.(io.Closer); ok {
			all.Go(func() { c.Close() })
		}
	}
	all.Wait()
}
