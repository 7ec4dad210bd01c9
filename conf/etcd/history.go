package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// errReplaced is found where etcd's history is not the one that our state came
// from: it was emptied, restored, or is another etcd.
type errReplaced struct{ reason string }

func (e errReplaced) Error() string { return e.reason }

// verify asks whether etcd, at the revision of our state, held exactly that.
// The errors are errReplaced, rpctypes.ErrCompacted when etcd no longer knows,
// or why it could not be asked.
func (s *Store) verify(ctx context.Context, ours *state) error {
	theirs, err := s.read(ctx, ours.rev)
	switch {
	case errors.Is(err, rpctypes.ErrFutureRev):
		now, rerr := s.revision(ctx)
		if rerr != nil {
			return rerr
		}
		return backwards(ours.rev, now)
	case err != nil:
		return err
	case !same(ours.kvs, theirs.kvs):
		return errReplaced{fmt.Sprintf("etcd has another history: at revision %d it held %d keys that are not the %d keys known of it",
			ours.rev, len(theirs.kvs), len(ours.kvs))}
	}
	return nil
}

func backwards(ours, theirs int64) error {
	return errReplaced{fmt.Sprintf("the revision of etcd went back from %d to %d", ours, theirs)}
}

// judge says whether a state that was read anew may follow ours, where no watch
// has seen the way from one to the other. Any may where there is nothing to
// lose. The errors are as for verify.
func (s *Store) judge(ctx context.Context, ours, theirs *state) error {
	had, kept := 0, 0
	for k := range ours.kvs {
		if _, _, ok := s.parse(k); ok {
			had++
			if _, there := theirs.kvs[k]; there {
				kept++
			}
		}
	}
	if had == 0 {
		return nil
	}
	if err := contradicts(ours, theirs); err != nil || kept > 0 {
		return err
	}
	// All that was there is gone. With its history etcd can show that somebody
	// deleted it.
	err := s.verify(ctx, ours)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return errReplaced{fmt.Sprintf("all %d items are gone from etcd, and no deletion was seen", had)}
	}
	return err
}

// contradicts finds what cannot be if theirs is a later state of the same etcd:
// what was written up to our revision must be known to us.
func contradicts(ours, theirs *state) error {
	if theirs.rev < ours.rev {
		return backwards(ours.rev, theirs.rev)
	}
	for k, e := range theirs.kvs {
		known, ok := ours.kvs[k]
		switch {
		case e.mod <= ours.rev && (!ok || known.mod != e.mod || known.create != e.create),
			e.create <= ours.rev && (!ok || known.create != e.create):
			return errReplaced{fmt.Sprintf("etcd has another history: it holds keys of before revision %d that were not there", ours.rev)}
		}
	}
	return nil
}

// succeeds tells whether theirs is beyond doubt a later state: nothing is
// missing and nothing contradicts.
func succeeds(ours, theirs *state) bool {
	for k := range ours.kvs {
		if _, ok := theirs.kvs[k]; !ok {
			return false
		}
	}
	return contradicts(ours, theirs) == nil
}
