//go:build !linux || headrace_peek

package wire

import (
	"net"
	"sync"
	"time"
)

const watchEvery = 200 * time.Millisecond

// Watch tells when peers of connections go away, without reading from them.
// Where there is no epoll, one goroutine looks at every connection five times
// a second; a peer that closes behind bytes that nobody has read yet is noticed
// when they have been read. All methods may be called from many goroutines.
type Watch struct {
	mu    sync.Mutex
	table table
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once
}

// NewWatch starts a watch. Close ends it.
func NewWatch() (*Watch, error) {
	w := &Watch{quit: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w, nil
}

// Add registers a connection's descriptor. Remove must be called before the
// descriptor is closed.
func (w *Watch) Add(fd int, to Watched) (Token, error) {
	select {
	case <-w.quit:
		return Token{}, net.ErrClosed
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.table.add(fd, to), nil
}

// Remove ends a registration; a zero or old Token is ignored. It returns true
// if PeerClosed was not called and will not be. After false it was called or
// is running right now: what it points to must not be given to another use yet.
func (w *Watch) Remove(k Token) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, told, ok := w.table.remove(k)
	return ok && !told
}

// Close ends the watch; no PeerClosed is called after it returns. It must not
// be called from PeerClosed.
func (w *Watch) Close() {
	w.once.Do(func() { close(w.quit) })
	<-w.ended
}

func (w *Watch) run() {
	defer close(w.ended)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
		}
		for i := uint32(0); ; i++ {
			to, more := w.look(i)
			if !more {
				break
			}
			if to != nil {
				to.PeerClosed()
			}
		}
	}
}

// look peeks at one place's connection, under the lock: after Remove the
// descriptor may be somebody else's.
func (w *Watch) look(i uint32) (to Watched, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(i) >= len(w.table.slots) {
		return nil, false
	}
	if s := &w.table.slots[i]; s.live && s.w != nil && peek(int(s.fd)) == peekClosed {
		to = w.table.take(Token{i, s.gen})
	}
	return to, true
}
