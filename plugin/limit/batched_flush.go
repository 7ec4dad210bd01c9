package limit

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// flushBatch is how many counters are brought to the Redis in one call.
const flushBatch = 256

// queue has a counter brought to the Redis with the next batch.
func (b *batched) queue(p pending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = append(b.dirty, p)
	if b.timer == nil && !b.closed {
		b.timer = time.AfterFunc(b.every, b.flush)
	}
}

// flush brings all that was counted to the Redis. What could not be brought
// stays for the next time.
func (b *batched) flush() {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.mu.Lock()
	all := b.dirty
	b.dirty = nil
	b.mu.Unlock()
	for len(all) > 0 {
		n := min(len(all), flushBatch)
		err := b.bring(all[:n])
		all = all[n:]
		if b.note(err); err != nil {
			break
		}
	}
	b.mu.Lock()
	b.dirty = append(b.dirty, all...)
	b.timer = nil
	if len(b.dirty) > 0 && !b.closed {
		b.timer = time.AfterFunc(b.every, b.flush)
	}
	b.mu.Unlock()
}

func (b *batched) bring(part []pending) (failed error) {
	deltas := make([]int64, len(part))
	answers := make([]*goredis.Cmd, len(part))
	b.remote.client.Each(func(ctx context.Context, p goredis.Pipeliner) {
		for i := range part {
			b.with(part[i].key, func(t *tally, _ int64) { deltas[i], t.delta = t.delta, 0 })
			answers[i] = b.remote.charge(ctx, p, b.remote.keyOf([]byte(part[i].key)), part[i].size, deltas[i])
		}
	}) // each answer has its own error
	for i := range part {
		b.with(part[i].key, func(t *tally, now int64) {
			if err := t.learn(answers[i], part[i].size, now); err != nil {
				t.delta += deltas[i]
				failed = err
			}
			// What was counted meanwhile waits for the next batch, too.
			if t.queued = t.delta != 0; t.queued {
				b.queue(part[i])
			}
		})
	}
	return failed
}

// with calls f with the counter of a key, locked.
func (b *batched) with(key string, f func(t *tally, now int64)) {
	bit := b.bit([]byte(key))
	b.lock(bit)
	defer b.unlock(bit)
	now := b.now()
	e, _ := b.get([]byte(key), now)
	f(&e.v, now)
}

// Busy hides that of the table: what counts is on the Redis.
func (b *batched) Busy() bool { return false }

// Close brings what is left and gives the room back.
func (b *batched) Close() error {
	b.mu.Lock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	b.flush()
	return b.table.Close()
}
