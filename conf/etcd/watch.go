package etcd

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"headrace/conf"
)

// apply is what Watch hands changes to.
type apply func(changes []conf.Change, rev int64)

// errAgain asks for another look at etcd's history, at once.
var errAgain = errors.New("the connection to etcd was made anew")

// Watch implements conf.Source. It survives whatever becomes of etcd: a
// connection that breaks, history that is compacted, a cluster that was emptied.
func (s *Store) Watch(ctx context.Context, rev int64, apply func([]conf.Change, int64)) error {
	if rev != s.rev() {
		return conf.ErrResync
	}
	ctx, cancel := s.join(ctx)
	defer cancel()
	wait := backoffTo(s.opts.ResyncDelay)
	for {
		began := time.Now()
		err := s.follow(ctx, apply)
		if ctx.Err() != nil {
			return s.ended(ctx)
		}
		if errors.Is(err, errAgain) {
			continue
		}
		s.reached(cannot("watch", err))
		if time.Since(began) > 2*s.opts.ResyncDelay {
			wait = backoffTo(s.opts.ResyncDelay)
		}
		s.pause(ctx, wait())
	}
}

// backoffTo returns waits that grow up to most, with jitter: gateways that lost
// the same etcd do not come back in step.
func backoffTo(most time.Duration) func() time.Duration {
	d := min(100*time.Millisecond, most)
	return func() time.Duration {
		w := d/2 + rand.N(d/2+1)
		d = min(d*2, most)
		return w
	}
}

func (s *Store) rev() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.rev
}

// follow makes sure that etcd's history is ours, and watches until that is to
// be done again.
func (s *Store) follow(ctx context.Context, apply apply) error {
	if s.held() != "" {
		return s.wait(ctx, apply)
	}
	dials := s.dials.Load()
	s.mu.Lock()
	ours, known := s.state, s.verified == dials
	s.mu.Unlock()
	if !known {
		err := s.verify(ctx, &ours)
		var replaced errReplaced
		switch {
		case errors.Is(err, rpctypes.ErrCompacted), errors.As(err, &replaced) && s.count(&ours) == 0:
			return s.resync(ctx, apply)
		case errors.As(err, &replaced):
			s.reached(nil)
			s.hold(replaced.reason)
			return errAgain
		case err != nil:
			return err
		}
		s.mu.Lock()
		s.verified, s.status.FromFile = dials, false
		s.mu.Unlock()
		s.reached(nil)
	}
	return s.stream(ctx, dials, apply)
}

// stream watches over the connections of dials.
func (s *Store) stream(ctx context.Context, dials int64, apply apply) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := c.Watch(clientv3.WithRequireLeader(ctx), s.prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(s.rev()+1), clientv3.WithProgressNotify())
	pulses := s.pulse(ctx)
	quiet := time.Now() // since when nothing came that should have
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case resp, ok := <-watch:
			// The client mends its connection and goes on, whatever is behind the
			// new one. What came over it counts only once that is known.
			switch {
			case s.dials.Load() != dials:
				return errAgain
			case !ok:
				return errors.New("the watch has ended")
			case resp.CompactRevision > 0:
				return s.resync(ctx, apply)
			case resp.Err() != nil:
				return resp.Err()
			}
			s.take(&resp, apply)
			quiet = time.Now()
		case p := <-pulses:
			if s.dials.Load() != dials {
				return errAgain
			}
			if p.err == nil {
				p.err = s.compare(&p, &quiet)
			}
			if p.err != nil {
				return p.err
			}
			s.reached(nil)
		case a := <-s.accepts:
			a.done <- accepted{err: conf.ErrNotHeld}
		}
	}
}

// compare looks at a sign of life.
func (s *Store) compare(p *pulse, quiet *time.Time) error {
	switch {
	case p.rev < p.ours:
		s.mu.Lock()
		s.verified = -1
		s.mu.Unlock()
		return errAgain
	case p.rev == s.rev():
		*quiet = time.Now()
	case time.Since(*quiet) > s.opts.WatchTimeout:
		// Revisions of other keys do not come here; a change of ours that got
		// lost on its way would not either.
		return errAgain
	}
	return nil
}

// pulse is one sign of life: the revision of etcd, and ours before it was asked for.
type pulse struct {
	ours, rev int64
	err       error
}

// pulse asks for the revision again and again until ctx ends.
func (s *Store) pulse(ctx context.Context) <-chan pulse {
	out := make(chan pulse)
	go func() {
		tick := time.NewTicker(pulseEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-s.dialed:
			}
			p := pulse{ours: s.rev()}
			p.rev, p.err = s.revision(ctx)
			select {
			case <-ctx.Done():
				return
			case out <- p:
			}
		}
	}()
	return out
}

// take applies what a watch brought.
func (s *Store) take(resp *clientv3.WatchResponse, apply apply) {
	var changes []conf.Change
	s.mu.Lock()
	if resp.IsProgressNotify() {
		s.state.rev = max(s.state.rev, resp.Header.Revision)
	}
	for _, ev := range resp.Events {
		k := string(ev.Kv.Key)
		old := s.state.kvs[k]
		if ev.Type == mvccpb.DELETE {
			delete(s.state.kvs, k)
			if ch, ok := s.deletion(k, old, ev.Kv.ModRevision); ok {
				changes = append(changes, ch)
			}
		} else {
			e := entry{ev.Kv.Value, ev.Kv.ModRevision, ev.Kv.CreateRevision}
			s.state.kvs[k] = e
			if it, ok := s.item(k, e); ok {
				changes = append(changes, conf.Change{Item: it})
			}
		}
		s.state.rev = max(s.state.rev, ev.Kv.ModRevision)
	}
	rev := s.state.rev
	s.mu.Unlock()
	s.file.changed()
	if len(changes) > 0 {
		apply(changes, rev)
	}
}

// resync reads everything, because no watch can show what happened since our
// revision, and applies what differs.
func (s *Store) resync(ctx context.Context, apply apply) error {
	dials := s.dials.Load()
	now, err := s.read(ctx, 0)
	if err != nil {
		return err
	}
	s.mu.Lock()
	ours := s.state
	s.mu.Unlock()
	err = s.judge(ctx, &ours, now)
	var replaced errReplaced
	if errors.As(err, &replaced) {
		s.reached(nil)
		s.hold(replaced.reason)
		return errAgain
	}
	if err != nil {
		return err
	}
	s.resyncs.Add(1)
	changes := s.enforce(now, dials, apply)
	s.log.Warn("etcd has no history since the last change: everything was read again", "from", ours.rev, "to", now.rev, "changes", changes)
	return errAgain
}

// enforce puts a state in force that was read over the connections of dials,
// and returns how many items that changed.
func (s *Store) enforce(now *state, dials int64, apply apply) int {
	s.mu.Lock()
	ours := s.state
	s.mu.Unlock()
	changes := s.diff(&ours, now)
	if now.rev < ours.rev {
		s.applied.Reset()
	}
	s.adopt(now, dials)
	if len(changes) > 0 {
		apply(changes, now.rev)
	} else {
		s.applied.Reach(now.rev)
	}
	return len(changes)
}
