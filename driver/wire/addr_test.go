package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"testing"
)

// A name is served by a pinned address: TLS is checked against the name.
func TestAddr_Pinned(t *testing.T) {
	checkLeaks(t)
	var name atomic.Value
	u, roots := serveTLS(t, func(c net.Conn, nth int) {
		c.(*tls.Conn).Handshake()
		name.Store(c.(*tls.Conn).ConnectionState().ServerName)
		answering(ok2)(c, nth)
	})
	cl := newClient(t, Options{RootCAs: roots})
	tg := Target{TLS: true, Verify: true, Host: "example.com", Addr: "127.0.0.1", Port: u.port, KeepAlive: true}
	if peer := once(t, cl.Pool(tg)); peer != u.l.Addr().String() || name.Load() != "example.com" {
		t.Fatalf("%s, %v", peer, name.Load())
	}
	if st := stats(cl); st.Host != "example.com" || st.Addr != "127.0.0.1" || st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
	tg.Host = "wrong.test"
	var x Exchange
	var e *Error
	if err := cl.Pool(tg).Do(&x, second, []byte(request)); !errors.As(err, &e) || e.Phase != PhaseTLS {
		t.Fatal(err)
	}
}

func TestAddr_IsPartOfTheKey(t *testing.T) {
	var asked []string
	cl := newClient(t, Options{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		asked = append(asked, addr)
		return nil, errors.New("no")
	}})
	for i, tg := range []Target{
		{Host: "a.test", Port: 80},
		{Host: "a.test", Addr: "10.0.0.1", Port: 80},
		{Host: "a.test", Addr: "[::1]", Port: 80},
		{Host: "a.test", Addr: "::1", Port: 80},      // the same
		{Host: "[::1]", Addr: "::1", Port: 80},       // pins nothing
		{Host: "::1", Port: 80},                      // the same
		{Host: "b.test", Addr: "10.0.0.1", Port: 80}, // another name there
	} {
		var x Exchange
		cl.Pool(tg).Do(&x, second, []byte(request))
		want := []string{"a.test:80", "10.0.0.1:80", "[::1]:80", "[::1]:80", "[::1]:80", "[::1]:80", "10.0.0.1:80"}[i]
		if asked[i] != want {
			t.Errorf("%+v: %s, want %s", tg, asked[i], want)
		}
	}
	if len(cl.shelves) != 5 {
		t.Errorf("%d pools", len(cl.shelves))
	}
}
