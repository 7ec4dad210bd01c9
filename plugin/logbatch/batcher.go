// Package logbatch gathers the entries of loggers and has them delivered in
// batches, as APISIX's batch processor does (gateway.md 8.7), without ever
// making a request wait.
//
// A batch goes out when it is full, when no entry has come for a while, or
// when its first entry is old enough. Entries that cannot be delivered are
// dropped and counted, as are those that come while too many wait already. A
// batcher that has nothing to do holds no goroutine and no timer.
package logbatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Sender takes batches to where they are kept.
type Sender interface {
	// Send delivers a batch and returns soon after ctx ends. After an error the
	// batch may be sent again. payload is not used any more after success.
	// Errors show no credential. Send is called from several goroutines.
	Send(ctx context.Context, payload []byte) error
	// Close is called once, when nothing is sent any more or what is sent has
	// to be given up.
	Close()
}

// Batcher is the batches of one configuration. All methods may be called
// concurrently.
type Batcher struct {
	o     Options
	to    Sender
	tally *tally
	room  *room
	log   *slog.Logger
	limit atomic.Int64 // entries that may wait

	full, trying, failing hush

	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	cur     *batch // nil: no entry waits for others
	queue   []*batch
	spare   *batch
	timer   *time.Timer
	armed   bool
	pending int64 // entries that were taken and are neither delivered nor lost
	senders int
	closed  bool
	done    chan struct{} // closed when it is closed and nothing is sent any more
}

// batch is some entries as they are sent.
type batch struct {
	buf         []byte
	n           int64 // entries
	size        int64 // taken from the room
	first, last time.Time
}

func newBatcher(o Options, to Sender, t *tally, r *room, log *slog.Logger) *Batcher {
	b := &Batcher{o: o, to: to, tally: t, room: r, log: log, done: make(chan struct{})}
	b.limit.Store(maxPending)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Add takes an entry, which is copied. It does not wait; an entry that there
// is no room for is dropped.
func (b *Batcher) Add(entry []byte) {
	size := int64(len(entry) + len(b.o.Between))
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.tally.dropped.Add(1)
		return
	}
	if b.pending >= b.limit.Load() || !b.room.take(size) {
		b.mu.Unlock()
		b.drop()
		return
	}
	now := time.Now()
	if b.cur != nil && len(b.cur.buf)+int(size)+len(b.o.Close) > b.o.MaxBytes {
		b.flush()
	}
	c := b.cur
	if c == nil {
		c = b.begin(now)
	} else {
		c.buf = append(c.buf, b.o.Between...)
	}
	c.buf = append(c.buf, entry...)
	c.n++
	c.size += size
	c.last = now
	b.pending++
	b.tally.pending.Add(1)
	if c.n >= int64(b.o.MaxSize) {
		b.flush()
	} else if !b.armed {
		b.arm(b.due(c).Sub(now))
	}
	b.mu.Unlock()
}

// drop counts an entry that there was no room for.
func (b *Batcher) drop() {
	b.tally.dropped.Add(1)
	if n, ok := b.full.say(1); ok {
		b.log.Error("max pending entries limit exceeded. discarding entry.", "discarded_entries", n, "max_pending_entries", b.limit.Load())
	}
}

// begin makes the batch that entries go to. b.mu is held, here and below.
func (b *Batcher) begin(now time.Time) *batch {
	c := b.spare
	if b.spare = nil; c == nil {
		c = new(batch)
	}
	*c = batch{buf: append(c.buf[:0], b.o.Open...), first: now}
	b.cur = c
	return c
}

// due is when a batch goes out though it is not full.
func (b *Batcher) due(c *batch) time.Time {
	t := c.last.Add(Seconds(b.o.Inactive))
	if oldest := c.first.Add(Seconds(b.o.Duration)); oldest.Before(t) {
		return oldest
	}
	return t
}

func (b *Batcher) arm(d time.Duration) {
	b.armed = true
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.tick)
	} else {
		b.timer.Reset(d)
	}
}

