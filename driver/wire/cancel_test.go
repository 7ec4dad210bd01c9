package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// phase is an upstream that makes an exchange hang in one phase.
type phase struct {
	name, want string
	opts       Options
	target     Target
	body       []byte
	closed     chan time.Time // when the upstream saw the end; nil: it never sees the connection
}

func phases(t *testing.T) []phase {
	var all []phase
	add := func(name, want string, tls bool, body []byte, script func(net.Conn)) *phase {
		closed := make(chan time.Time, 1)
		u := serve(t, func(c net.Conn, _ int) {
			script(c)
			hold(c)
			closed <- time.Now()
		})
		tg := u.target()
		tg.TLS = tls
		all = append(all, phase{name: name, want: want, target: tg, body: body, closed: closed})
		return &all[len(all)-1]
	}

	// A name server that never answers.
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	all = append(all, phase{name: "dns", want: PhaseDNS, target: Target{Host: "upstream.test", Port: 80},
		opts: Options{Dial: (&net.Dialer{Resolver: r}).DialContext}})
	all = append(all, phase{name: "dial function", want: PhaseConnect, target: Target{Host: "upstream.test", Port: 80},
		opts: Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}})
	if port, ok := blackHole(t); ok {
		all = append(all, phase{name: "connect", want: PhaseConnect, target: Target{Host: "127.0.0.1", Port: port}})
	}
	add("tls", PhaseTLS, true, nil, func(net.Conn) {})
	add("send", PhaseSend, false, make([]byte, 32<<20), func(c net.Conn) { time.Sleep(300 * time.Millisecond) })
	add("head", PhaseHead, false, nil, func(c net.Conn) { readRequest(bufio.NewReader(c)) })
	add("half a head", PhaseHead, false, nil, func(c net.Conn) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nA")
	})
	add("body", PhaseBody, false, nil, func(c net.Conn) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
	})
	return all
}

// run is Do and reading to the end.
func (ph *phase) run(p *Pool, x *Exchange, tm Timeouts) error {
	head := "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
	if err := p.Do(x, tm, []byte(head), ph.body); err != nil {
		return err
	}
	defer x.Done(true)
	_, err := readAll(x)
	return err
}

func TestExchange_CancelInEveryPhase(t *testing.T) {
	for _, ph := range phases(t) {
		t.Run(strings.ReplaceAll(ph.name, " ", "_"), func(t *testing.T) {
			checkLeaks(t)
			cl := newClient(t, ph.opts)
			p := cl.Pool(ph.target)
			var x Exchange
			var at atomic.Int64
			timer := time.AfterFunc(100*time.Millisecond, func() {
				at.Store(mono())
				x.Cancel()
			})
			defer timer.Stop()
			err := ph.run(p, &x, Timeouts{10 * time.Second, 10 * time.Second, 10 * time.Second})
			took := time.Duration(mono() - at.Load())
			var e *Error
			if !errors.Is(err, ErrCanceled) || !errors.As(err, &e) || e.Phase != ph.want || e.Timeout() {
				t.Fatalf("got %v, want phase %s", err, ph.want)
			}
			if at.Load() == 0 || took > 100*time.Millisecond {
				t.Fatalf("took %v", took)
			}
			if ph.closed != nil {
				seen := (<-ph.closed).Sub(epoch) - time.Duration(at.Load())
				if ph.name == "send" {
					seen -= 300 * time.Millisecond // it looks no earlier
				}
				if seen > 100*time.Millisecond {
					t.Fatalf("the upstream was closed after %v", seen)
				}
			}
			// Sticky, until Reset.
			if err := ph.run(p, &x, second); !errors.Is(err, ErrCanceled) {
				t.Fatalf("again: %v", err)
			}
			if st := stats(cl); st.InUse != 0 || st.Idle != 0 || st.Stale != 0 || st.DialFailures != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

func TestExchange_TimeoutInEveryPhase(t *testing.T) {
	for _, ph := range phases(t) {
		t.Run(strings.ReplaceAll(ph.name, " ", "_"), func(t *testing.T) {
			checkLeaks(t)
			cl := newClient(t, ph.opts)
			var x Exchange
			d := 120 * time.Millisecond
			long := 10 * time.Second
			tm := Timeouts{long, long, long}
			switch ph.want {
			case PhaseSend:
				tm.Send = d
			case PhaseHead, PhaseBody:
				tm.Read = d
			default:
				tm.Connect = d
			}
			t0 := time.Now()
			wantTimeout(t, ph.run(cl.Pool(ph.target), &x, tm), ph.want)
			if took := time.Since(t0); took < d || took > 2*time.Second {
				t.Fatalf("took %v", took)
			}
			if st := stats(cl); st.InUse != 0 || st.Idle != 0 || st.Stale != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// The connection goes even when nobody is reading.
func TestExchange_CancelWhileNothingRuns(t *testing.T) {
	checkLeaks(t)
	closed := make(chan struct{})
	u := serve(t, func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		hold(c)
		close(closed)
	})
	cl := newClient(t, Options{})
	var x Exchange
	do(t, cl.Pool(u.target()), &x)
	x.Cancel()
	select {
	case <-closed:
	case <-time.After(time.Second):
		t.Fatal("still open")
	}
	for range 2 {
		if n, err := x.Read(make([]byte, 9)); n != 0 || !errors.Is(err, ErrCanceled) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if err := x.Wait(); !errors.Is(err, ErrCanceled) {
		t.Fatal(err)
	}
	x.Done(true)
	if st := stats(cl); st.Idle != 0 || st.InUse != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestExchange_LateCancelHitsNobody(t *testing.T) {
	u := serve(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	var x Exchange
	use := x.Use()
	do(t, p, &x)
	wantBody(t, &x, "hi")
	x.Done(true)
	x.Cancel() // over
	do(t, p, &x)
	wantBody(t, &x, "hi")
	x.Done(true)
	x.Reset()
	x.CancelUse(use) // an earlier use
	do(t, p, &x)
	wantBody(t, &x, "hi")
	x.Done(true)
	if st := stats(cl); st.Dials != 1 || st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
	x.Reset()
	x.CancelUse(x.Use()) // before Do
	if err := p.Do(&x, second, []byte(request)); !errors.Is(err, ErrCanceled) {
		t.Fatal(err)
	}
	if st := stats(cl); st.Idle != 0 && st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
}

// Cancel at any moment, from elsewhere: an exchange either succeeds or is
// cancelled, and nothing is left behind.
func TestExchange_CancelRace(t *testing.T) {
	checkLeaks(t)
	u := serve(t, answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var x Exchange
			for i := range 200 {
				x.Reset()
				use := x.Use()
				timer := time.AfterFunc(time.Duration((g*200+i)%150)*time.Microsecond, func() {
					if i%2 == 0 {
						x.CancelUse(use)
					} else {
						x.Cancel()
					}
				})
				err := p.Do(&x, second, []byte(request), []byte("{}"))
				if err == nil {
					_, err = readAll(&x)
				}
				if err != nil && !errors.Is(err, ErrCanceled) {
					t.Error(err)
				}
				x.Done(true)
				timer.Stop()
			}
		}()
	}
	wg.Wait()
	if st := stats(cl); st.InUse != 0 || st.Stale != 0 {
		t.Fatalf("%+v", st)
	}
}
