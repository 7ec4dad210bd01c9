package lb

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// noLeaks fails the test when goroutines outlive it.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// server gives each connection to handle and closes it afterwards.
func server(t *testing.T, handle func(net.Conn)) Node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return Node{IP: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}

// readHead reads up to the blank line.
func readHead(c net.Conn) string {
	r, head := bufio.NewReader(c), ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := r.ReadString('\n')
		head += line
		if err != nil {
			break
		}
	}
	return head
}

// answer reads a request and writes text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		readHead(c)
		io.WriteString(c, text)
	}
}

// hang waits until the client is gone.
func hang(c net.Conn) { io.Copy(io.Discard, c) }

func expect(t *testing.T, p *Probe, n Node, want Result) {
	t.Helper()
	got, err := p.Do(t.Context(), n)
	if got != want || (err == nil) != (want == Success) {
		t.Errorf("%v (%v) instead of %v", got, err, want)
	}
}

func TestProbeStatus(t *testing.T) {
	noLeaks(t)
	p := &Probe{HealthyStatuses: DefaultHealthyStatuses, UnhealthyStatuses: DefaultUnhealthyStatuses}
	f := func(text string, want Result) {
		t.Helper()
		expect(t, p, server(t, answer(text)), want)
	}
	f("HTTP/1.1 200 OK\r\n\r\n", Success)
	f("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", Success)
	f("HTTP/1.0 200\n", Success)
	f("http/1.1 \t 200 OK\n", Success)
	f("HTTP/11.22 200OK\n", Success)
	f("HTTP/1.1 404 Not Found\r\n", HTTPFailure)
	f("HTTP/1.1 503 \r\n", HTTPFailure)
	f("HTTP/1.1 201 Created\r\n", Ignored)
	f("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Ignored)
	f("HTTP/1.1 99999999999999999999\r\n", HTTPFailure)
	f("HTTP/1.1 000\r\n", HTTPFailure)
	f("HTTP/1.1 OK\r\n", HTTPFailure)
	f("HTTP/1.1\r\n", HTTPFailure)
	f("HTTP/1. 200\r\n", HTTPFailure)
	f("HTTP/1..1 200\r\n", HTTPFailure)
	f("HTTP/2 200\r\n", HTTPFailure)
	f(" HTTP/1.1 200\r\n", HTTPFailure)
	f("\r\nHTTP/1.1 200 OK\r\n", HTTPFailure)
	f("\n", HTTPFailure)
	f("SSH-2.0-OpenSSH_9.9\r\n", HTTPFailure)
	f("\x15\x03\x01\x00\x02\x02\x50\n", HTTPFailure)
	f(strings.Repeat("x", 1<<20), HTTPFailure)
	f("", TCPFailure)
	f("HTTP/1.1 200 OK", TCPFailure) // closed in the middle of the line

	p = &Probe{}
	f("HTTP/1.1 200 OK\r\n", Ignored)
}

func TestProbeTrouble(t *testing.T) {
	noLeaks(t)
	const short = 50 * time.Millisecond
	p := &Probe{Timeout: short, HealthyStatuses: []int{200}}

	n := server(t, hang)
	expect(t, p, n, TimeoutFailure)
	expect(t, &Probe{Type: TCP}, n, Success)
	// A TLS handshake that takes too long is a tcp failure.
	expect(t, &Probe{Type: HTTPS, Timeout: short}, n, TCPFailure)
	// Nobody takes the request.
	expect(t, &Probe{Timeout: short, Body: strings.Repeat("x", 32<<20)}, server(t, func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(1024)
		time.Sleep(4 * short)
	}), TimeoutFailure)
	// Bytes that trickle in do not extend the time for the line.
	expect(t, p, server(t, func(c net.Conn) {
		for _, b := range []byte("HTTP/1.1 200 OK and so on and on and on and on") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(short / 10)
		}
		io.WriteString(c, "\r\n")
	}), TimeoutFailure)
	// The line in pieces, in time.
	expect(t, &Probe{HealthyStatuses: []int{200}}, server(t, func(c net.Conn) {
		readHead(c)
		for _, b := range []byte("HTTP/1.1 200 OK\r\n") {
			c.Write([]byte{b})
		}
	}), Success)
	// Reset instead of an answer.
	expect(t, p, server(t, func(c net.Conn) {
		readHead(c)
		c.(*net.TCPConn).SetLinger(0)
	}), TCPFailure)

	// Refused.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := Node{IP: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	expect(t, p, gone, TCPFailure)
	expect(t, &Probe{Type: TCP}, gone, TCPFailure)
	// The probe's own port.
	expect(t, &Probe{Type: TCP, Port: n.Port}, gone, Success)
	// Nobody answers the SYN.
	expect(t, &Probe{Type: TCP, Timeout: short, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}}, gone, TimeoutFailure)
}

