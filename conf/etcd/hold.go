package etcd

import (
	"context"
	"errors"
	"time"

	"headrace/conf"
)

// When etcd was emptied, restored from a backup or exchanged, its contents are
// not what follows the configuration in force. They are held back: what is in
// force goes on serving, an alert repeats, and an operator decides by Accept.
// Only a state that lacks nothing and contradicts nothing ends it by itself.

// remindEvery is how often the log says that changes are held.
const remindEvery = time.Minute

// Status is how a Store is doing.
type Status struct {
	Revision  int64  `json:"revision"` // in force
	Items     int    `json:"items"`
	Reachable bool   `json:"etcd_reachable"`
	Err       string `json:"etcd_error,omitempty"`
	FromFile  bool   `json:"from_snapshot"`  // in force is what the file had, not yet confirmed by etcd
	Held      string `json:"held,omitempty"` // why changes are held; "": they are not
}

// Status returns the present one.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Revision, st.Items = s.state.rev, s.count(&s.state)
	return st
}

// count tells how many items a state has.
func (s *Store) count(st *state) (n int) {
	for k := range st.kvs {
		if _, _, ok := s.parse(k); ok {
			n++
		}
	}
	return n
}

type acceptance struct{ done chan accepted }

type accepted struct {
	rev     int64
	changes int
	err     error
}

// Accept puts what etcd has now in force, although it is not what follows. It
// returns the revision and how many items that changed or deleted. conf.ErrNotHeld
// if nothing is held.
func (s *Store) Accept(ctx context.Context) (rev int64, changes int, err error) {
	if s.held() == "" {
		return 0, 0, conf.ErrNotHeld
	}
	a := acceptance{make(chan accepted, 1)}
	select {
	case s.accepts <- a:
	case <-s.ctx.Done():
		return 0, 0, conf.ErrClosed
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	select {
	case r := <-a.done:
		return r.rev, r.changes, r.err
	case <-s.ctx.Done():
		return 0, 0, conf.ErrClosed
	}
}

func (s *Store) hold(reason string) {
	s.mu.Lock()
	s.status.Held = reason
	s.mu.Unlock()
	s.remind()
}

func (s *Store) held() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Held
}

func (s *Store) remind() {
	st := s.Status()
	s.log.Error("ALERT: changes of the configuration are held until an operator accepts them (PUT /v1/config/accept of the Control API): "+st.Held,
		"revision in force", st.Revision, "items in force", st.Items)
}

// wait keeps what is in force until it may be replaced.
func (s *Store) wait(ctx context.Context, apply apply) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	remind := time.NewTicker(remindEvery)
	defer remind.Stop()
	pulses := s.pulse(ctx)
	var looked int64 // at which revision
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-remind.C:
			s.remind()
		case a := <-s.accepts:
			rev, changes, err := s.replace(ctx, nil, apply)
			if err == nil {
				s.log.Warn("an operator accepted what etcd has", "revision", rev, "changes", changes)
			}
			a.done <- accepted{rev, changes, err}
			if err == nil {
				return errAgain
			}
		case p := <-pulses:
			if p.err != nil {
				s.reached(cannot("read", p.err))
				continue
			}
			s.reached(nil)
			if p.rev < p.ours || p.rev == looked {
				continue
			}
			looked = p.rev
			if rev, changes, err := s.replace(ctx, succeeds, apply); err == nil {
				s.log.Warn("etcd has again what follows the configuration in force: changes are no longer held", "revision", rev, "changes", changes)
				return errAgain
			}
		}
	}
}

var errNoSuccessor = errors.New("it does not follow")

// replace reads what etcd has and puts it in force if may, unless nil, allows it.
func (s *Store) replace(ctx context.Context, may func(ours, theirs *state) bool, apply apply) (rev int64, changes int, err error) {
	dials := s.dials.Load()
	now, err := s.read(ctx, 0)
	if err != nil {
		return 0, 0, cannot("read", err)
	}
	s.mu.Lock()
	ours := s.state
	s.mu.Unlock()
	if may != nil && !may(&ours, now) {
		return 0, 0, errNoSuccessor
	}
	return now.rev, s.enforce(now, dials, apply), nil
}
