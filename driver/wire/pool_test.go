package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const ok2 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

func once(t testing.TB, p *Pool) string {
	t.Helper()
	var x Exchange
	do(t, p, &x)
	wantBody(t, &x, "hi")
	x.Done(true)
	return x.Peer
}

func TestPool_ReusesTheLatest(t *testing.T) {
	checkLeaks(t)
	var by [3]atomic.Int32
	u := serve(t, func(c net.Conn, nth int) {
		r := bufio.NewReader(c)
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			by[nth].Add(1)
			io.WriteString(c, ok2)
		}
	})
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	var xs [3]Exchange
	for i := range xs {
		do(t, p, &xs[i])
	}
	if st := stats(cl); st.InUse != 3 {
		t.Fatalf("%+v", st)
	}
	for i := range xs {
		wantBody(t, &xs[i], "hi")
		xs[i].Done(true)
	}
	for range 5 {
		var x Exchange
		do(t, p, &x)
		if !x.Reused || x.Connect != 0 || x.Header <= 0 {
			t.Fatalf("reused %v, %v, %v", x.Reused, x.Connect, x.Header)
		}
		wantBody(t, &x, "hi")
		x.Done(true)
	}
	var most int32
	for i := range by {
		most = max(most, by[i].Load())
	}
	if st := stats(cl); most != 6 || st.Dials != 3 || st.Reused != 5 || st.Idle != 3 || st.InUse != 0 || st.Stale != 0 {
		t.Fatalf("%d, %+v", most, st)
	}
}

func TestPool_NoKeepAlive(t *testing.T) {
	u := serve(t, answering(ok2))
	cl := newClient(t, Options{})
	tg := u.target()
	tg.KeepAlive = false
	p := cl.Pool(tg)
	once(t, p)
	once(t, p)
	if st := stats(cl); st.Dials != 2 || st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
	var x Exchange
	do(t, cl.Pool(u.target()), &x)
	wantBody(t, &x, "hi")
	x.Done(false)
	if st := stats(cl); st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestPool_SharingAndSize(t *testing.T) {
	u := serve(t, answering(ok2))
	cl := newClient(t, Options{})
	tg := u.target()
	tg.PoolSize = 1
	small := cl.Pool(tg)
	fill := func() {
		var xs [4]Exchange
		for i := range xs {
			do(t, small, &xs[i])
		}
		for i := range xs {
			wantBody(t, &xs[i], "hi")
			xs[i].Done(true)
		}
	}
	fill()
	if st := stats(cl); st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
	tg.PoolSize, tg.IdleFor = 3, time.Hour
	cl.Pool(tg)
	fill()
	if st := stats(cl); st.Idle != 3 {
		t.Fatalf("%+v", st)
	}
	tg.SNI = "only.tls.cares"
	if cl.Pool(tg); len(cl.shelves) != 1 {
		t.Fatal("SNI without TLS made a pool of its own")
	}
	tg.TLS = true
	if cl.Pool(tg); len(cl.shelves) != 2 {
		t.Fatal("TLS shares with TCP")
	}
}

// What a stale connection does to a request depends on when and how it died.
func TestPool_StaleConnection(t *testing.T) {
	checkLeaks(t)
	f := func(name string, die func(net.Conn)) {
		t.Helper()
		var requests atomic.Int32
		u := serve(t, func(c net.Conn, nth int) {
			r := bufio.NewReader(c)
			for k := 0; ; k++ {
				if _, err := readRequest(r); err != nil {
					return
				}
				requests.Add(1)
				if nth == 0 && k == 1 {
					die(c)
					return
				}
				io.WriteString(c, ok2)
			}
		})
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		once(t, p)
		var x Exchange
		do(t, p, &x)
		if x.Reused {
			t.Fatalf("%s: Reused", name)
		}
		wantBody(t, &x, "hi")
		x.Done(true)
		if st := stats(cl); st.Stale != 1 || st.Dials != 2 || st.Reused != 1 || requests.Load() != 3 {
			t.Fatalf("%s: %+v, %d requests", name, st, requests.Load())
		}
		cl.Close()
	}
	f("close", func(c net.Conn) { c.Close() })
	f("reset", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() })
}

