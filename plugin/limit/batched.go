package limit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// batched counts in this process and brings what was counted to a Redis every
// so often, from where it learns what the other gateways have let pass: one
// call for many requests, at the price that all of them together may pass a
// limit by what they do within that time (sync_interval).
//
// A key is asked for when its window begins, and the request waits for that.
// While the Redis cannot be reached each gateway counts alone.
type batched struct {
	*table[tally]
	remote *remoteWindows
	every  time.Duration
	log    *slog.Logger

	flushing sync.Mutex // held while a batch is under way

	mu     sync.Mutex
	dirty  []pending
	timer  *time.Timer // runs when there are dirty keys
	failed bool        // the last call, which is in the log
	down   int64       // until when the Redis is not asked about windows
	closed bool
}

// tally is a window as it was on the Redis, with what was counted here since.
type tally struct {
	window
	delta  int64         // of used: not brought there yet, nor on its way
	queued bool          // among the dirty
	asked  chan struct{} // closed when the answer is there; nil: nobody asks
}

// pending is a counter that has something to bring.
type pending struct {
	key  string
	size time.Duration
}

func newBatched(to *remoteWindows, every time.Duration, room *Room, log *slog.Logger) *batched {
	return &batched{
		table: newTable(room,
			func(t *tally, now int64) bool { return t.until <= now && t.asked == nil && !t.queued },
			func(t *tally) bool { return t.asked != nil || t.queued }),
		remote: to, every: every, log: log,
	}
}

// Take implements Windows. It never fails.
func (b *batched) Take(rules []Rule, need, cost int64) (over int, err error) {
	for i := range rules {
		if rules[i].Window <= b.every {
			return b.remote.Take(rules, need, cost) // it would be over before it is known
		}
	}
	for i := range rules {
		b.begin(&rules[i])
	}
	mask := b.maskOf(rules)
	b.lock(mask)
	defer b.unlock(mask)
	now := b.now()
	kind := b.remote.kind
	over = -1
	for i := range rules {
		r := &rules[i]
		t := b.tally(r, now)
		fit := kind.fits(&t.window, r, need, now)
		kind.tell(&t.window, r, fit, now)
		if !fit {
			return i, nil
		}
	}
	b.charge(rules, cost, now)
	return -1, nil
}

// Add implements Windows.
func (b *batched) Add(rules []Rule, cost int64) {
	mask := b.maskOf(rules)
	b.lock(mask)
	b.charge(rules, cost, b.now())
	b.unlock(mask)
}

func (b *batched) charge(rules []Rule, cost, now int64) {
	for i := range rules {
		r := &rules[i]
		t := b.tally(r, now)
		t.used += cost
		t.delta += cost
		b.remote.kind.tell(&t.window, r, true, now)
		if cost > 0 && !t.queued {
			t.queued = true
			b.queue(pending{string(r.Key), r.Window})
		}
	}
}

// tally returns the counter of a rule as it is now; its shard is locked. A
// window that has begun since begin looked is this gateway's own until the
// next batch.
func (b *batched) tally(r *Rule, now int64) *tally {
	e, s := b.get(r.Key, now)
	if b.remote.kind.roll(&e.v.window, r.Window, now) {
		s.renew(e)
		e.v.delta = 0 // of a window that is over
	}
	return &e.v
}

func (b *batched) maskOf(rules []Rule) (mask uint64) {
	for i := range rules {
		mask |= b.bit(rules[i].Key)
	}
	return mask
}

// begin asks the Redis about a window that begins here, once for all requests
// that want to know.
func (b *batched) begin(r *Rule) {
	bit := b.bit(r.Key)
	b.lock(bit)
	now := b.now()
	e, s := b.get(r.Key, now)
	t := &e.v
	switch {
	case t.asked != nil:
		asked := t.asked
		b.unlock(bit)
		<-asked
		return
	case t.end > now || b.isDown(now):
		b.unlock(bit)
		return
	}
	t.asked = make(chan struct{})
	s.renew(e)
	delta := t.delta // what the last window has left over counts in this one
	t.delta = 0
	b.unlock(bit)

	var answer *goredis.Cmd
	err := b.remote.client.Each(func(ctx context.Context, p goredis.Pipeliner) {
		answer = b.remote.charge(ctx, p, b.remote.keyOf(r.Key), r.Window, delta)
	})
	b.lock(bit)
	now = b.now()
	if err == nil {
		err = t.learn(answer, r.Window, now)
	}
	b.note(err)
	close(t.asked)
	t.asked = nil
	b.unlock(bit)
}

// learn takes over what the Redis has answered to a delta.
func (t *tally) learn(answer *goredis.Cmd, size time.Duration, now int64) error {
	if answer == nil {
		return errAnswer
	}
	got, err := answer.Int64Slice()
	if err != nil {
		return err
	}
	if len(got) != 4 {
		return errAnswer
	}
	w := windowOf(got[1:], now)
	w.until = w.end + int64(size)
	w.used += t.delta
	t.window = w
	return nil
}

// isDown says whether the Redis has failed just now.
func (b *batched) isDown(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now < b.down
}

// note notes how a call has ended, and logs when that changes.
func (b *batched) note(err error) {
	b.mu.Lock()
	changed := b.failed != (err != nil)
	if b.failed = err != nil; b.failed {
		b.down = b.now() + int64(b.every)
	}
	b.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		b.log.Error("cannot bring counts to redis: each gateway counts alone", "counters", b.remote.prefix, "err", err)
	default:
		b.log.Info("counts are brought to redis again", "counters", b.remote.prefix)
	}
}