// tick runs when a batch may be due. Entries do not move the timer, which
// would cost more than it saves; it moves itself.
func (b *Batcher) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = false
	if b.cur == nil || b.closed {
		return
	}
	if wait := time.Until(b.due(b.cur)); wait > 0 {
		b.arm(wait)
		return
	}
	b.flush()
}

// flush hands the batch at hand to a sender.
func (b *Batcher) flush() {
	c := b.cur
	if b.cur = nil; c == nil {
		return
	}
	c.buf = append(c.buf, b.o.Close...)
	b.queue = append(b.queue, c)
	if b.senders < b.o.Senders {
		b.senders++
		go b.send()
	}
}

// send delivers batches until there are none left.
func (b *Batcher) send() {
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.senders--
			b.settle()
			b.mu.Unlock()
			return
		}
		c := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		b.mu.Unlock()

		err := b.deliver(c)
		b.room.give(c.size)
		b.tally.pending.Add(-c.n)
		if err == nil {
			b.tally.delivered.Add(uint64(c.n))
		} else {
			b.tally.failed.Add(uint64(c.n))
		}
		b.mu.Lock()
		b.pending -= c.n
		if err == nil && cap(c.buf) <= keepBuffer {
			b.spare = c
		}
		b.mu.Unlock()
	}
}

// keepBuffer is the longest buffer that is kept for the next batch.
const keepBuffer = 256 << 10

// deliver sends a batch, again and again if it has to be.
func (b *Batcher) deliver(c *batch) error {
	for try := 0; ; try++ {
		err := b.attempt(c.buf)
		if err == nil {
			return nil
		}
		last := try >= b.o.Retries || b.ctx.Err() != nil
		b.complain(c, err, last)
		if last {
			return err
		}
		pause := time.NewTimer(Seconds(b.o.RetryDelay))
		select {
		case <-pause.C:
		case <-b.ctx.Done():
			pause.Stop()
		}
	}
}

// attempt sends once. A sender that panics must not take the gateway down.
func (b *Batcher) attempt(payload []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("BUG: panic while sending log entries: %v", r)
		}
	}()
	if err := b.ctx.Err(); err != nil {
		return err
	}
	return b.to.Send(b.ctx, payload)
}

// complain says that a batch was not taken; last that it is lost. The words are
// those of APISIX's batch processor.
func (b *Batcher) complain(c *batch, err error, last bool) {
	if !last {
		if n, ok := b.trying.say(c.n); ok {
			b.log.Warn("Batch Processor["+b.o.Name+"] failed to process entries, trying again", "entries", n, "err", err)
		}
	} else if n, ok := b.failing.say(c.n); ok {
		b.log.Error(fmt.Sprintf("Batch Processor[%s] failed to process entries and exceeded the max_retry_count[%d] dropping the entries", b.o.Name, b.o.Retries),
			"entries", n, "err", err)
	}
}

// settle ends the batcher's life when it is closed and has sent everything.
// b.mu is held.
func (b *Batcher) settle() {
	if b.closed && b.senders == 0 {
		close(b.done)
	}
}

// closeWait is how long Close lets a slow log server take what is left, and
// giveUp how long it waits for senders that do not heed that it is over.
var (
	closeWait = 5 * time.Second
	giveUp    = time.Second
)

// Close delivers what is left and ends the batcher. What cannot be delivered
// in five seconds is lost.
func (b *Batcher) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.flush()
	b.settle()
	b.mu.Unlock()

	late := !b.wait(closeWait)
	b.cancel()
	if late && !b.wait(giveUp) {
		b.to.Close()
		b.wait(giveUp)
	} else {
		b.to.Close()
	}
	if late {
		return errors.New("the log server did not take the rest in time")
	}
	return nil
}

// wait waits for the senders to end, but not for ever.
func (b *Batcher) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-b.done:
		return true
	case <-t.C:
		return false
	}
}