func TestPool_NotStale(t *testing.T) {
	checkLeaks(t)
	f := func(name string, tm Timeouts, die func(net.Conn), check func(error)) {
		t.Helper()
		u := serve(t, func(c net.Conn, nth int) {
			r := bufio.NewReader(c)
			for k := 0; ; k++ {
				if _, err := readRequest(r); err != nil {
					return
				}
				if nth > 0 || k == 1 {
					die(c)
					return
				}
				io.WriteString(c, ok2)
			}
		})
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		once(t, p)
		var x Exchange
		check(p.Do(&x, tm, []byte(request), []byte("{}")))
		x.Done(true)
		if st := stats(cl); st.Stale != 0 || st.Dials != 1 || st.InUse != 0 || st.Idle != 0 {
			t.Fatalf("%s: %+v", name, st)
		}
	}
	f("timeout", Timeouts{Read: 80 * time.Millisecond}, hold, func(err error) { t.Helper(); wantTimeout(t, err, PhaseHead) })
	f("a byte came", second, func(c net.Conn) { io.WriteString(c, "H") }, func(err error) {
		t.Helper()
		if !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
	})
}

// Exactly once: a fresh connection that dies is the caller's affair.
func TestPool_StaleOnlyOnce(t *testing.T) {
	u := serve(t, func(c net.Conn, nth int) {
		r := bufio.NewReader(c)
		readRequest(r)
		if nth < 2 {
			io.WriteString(c, ok2)
			readRequest(r)
		}
	})
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	var a, b, x Exchange
	do(t, p, &a)
	do(t, p, &b)
	for _, e := range []*Exchange{&a, &b} {
		wantBody(t, e, "hi")
		e.Done(true)
	}
	err := p.Do(&x, second, []byte(request), []byte("{}"))
	if !errors.Is(err, ErrTruncated) {
		t.Fatal(err)
	}
	if st := stats(cl); st.Stale != 1 || st.Dials != 3 || st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestPool_IdleConnectionClosedByPeer(t *testing.T) {
	checkLeaks(t)
	f := func(end func(*net.TCPConn)) {
		t.Helper()
		step := make(chan struct{})
		u := serve(t, func(c net.Conn, nth int) {
			readRequest(bufio.NewReader(c))
			io.WriteString(c, ok2)
			<-step
			end(c.(*net.TCPConn))
			hold(c)
		})
		cl := newClient(t, Options{})
		once(t, cl.Pool(u.target()))
		if st := stats(cl); st.Idle != 1 {
			t.Fatalf("%+v", st)
		}
		close(step)
		eventually(t, "taken out", func() bool { return stats(cl).Idle == 0 })
	}
	f(func(c *net.TCPConn) { c.Close() })
	f(func(c *net.TCPConn) { c.CloseWrite() })
	f(func(c *net.TCPConn) { c.SetLinger(0); c.Close() })
}

// An answer that nobody asked for must not become the answer of a request,
// also where there is no watch.
func TestPool_UnsolicitedBytes(t *testing.T) {
	f := func(send func(net.Conn)) {
		t.Helper()
		sent := make(chan struct{})
		u := serve(t, func(c net.Conn, nth int) {
			r := bufio.NewReader(c)
			readRequest(r)
			io.WriteString(c, ok2)
			if nth == 0 {
				time.Sleep(20 * time.Millisecond)
				send(c)
				close(sent)
			}
			hold(c)
		})
		cl := NewClient(Options{})
		defer cl.Close()
		p := cl.Pool(u.target())
		once(t, p)
		<-sent
		time.Sleep(20 * time.Millisecond)
		once(t, p)
		if st := stats(cl); st.Dials != 2 || st.Reused != 0 || st.Stale != 0 {
			t.Fatalf("%+v", st)
		}
	}
	f(func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") })
	f(func(c net.Conn) { c.(*net.TCPConn).CloseWrite() })
}

func TestClient_IdleExpiry(t *testing.T) {
	checkLeaks(t)
	u := serve(t, answering(ok2))
	cl := newClient(t, Options{})
	cl.tick = 5 * time.Millisecond
	tg := u.target()
	tg.IdleFor = 60 * time.Millisecond
	short := cl.Pool(tg)
	tg.IdleFor = time.Minute
	long := cl.Pool(tg)
	var a, b Exchange
	do(t, long, &a)
	do(t, short, &b)
	for _, x := range []*Exchange{&a, &b} {
		wantBody(t, x, "hi")
		x.Done(true)
	}
	t0 := time.Now()
	eventually(t, "expired", func() bool { return stats(cl).Idle == 1 })
	if time.Since(t0) < 50*time.Millisecond || !cl.tending.Load() {
		t.Fatalf("after %v", time.Since(t0))
	}
	once(t, short) // the other one lives by what its last user says
	eventually(t, "expired", func() bool { return stats(cl).Idle == 0 })
	eventually(t, "the janitor gone", func() bool { return !cl.tending.Load() })
	once(t, short)
	eventually(t, "expired again", func() bool { return stats(cl).Idle == 0 })
}

func TestClient_ForgetsUnusedPools(t *testing.T) {
	u := serve(t, answering(ok2))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	once(t, p)
	cl.unused = 10 * time.Millisecond
	time.Sleep(20 * time.Millisecond)
	cl.Pool(Target{Host: "a", Port: 1})
	if len(cl.shelves) != 2 {
		t.Fatal("a pool with idle connections was forgotten")
	}
	first := p.shelf.Load()
	for _, c := range first.retireNow(nil) {
		c.close()
	}
	first.retired.Store(false)
	time.Sleep(20 * time.Millisecond)
	cl.Pool(Target{Host: "b", Port: 1})
	if len(cl.shelves) != 1 {
		t.Fatalf("%d pools", len(cl.shelves))
	}
	cl.unused = time.Minute
	// Who kept the pool goes on, and shares with who comes later.
	once(t, p)
	once(t, cl.Pool(u.target()))
	if st := p.shelf.Load().stats(); st.Dials != 1 || st.Reused != 1 || st.Idle != 1 || p.shelf.Load() == first {
		t.Fatalf("%+v", st)
	}
}

func TestClient_Close(t *testing.T) {
	checkLeaks(t)
	u := serve(t, answering(ok2))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	once(t, p)
	var x Exchange
	do(t, p, &x)
	once(t, p)
	cl.Close()
	wantBody(t, &x, "hi")
	x.Done(true)
	once(t, p)
	once(t, cl.Pool(u.target()))
	if n := cl.idle.Load(); n != 0 {
		t.Fatalf("%d idle", n)
	}
	cl.Close()
}

func TestPool_ManyGoroutines(t *testing.T) {
	checkLeaks(t)
	u := serve(t, func(c net.Conn, nth int) {
		r := bufio.NewReader(c)
		for k := 0; ; k++ {
			head, err := readRequest(r)
			if err != nil || k == 50 && nth%3 == 0 { // some die with a request in hand
				return
			}
			id, _, _ := strings.Cut(strings.TrimPrefix(head, "POST /"), " ")
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(id), id)
		}
	})
	cl := newClient(t, Options{})
	cl.tick = time.Millisecond
	tg := u.target()
	tg.IdleFor, tg.PoolSize = 2*time.Millisecond, 20
	p := cl.Pool(tg)
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var x Exchange
			for i := range 100 {
				x.Reset()
				id := fmt.Sprintf("%d-%d", g, i)
				if err := p.Do(&x, second, []byte("POST /"+id+" HTTP/1.1\r\nContent-Length: 2\r\n\r\n"), []byte("{}")); err != nil {
					t.Error(err)
					return
				}
				if got, err := readAll(&x); err != nil || got != id {
					t.Errorf("%s: %q, %v", id, got, err)
				}
				x.Done(i%7 != 0)
			}
		}()
	}
	wg.Wait()
	if st := stats(cl); st.InUse != 0 || st.Idle > 20 || st.DialFailures != 0 || st.Dials+st.Reused-st.Stale != 6400 {
		t.Fatalf("%+v", st)
	}
}

func TestPool_DialErrors(t *testing.T) {
	checkLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cl := newClient(t, Options{})
	var x Exchange
	var e *Error
	err = cl.Pool(Target{Host: "127.0.0.1", Port: port}).Do(&x, second, []byte(request))
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &e) || e.Phase != PhaseConnect || strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
	if st := stats(cl); st.Dials != 1 || st.DialFailures != 1 || st.InUse != 0 {
		t.Fatalf("%+v", st)
	}
}
