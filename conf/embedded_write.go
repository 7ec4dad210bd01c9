package conf

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

func (e *Embedded) write(do func(t *storeTx) error) error {
	w := &write{do: do, result: make(chan error, 1)}
	select {
	case e.writes <- w:
	case <-e.done:
		return ErrClosed
	}
	select {
	case err := <-w.result:
		return err
	case <-e.done:
	}
	// The writer may have answered right before it ended.
	select {
	case err := <-w.result:
		return err
	default:
		return ErrClosed
	}
}

// run is the only writer. While one transaction is being synced the next
// writes gather in the channel: 1,000 at once take a few syncs.
func (e *Embedded) run(next time.Time) {
	defer close(e.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilDeadline(next))
		var group []*write
		select {
		case <-e.closing:
			return
		case w := <-e.writes:
			group = append(group, w)
		case <-timer.C:
		}
	gather:
		for len(group) > 0 && len(group) < groupLimit {
			select {
			case w := <-e.writes:
				group = append(group, w)
			default:
				break gather
			}
		}
		next = e.commit(group, next)
	}
}

// commit writes the group and what is due in one transaction, publishes the
// changes and answers.
func (e *Embedded) commit(group []*write, next time.Time) time.Time {
	now := time.Now()
	if len(group) == 0 && (next.IsZero() || now.Before(next)) {
		return next
	}
	var changes []Change
	due := next
	err := e.db.Update(func(tx *bbolt.Tx) error {
		t := begin(tx)
		if err := t.expire(now); err != nil {
			return err
		}
		for _, w := range group {
			if w.err = w.do(t); t.broken != nil {
				return t.broken
			}
		}
		changes, due = t.changes, t.nextDeadline()
		return t.finish()
	})
	if err != nil {
		err = fmt.Errorf("cannot write to the store: %w", err)
		changes, due = nil, next
		// A full disk must not make the timer spin.
		if !due.IsZero() {
			due = now.Add(time.Second)
		}
	}
	e.history.add(changes)
	for _, w := range group {
		if err != nil {
			w.err = err
		}
		w.result <- w.err
	}
	return due
}

// untilDeadline waits a minute at most: the wall clock may be set.
func untilDeadline(next time.Time) time.Duration {
	if next.IsZero() {
		return time.Hour
	}
	return min(max(0, time.Until(next)), time.Minute)
}

func u64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func number(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}
