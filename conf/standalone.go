package conf

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Standalone is the Source of the standalone Admin API (gateway.md 2.2): a
// document in memory that is replaced as a whole. It begins empty. Each
// replacement is one batch for Watch, and so one change of what is in force.
// Revisions are made from the clock. All methods may be called at the same time.
type Standalone struct {
	log     *slog.Logger
	applied Progress

	mu       sync.Mutex
	state    documentState
	batch    []Change // from before to state
	before   int64    // the revision that batch starts from
	moved    bool     // items of both changed places
	received bool
	more     chan struct{} // closed by the next replacement
}

// NewStandalone makes an empty source. log may be nil.
func NewStandalone(log *slog.Logger) *Standalone {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Standalone{log: log, more: make(chan struct{})}
}

// Load implements Source. The items are in the order of the document.
func (s *Standalone) Load(context.Context) ([]Item, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.list(), s.state.rev, nil
}

// Watch implements Source. Only the latest replacement is kept.
func (s *Standalone) Watch(ctx context.Context, rev int64, apply func([]Change, int64)) error {
	for {
		s.mu.Lock()
		now, batch, more := s.state.rev, s.batch, s.more
		// A batch cannot say that routes only swapped places.
		lost := now != rev && (s.before != rev || s.moved)
		s.mu.Unlock()
		switch {
		case lost:
			return ErrResync
		case now != rev:
			apply(batch, now)
			rev = now
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}

// Replace puts items in the place of all that there were and returns the
// revision of that. An item that did not change keeps its revision, and so
// does one that carries the same modifiedIndex (its Rev, see Element) as the
// one before: then its change is not applied.
func (s *Standalone) Replace(items []Item) (rev int64) {
	entries := make([]entry, len(items))
	for i, it := range items {
		entries[i] = entry{Item: it, modified: it.Rev}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.next(entries, time.Now(), s.log)
	s.before, s.batch, s.moved = s.state.rev, s.state.diff(next), s.state.moved(next)
	s.state, s.received = next, true
	close(s.more)
	s.more = make(chan struct{})
	return next.rev
}

// Received reports whether there was a document.
func (s *Standalone) Received() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Applied says that the configuration in force carries everything up to rev.
// The engine calls it from its apply.
func (s *Standalone) Applied(rev int64) { s.applied.Reach(rev) }

// WaitApplied returns when Applied was called with rev or more.
func (s *Standalone) WaitApplied(ctx context.Context, rev int64) error {
	return s.applied.Wait(ctx, nil, rev)
}