// TestProbeCancel: the end of the context ends the probe in every phase, long
// before its timeout.
func TestProbeCancel(t *testing.T) {
	noLeaks(t)
	f := func(name string, p *Probe, handle func(net.Conn)) {
		t.Helper()
		p.Timeout = time.Minute
		reached := make(chan bool, 1)
		n := server(t, func(c net.Conn) {
			reached <- true
			handle(c)
		})
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("why")
		time.AfterFunc(20*time.Millisecond, func() {
			if p.Dial == nil {
				<-reached
			}
			cancel(why)
		})
		start := time.Now()
		r, err := p.Do(ctx, n)
		if r != Ignored || err != why {
			t.Errorf("%s: %v (%v)", name, r, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: it took %v", name, d)
		}
	}
	f("connect", &Probe{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, hang)
	f("handshake", &Probe{Type: HTTPS}, hang)
	stalled, resume := context.WithCancel(context.Background())
	f("send", &Probe{Body: strings.Repeat("x", 32<<20)}, func(net.Conn) { <-stalled.Done() })
	resume()
	f("receive", &Probe{}, hang)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := new(Probe).Do(ctx, server(t, hang)); r != Ignored || err != context.Canceled {
		t.Errorf("cancelled before: %v (%v)", r, err)
	}
}

func TestProbeRequest(t *testing.T) {
	f := func(p *Probe, n Node, want string) {
		t.Helper()
		if got := string(p.request(n)); got != want {
			t.Errorf("got\n%q instead of\n%q", got, want)
		}
	}
	ip, domain := Node{IP: "10.0.0.1", Port: 8080}, Node{IP: "10.0.0.1", Port: 8080, Host: "api.example.com"}
	f(&Probe{}, ip, "GET / HTTP/1.1\r\nConnection: close\r\nHost: 10.0.0.1\r\n\r\n")
	f(&Probe{Host: "h"}, ip, "GET / HTTP/1.1\r\nConnection: close\r\nHost: h\r\n\r\n")
	f(&Probe{Host: "h"}, domain, "GET / HTTP/1.1\r\nConnection: close\r\nHost: api.example.com\r\n\r\n")
	f(&Probe{}, Node{IP: "::1"}, "GET / HTTP/1.1\r\nConnection: close\r\nHost: [::1]\r\n\r\n")
	f(&Probe{Method: "POST", Path: "/h?k=v", Body: `{"a":1}`, Headers: []string{"A: 1", "a: 2"}}, ip,
		"POST /h?k=v HTTP/1.1\r\nConnection: close\r\nA: 1\r\na: 2\r\nHost: 10.0.0.1\r\nContent-Length: 7\r\n\r\n"+`{"a":1}`)
	f(&Probe{Method: "PUT", Body: "abc", Headers: []string{"HOST: x", "content-length : 3", "odd"}}, domain,
		"PUT / HTTP/1.1\r\nConnection: close\r\nHOST: x\r\ncontent-length : 3\r\nodd\r\n\r\nabc")
}

// TestProbeSent looks at the bytes as a server gets them.
func TestProbeSent(t *testing.T) {
	got := make(chan string, 1)
	n := server(t, func(c net.Conn) {
		b := make([]byte, 1000)
		k, _ := c.Read(b)
		got <- string(b[:k])
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
	})
	p := &Probe{Method: "POST", Path: "/status", Body: "hi", HealthyStatuses: []int{200}}
	expect(t, p, n, Success)
	if want := string(p.request(n)); <-got != want {
		t.Errorf("the server did not get %q", want)
	}
}

func TestProbeTLS(t *testing.T) {
	noLeaks(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"api.example.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "test"}}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	names := make(chan string, 1)
	conf := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- h.ServerName
			return nil, nil
		},
	}
	n := server(t, func(c net.Conn) {
		over := tls.Server(c, conf)
		readHead(over)
		io.WriteString(over, "HTTP/1.1 200 OK\r\n\r\n")
	})
	f := func(p Probe, host, sni string, want Result) {
		t.Helper()
		p.Type, p.HealthyStatuses = HTTPS, []int{200}
		n := n
		n.Host = host
		expect(t, &p, n, want)
		if got := <-names; got != sni {
			t.Errorf("SNI %q instead of %q", got, sni)
		}
	}
	f(Probe{Verify: true, RootCAs: roots}, "api.example.com", "api.example.com", Success)
	f(Probe{Verify: true, RootCAs: roots}, "", "", Success) // by its IP address
	f(Probe{Verify: true, RootCAs: roots, Host: "api.example.com"}, "", "api.example.com", Success)
	f(Probe{Verify: true, RootCAs: roots, Host: "x"}, "api.example.com", "api.example.com", Success)
	f(Probe{Verify: true, RootCAs: roots, SNI: "api.example.com"}, "other", "api.example.com", Success)
	f(Probe{Verify: true, RootCAs: roots}, "other.example.com", "other.example.com", TCPFailure)
	f(Probe{Verify: true}, "api.example.com", "api.example.com", TCPFailure)
	f(Probe{}, "other.example.com", "other.example.com", Success)

	// Plain text at a TLS port and the other way round.
	expect(t, &Probe{HealthyStatuses: []int{200}, Timeout: 5 * time.Second}, n, TCPFailure)
	expect(t, &Probe{Type: HTTPS, HealthyStatuses: []int{200}},
		server(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), TCPFailure)
}
