package wire

import (
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type counter struct{ n atomic.Int32 }

func (c *counter) PeerClosed() { c.n.Add(1) }

// pair is the two ends of a TCP connection.
func pair(t testing.TB) (mine, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func mustFD(t testing.TB, c net.Conn) int {
	t.Helper()
	fd, ok := FD(c)
	if !ok {
		t.Fatal("no descriptor")
	}
	return fd
}

func TestWatch_PeerLeaves(t *testing.T) {
	checkLeaks(t)
	w := newWatch(t)
	f := func(leave func(*net.TCPConn)) {
		t.Helper()
		mine, theirs := pair(t)
		var c counter
		k, err := w.Add(mustFD(t, mine), &c)
		if err != nil {
			t.Fatal(err)
		}
		// Data is no reason, read or not.
		io.WriteString(theirs, "data")
		io.ReadFull(mine, make([]byte, 4))
		time.Sleep(10 * time.Millisecond)
		if c.n.Load() != 0 {
			t.Fatal("called for data")
		}
		leave(theirs)
		eventually(t, "told", func() bool { return c.n.Load() == 1 })
		theirs.Close()
		time.Sleep(10 * time.Millisecond)
		if c.n.Load() != 1 {
			t.Fatal("told twice")
		}
		for range 2 {
			if w.Remove(k) {
				t.Fatal("Remove says that it was not called")
			}
		}
		mine.Close()
	}
	f(func(c *net.TCPConn) { c.Close() })
	f(func(c *net.TCPConn) { c.CloseWrite() })
	f(func(c *net.TCPConn) { c.SetLinger(0); c.Close() })
}

func TestWatch_AlreadyGone(t *testing.T) {
	w := newWatch(t)
	mine, theirs := pair(t)
	theirs.Close()
	time.Sleep(10 * time.Millisecond)
	var c counter
	if _, err := w.Add(mustFD(t, mine), &c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "told", func() bool { return c.n.Load() == 1 })
}

func TestWatch_Remove(t *testing.T) {
	w := newWatch(t)
	mine, theirs := pair(t)
	var a, b counter
	k, err := w.Add(mustFD(t, mine), &a)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Remove(k) || w.Remove(k) || w.Remove(Token{}) || w.Remove(Token{99, 1}) {
		t.Fatal("Remove")
	}
	// The same descriptor and place again: the old token must not reach it.
	k2, err := w.Add(mustFD(t, mine), &b)
	if err != nil {
		t.Fatal(err)
	}
	if w.Remove(k) {
		t.Fatal("an old token removed a new registration")
	}
	theirs.Close()
	eventually(t, "told", func() bool { return b.n.Load() == 1 })
	if w.Remove(k2) || a.n.Load() != 0 {
		t.Fatal("stale event")
	}
	w.Close()
	w.Close()
	if _, err := w.Add(mustFD(t, mine), &a); err == nil {
		t.Fatal("Add after Close")
	}
	w.Remove(k2)
}

// remover removes itself and adds another, inside PeerClosed.
type remover struct {
	w    *Watch
	fd   int
	mu   sync.Mutex
	k    Token
	next counter
	done chan struct{}
}

func (r *remover) PeerClosed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.w.Remove(r.k)
	r.w.Add(r.fd, &r.next)
	close(r.done)
}

func TestWatch_CallsFromPeerClosed(t *testing.T) {
	w := newWatch(t)
	mine, theirs := pair(t)
	r := &remover{w: w, fd: mustFD(t, mine), done: make(chan struct{})}
	r.mu.Lock()
	k, err := w.Add(r.fd, r)
	if err != nil {
		t.Fatal(err)
	}
	r.k = k
	r.mu.Unlock()
	theirs.Close()
	<-r.done
	eventually(t, "the new one told", func() bool { return r.next.n.Load() == 1 })
}

// Close waits for the goroutine while PeerClosed calls Remove: no deadlock.
func TestWatch_CloseInTheMiddle(t *testing.T) {
	checkLeaks(t)
	for range 50 {
		w, err := NewWatch()
		if err != nil {
			t.Fatal(err)
		}
		mine, theirs := pair(t)
		r := &remover{w: w, fd: mustFD(t, mine), done: make(chan struct{})}
		r.mu.Lock()
		r.k, _ = w.Add(r.fd, r)
		r.mu.Unlock()
		go theirs.Close()
		runtime.Gosched()
		w.Close()
		mine.Close()
	}
}

// Many connections come and go at once; each that leaves is told exactly once,
// nobody else is.
func TestWatch_Churn(t *testing.T) {
	checkLeaks(t)
	w := newWatch(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 64)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	rounds := 100
	if runtime.GOOS != "linux" || testing.Short() {
		rounds = 10
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range rounds {
				a, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				// Any accepted end will do: the two need not belong together.
				b := <-accepted
				var ca, cb counter
				fda, _ := FD(a)
				fdb, _ := FD(b)
				ka, err1 := w.Add(fda, &ca)
				kb, err2 := w.Add(fdb, &cb)
				if err1 != nil || err2 != nil {
					t.Error(err1, err2)
				}
				if rand.IntN(2) == 0 {
					runtime.Gosched()
				}
				for _, e := range []struct {
					k Token
					c *counter
					n net.Conn
				}{{ka, &ca, a}, {kb, &cb, b}} {
					quiet := w.Remove(e.k)
					e.n.Close()
					if quiet && e.c.n.Load() != 0 || e.c.n.Load() > 1 {
						t.Errorf("quiet %v, told %d times", quiet, e.c.n.Load())
					}
				}
			}
		}()
	}
	wg.Wait()
	if w.table.n != 0 {
		t.Fatalf("%d registrations left", w.table.n)
	}
}

// A thousand clients leave in the same moment.
func TestWatch_Crowd(t *testing.T) {
	const n = 400
	w := newWatch(t)
	cs := make([]counter, n)
	var theirs []net.Conn
	for i := range cs {
		a, b := pair(t)
		if _, err := w.Add(mustFD(t, a), &cs[i]); err != nil {
			t.Fatal(err)
		}
		theirs = append(theirs, b)
	}
	for _, c := range theirs {
		c.Close()
	}
	for i := range cs {
		eventually(t, "told", func() bool { return cs[i].n.Load() == 1 })
	}
}
