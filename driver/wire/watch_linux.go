//go:build linux && !headrace_peek

package wire

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch tells when peers of connections go away, without reading from them:
// one epoll set and one goroutine for the process, no wake-up for data, no
// goroutine and no allocation per connection or event. All methods may be
// called from many goroutines.
type Watch struct {
	// ctl is held shared around epoll_ctl so that Close cannot give the
	// set's descriptor away under it.
	ctl    sync.RWMutex
	closed bool
	epfd   int
	file   *os.File
	raw    syscall.RawConn
	ended  chan struct{}

	mu     sync.Mutex
	table  table
	events [128]unix.EpollEvent // the goroutine's
}

// NewWatch starts a watch. Close ends it.
func NewWatch() (*Watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// An epoll set can be waited for like a socket: non-blocking, the
	// runtime's poller takes it, and the watch needs no thread of its own.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &Watch{epfd: fd, file: os.NewFile(uintptr(fd), "watch"), ended: make(chan struct{})}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

// Add registers a connection's descriptor. PeerClosed may be called before Add
// returns. Remove must be called before the descriptor is closed.
func (w *Watch) Add(fd int, to Watched) (Token, error) {
	w.ctl.RLock()
	defer w.ctl.RUnlock()
	if w.closed {
		return Token{}, net.ErrClosed
	}
	w.mu.Lock()
	k := w.table.add(fd, to)
	w.mu.Unlock()
	// Edges only, and none for data: a connection wakes the watch once.
	ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(k.slot), Pad: int32(k.gen)}
	if err := unix.EpollCtl(w.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		w.mu.Lock()
		w.table.remove(k)
		w.mu.Unlock()
		return Token{}, os.NewSyscallError("epoll_ctl", err)
	}
	return k, nil
}

// Remove ends a registration; a zero or old Token is ignored. It returns true
// if PeerClosed was not called and will not be. After false it was called or
// is running right now: what it points to must not be given to another use yet.
func (w *Watch) Remove(k Token) bool {
	w.ctl.RLock()
	defer w.ctl.RUnlock()
	w.mu.Lock()
	fd, told, ok := w.table.remove(k)
	w.mu.Unlock()
	if ok && !w.closed {
		var ev unix.EpollEvent
		unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, fd, &ev) // fails only if the caller broke the contract
	}
	return ok && !told
}

// Close ends the watch; no PeerClosed is called after it returns. It must not
// be called from PeerClosed.
func (w *Watch) Close() {
	w.ctl.Lock()
	first := !w.closed
	w.closed = true
	w.ctl.Unlock()
	// Not under the lock: closing waits for the goroutine, which may be in a
	// PeerClosed that calls Remove.
	if first {
		w.file.Close()
	}
	<-w.ended
}

func (w *Watch) run() {
	defer close(w.ended)
	// One call for the watch's whole life: the poller's edge of the set is
	// waited for each time drain has found it empty.
	err := w.raw.Read(w.drain)
	w.ctl.RLock()
	defer w.ctl.RUnlock()
	if !w.closed {
		panic("BUG: watch: " + err.Error())
	}
}

// drain tells everybody whose peer has gone; it never asks to stop.
func (w *Watch) drain(fd uintptr) bool {
	for {
		n, err := unix.EpollWait(int(fd), w.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		for _, ev := range w.events[:n] {
			w.mu.Lock()
			to := w.table.take(Token{uint32(ev.Fd), uint32(ev.Pad)})
			w.mu.Unlock()
			if to != nil {
				to.PeerClosed()
			}
		}
	}
}
