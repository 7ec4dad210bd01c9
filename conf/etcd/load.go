package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/conf"
)

// Load implements conf.Source: the items in the order of their keys. The first
// call asks etcd, Options.StartupRetry times more if need be, and then takes the
// file. Without one it waits for etcd. It fails only if etcd refuses us.
//
// What etcd has is held back if it cannot be what follows the file (hold.go).
func (s *Store) Load(ctx context.Context) ([]conf.Item, int64, error) {
	s.mu.Lock()
	loaded := s.loaded
	s.mu.Unlock()
	if !loaded {
		if err := s.first(ctx); err != nil {
			return nil, 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
	return s.items(&s.state), s.state.rev, nil
}

func (s *Store) first(ctx context.Context) error {
	ctx, cancel := s.join(ctx)
	defer cancel()
	last := s.lastGood()
	wait := backoffTo(longestWait)
	for try := 0; ; try++ {
		dials := s.dials.Load()
		now, err := s.probe(ctx)
		if err == nil && last != nil {
			err = s.judge(ctx, last, now)
		}
		var replaced errReplaced
		switch {
		case err == nil:
			s.reached(nil)
			s.adopt(now, dials)
			return nil
		case errors.As(err, &replaced):
			s.reached(nil)
			s.begin(last)
			s.hold(replaced.reason)
			return nil
		case ctx.Err() != nil:
			return s.ended(ctx)
		}
		mistake := refused(err)
		err = cannot("read", err)
		s.reached(err)
		switch {
		case last == nil && mistake:
			return err
		case try < s.opts.StartupRetry:
		case last != nil:
			s.begin(last)
			s.log.Error("etcd is not there: serving the last good configuration from disk until it is back",
				"file", s.opts.File, "revision", last.rev, "items", len(s.items(last)), "err", err)
			return nil
		case try == s.opts.StartupRetry:
			s.log.Error("etcd is not there and no configuration is on disk: waiting for it", "err", err)
		}
		s.pause(ctx, wait())
	}
}

// probe reads everything, if etcd gives a sign of life: a start must not wait
// long for a host that says nothing.
func (s *Store) probe(ctx context.Context) (*state, error) {
	short, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := s.revision(short); err != nil {
		return nil, err
	}
	return s.read(ctx, 0)
}

// begin puts the state of the file in force.
func (s *Store) begin(last *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.verified = *last, -1
	s.status.FromFile = true
}

// adopt puts a state in force that was read over the connections of dials.
func (s *Store) adopt(now *state, dials int64) {
	s.mu.Lock()
	s.state, s.verified = *now, dials
	s.status.FromFile, s.status.Held = false, ""
	s.mu.Unlock()
	s.file.changed()
}

// reached notes whether etcd answered, and says so when that changes.
func (s *Store) reached(err error) {
	s.mu.Lock()
	was, first := s.status.Reachable, s.status.Err == ""
	s.status.Reachable, s.status.Err = err == nil, ""
	if err != nil {
		s.status.Err = err.Error()
	}
	s.mu.Unlock()
	switch {
	case err == nil && !was && !first:
		s.log.Warn("etcd is back")
	case err != nil && (was || first):
		s.log.Error("etcd cannot be reached", "err", err)
	}
}

// join ends a context with the store.
func (s *Store) join(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// ended is why a context of join has ended.
func (s *Store) ended(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return conf.ErrClosed
	}
	return ctx.Err()
}

// pause waits, but not beyond a new connection: that is what it waits for.
func (s *Store) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-s.dialed:
	}
}

// lastGood returns what the file holds, nil if there is none that can be used.
func (s *Store) lastGood() *state {
	if s.file == nil {
		return nil
	}
	st, err := s.file.read(s.prefix)
	if err != nil {
		s.log.Error(fmt.Sprintf("cannot use the last good configuration: %v", err))
	}
	return st
}
