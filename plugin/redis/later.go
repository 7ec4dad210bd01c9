package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Command puts one command into a pipeline.
type Command struct {
	Add func(ctx context.Context, p goredis.Pipeliner)
	// Until is when the command stops being of use: before it, one that could
	// not be sent is tried again. The zero value means once. A command that
	// may be tried again must do no harm when it is carried out twice.
	Until time.Time
}

// Later carries commands out that no request waits for: it returns at once.
// They are sent in order, many at a time, by a goroutine that lives as long as
// there are any. Beyond maxLater waiting ones the oldest are dropped.
func (r *Client) Later(c Command) { r.later.push(c) }

const (
	maxLater   = 1 << 16
	laterBatch = 256
	laterPause = time.Second // between two attempts
)

type later struct {
	client *Client

	mu      sync.Mutex
	waiting []Command
	busy    bool // a goroutine runs
	closed  bool
	idle    chan struct{} // closed by the goroutine when it ends
	stop    chan struct{} // ends its pauses
	lost    int           // dropped since that was said last
}

func (l *later) push(c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if len(l.waiting) >= maxLater {
		l.waiting = l.waiting[1:]
		l.lost++
	}
	l.waiting = append(l.waiting, c)
	if !l.busy {
		l.busy, l.idle, l.stop = true, make(chan struct{}), make(chan struct{})
		go l.run()
	}
}

func (l *later) run() {
	defer close(l.idle)
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		err := l.send(batch)
		if err == nil {
			continue
		}
		l.putBack(batch)
		l.client.log.Error("cannot write to redis", "err", err)
		select {
		case <-l.stop:
		case <-time.After(laterPause):
		}
	}
}

// take returns the next commands; nil ends the goroutine.
func (l *later) take() []Command {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		l.client.log.Error("writes to redis are dropped: too many are waiting", "count", l.lost)
		l.lost = 0
	}
	n := min(len(l.waiting), laterBatch)
	if n == 0 {
		l.busy, l.waiting = false, nil
		return nil
	}
	batch := append([]Command(nil), l.waiting[:n]...)
	l.waiting = l.waiting[n:]
	return batch
}

func (l *later) send(batch []Command) error {
	return l.client.Each(func(ctx context.Context, p goredis.Pipeliner) {
		for i := range batch {
			batch[i].Add(ctx, p)
		}
	})
}

// putBack has what may be tried again wait once more.
func (l *later) putBack(batch []Command) {
	now := time.Now()
	again := batch[:0]
	for _, c := range batch {
		if c.Until.After(now) {
			again = append(again, c)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.waiting = append(again, l.waiting...)
	}
}

// close waits until all is sent, or could not be.
func (l *later) close() {
	l.mu.Lock()
	busy := l.busy && !l.closed
	if l.closed = true; busy {
		close(l.stop)
	}
	l.mu.Unlock()
	if !busy {
		return
	}
	select {
	case <-l.idle:
	case <-time.After(l.client.timeout):
	}
}
