package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const (
	upgradeRequest = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	switching      = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
)

func pipeDial(c net.Conn) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return c, nil }
}

// echo upgrades, says first with the head and then what it hears.
func echo(first string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		r := bufio.NewReader(c)
		if _, err := readRequest(r); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 103 E\r\n\r\n"+switching+first)
		// Not io.Copy: the pipes that it splices through look like leaks.
		for b := make([]byte, 4096); ; {
			n, err := r.Read(b)
			if err != nil {
				return
			}
			c.Write(b[:n])
		}
	}
}

func TestTunnel_Echo(t *testing.T) {
	checkLeaks(t)
	for _, overTLS := range []bool{false, true} {
		for _, first := range []string{"", "welcome"} {
			var u *upstream
			if overTLS {
				u, _ = serveTLS(t, echo(first))
			} else {
				u = serve(t, echo(first))
			}
			tg := u.target()
			tg.TLS = overTLS
			w := newWatch(t)
			cl := newClient(t, Options{Watch: w})
			p := cl.Pool(tg)
			var x Exchange
			x.Upgrade = true
			tm := Timeouts{Connect: 5 * time.Second, Send: time.Second, Read: 100 * time.Millisecond}
			if err := p.Do(&x, tm, []byte(upgradeRequest)); err != nil {
				t.Fatal(err)
			}
			if x.Head.Status != 101 || !x.Head.Close || string(x.Head.Get("Upgrade")) != "echo" {
				t.Fatalf("%+v", x.Head)
			}
			if n, err := x.Read(make([]byte, 9)); n != 0 || err != io.EOF || x.Buffered() != 0 {
				t.Fatalf("a 101 has no body: %d, %v", n, err)
			}
			c, over := x.Tunnel()
			if c == nil {
				t.Fatal("no connection")
			}
			if _, ok := c.(*tls.Conn); ok != overTLS {
				t.Fatalf("%T", c)
			}
			if again, _ := x.Tunnel(); again != nil {
				t.Fatal("handed over twice")
			}
			// The exchange serves others; nothing of it reaches the tunnel.
			x.Cancel()
			x.Interrupt()
			x.Done(true)
			x.Reset()
			if x.Upgrade {
				t.Fatal("Reset keeps Upgrade")
			}
			w.mu.Lock()
			watched := w.table.n
			w.mu.Unlock()
			if st := stats(cl); st.InUse != 0 || st.Idle != 0 || watched != 0 {
				t.Fatalf("%+v, %d watched", st, watched)
			}
			cl.Close()
			time.Sleep(150 * time.Millisecond) // longer than Read's deadline
			got := append([]byte(nil), over...)
			for len(got) < len(first) {
				b := make([]byte, 100)
				n, err := c.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b[:n]...)
			}
			if string(got) != first {
				t.Fatalf("%q", got)
			}
			go io.WriteString(c, strings.Repeat("0123456789", 100_000))
			if _, err := io.ReadFull(c, make([]byte, 1_000_000)); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
}

func TestTunnel_None(t *testing.T) {
	checkLeaks(t)
	cl := newClient(t, Options{})
	var x Exchange
	if c, _ := x.Tunnel(); c != nil {
		t.Fatal("before Do")
	}

	// A refused upgrade is an ordinary answer.
	u := serve(t, answering(ok2))
	x.Upgrade = true
	if err := cl.Pool(u.target()).Do(&x, second, []byte(upgradeRequest)); err != nil {
		t.Fatal(err)
	}
	if c, _ := x.Tunnel(); c != nil {
		t.Fatal("without 101")
	}
	wantBody(t, &x, "hi")
	x.Done(true)
	if st := stats(cl); st.Idle != 1 {
		t.Fatalf("%+v", st)
	}

	// Not asked for.
	e := serve(t, echo(""))
	p := cl.Pool(e.target())
	x.Reset()
	var er *Error
	if err := p.Do(&x, second, []byte(upgradeRequest)); !errors.Is(err, ErrBadResponse) || !errors.As(err, &er) || er.Phase != PhaseHead {
		t.Fatal(err)
	}

	// Not taken, or too late.
	for _, cancel := range []func(){func() {}, x.Cancel, x.Interrupt} {
		x.Reset()
		x.Upgrade = true
		if err := p.Do(&x, second, []byte(upgradeRequest)); err != nil {
			t.Fatal(err)
		}
		if cancel(); x.flags.Load() != 0 {
			if c, _ := x.Tunnel(); c != nil {
				t.Fatal("after the end")
			}
		}
		x.Done(true)
		if c, _ := x.Tunnel(); c != nil {
			t.Fatal("after Done")
		}
	}
	for st := range cl.Stats {
		if st.InUse != 0 || st.Port == e.port && st.Idle != 0 {
			t.Fatalf("%+v", st)
		}
	}
}

func TestTunnel_CancelRace(t *testing.T) {
	checkLeaks(t)
	u := serve(t, echo("x"))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	for i := range 200 {
		var x Exchange
		x.Upgrade = true
		go func() {
			time.Sleep(time.Duration(i) * time.Microsecond)
			x.Cancel()
		}()
		if err := p.Do(&x, second, []byte(upgradeRequest)); err != nil {
			if !errors.Is(err, ErrCanceled) {
				t.Fatal(err)
			}
			continue
		}
		if c, over := x.Tunnel(); c != nil {
			go io.WriteString(c, "y")
			if _, err := io.ReadFull(c, make([]byte, 2-len(over))); err != nil {
				t.Fatalf("a tunnel was cancelled: %v", err)
			}
			c.Close()
		}
		x.Done(true)
	}
	if st := stats(cl); st.InUse != 0 || st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
}
