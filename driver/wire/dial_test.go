package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// serveTLS has a certificate for example.com and 127.0.0.1.
func serveTLS(t testing.TB, script func(net.Conn, int)) (*upstream, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	certs := s.TLS.Certificates
	s.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certs})
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, script), roots
}

func TestDial_TLS(t *testing.T) {
	checkLeaks(t)
	var resumed atomic.Int32
	u, roots := serveTLS(t, func(c net.Conn, nth int) {
		tc := c.(*tls.Conn)
		if tc.Handshake() == nil && tc.ConnectionState().DidResume {
			resumed.Add(1)
		}
		digest(c, nth)
	})
	f := func(sni string, verify bool, roots *x509.CertPool, good bool) {
		t.Helper()
		cl := newClient(t, Options{RootCAs: roots})
		tg := u.target()
		tg.TLS, tg.SNI, tg.Verify = true, sni, verify
		p := cl.Pool(tg)
		var x Exchange
		err := p.Do(&x, second, []byte("POST / HTTP/1.1\r\n\r\n"))
		if good != (err == nil) {
			t.Fatalf("SNI %q, verify %v: %v", sni, verify, err)
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Phase != PhaseTLS {
				t.Fatal(err)
			}
			return
		}
		readAll(&x)
		x.Done(false)
		checkSizes(t, p)
		if st := stats(cl); st.Dials != 2 || st.Idle != 1 || st.Stale != 0 {
			t.Fatalf("%+v", st)
		}
	}
	f("example.com", true, roots, true)
	f("", true, roots, true)
	f("wrong.test", true, roots, false)
	f("example.com", true, x509.NewCertPool(), false)
	f("wrong.test", false, nil, true)
	if resumed.Load() == 0 {
		t.Error("no session was resumed")
	}
}

func TestDial_TLSFramings(t *testing.T) {
	checkLeaks(t)
	f := func(answer, want string, wantErr error, pooled int64) {
		t.Helper()
		u, roots := serveTLS(t, func(c net.Conn, _ int) {
			r := bufio.NewReader(c)
			readRequest(r)
			io.WriteString(c, answer)
			if pooled > 0 {
				readRequest(r)
			}
			if wantErr != nil {
				c.(*tls.Conn).NetConn().Close() // no goodbye
			}
		})
		cl := newClient(t, Options{RootCAs: roots})
		tg := u.target()
		tg.TLS, tg.Verify = true, true
		var x Exchange
		do(t, cl.Pool(tg), &x)
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(&x)
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("%q: %q, %v", answer, got, err)
		}
		x.Done(true)
		if st := stats(cl); st.Idle != pooled {
			t.Fatalf("%q: %+v", answer, st)
		}
		cl.Close()
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", nil, 1)
	f("HTTP/1.1 200 OK\r\n\r\nhi", "hi", nil, 0)
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "hi", ErrTruncated, 0)
}

// TLS may hold decrypted bytes back that no answer has asked for.
func TestDial_TLSExtraBytes(t *testing.T) {
	u, roots := serveTLS(t, func(c net.Conn, _ int) {
		r := bufio.NewReader(c)
		readRequest(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
		io.WriteString(c, strings.Repeat("x", 5000)+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		hold(c)
	})
	cl := newClient(t, Options{RootCAs: roots})
	tg := u.target()
	tg.TLS, tg.Verify = true, true
	var x Exchange
	do(t, cl.Pool(tg), &x)
	if _, err := io.ReadFull(&x, make([]byte, 5000)); err != nil || !x.Complete() || x.dirty {
		t.Fatal(err)
	}
	x.Done(true)
	if st := stats(cl); st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestDial_CustomConnection(t *testing.T) {
	checkLeaks(t)
	var served net.Conn
	cl := newClient(t, Options{Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "[::1]:80" {
			t.Errorf("dial %s %s", network, addr)
		}
		a, b := net.Pipe()
		served = b
		go answering(ok2)(b, 0)
		return a, nil
	}})
	p := cl.Pool(Target{Host: "[::1]", Port: 80, KeepAlive: true})
	once(t, p)
	once(t, p)
	if st := stats(cl); st.Dials != 1 || st.Reused != 1 {
		t.Fatalf("%+v", st)
	}
	cl.Close()
	served.Close()
	if _, ok := FD(served); ok {
		t.Fatal("a pipe has no descriptor")
	}
}

func TestDial_SystemErrorsShow(t *testing.T) {
	f := func(cause error, phase string, timeout bool) {
		t.Helper()
		cl := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, cause }})
		var x Exchange
		err := cl.Pool(Target{Host: "a", Port: 1}).Do(&x, second, []byte(request))
		var e *Error
		if !errors.Is(err, cause) || !errors.As(err, &e) || e.Phase != phase || e.Timeout() != timeout {
			t.Fatalf("%v", err)
		}
		if strings.Contains(err.Error(), "timeout") != timeout {
			t.Fatalf("text %q", err)
		}
	}
	f(syscall.EMFILE, PhaseConnect, false)
	f(syscall.EADDRNOTAVAIL, PhaseConnect, false)
	f(context.DeadlineExceeded, PhaseConnect, true)
	f(syscall.ETIMEDOUT, PhaseConnect, true)
	f(&net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}, PhaseDNS, false)
	f(&net.DNSError{Err: "slow", Name: "a", IsTimeout: true}, PhaseDNS, true)
}

func TestFD(t *testing.T) {
	u, roots := serveTLS(t, func(c net.Conn, _ int) { c.(*tls.Conn).Handshake(); hold(c) })
	c, err := tls.Dial("tcp", u.l.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	over, ok := FD(c)
	under, ok2 := FD(c.NetConn())
	if !ok || !ok2 || over != under || over <= 0 {
		t.Fatalf("%d %v, %d %v", over, ok, under, ok2)
	}
	c.Close()
	if _, ok := FD(c); ok {
		t.Fatal("a closed connection has a descriptor")
	}
	time.Sleep(time.Millisecond)
}
