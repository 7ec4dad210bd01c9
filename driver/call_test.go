package driver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/driver/wire"
)

func newService(t *testing.T, cfg *ServiceConfig) *Service {
	t.Helper()
	s, _ := newServiceOn(t, cfg)
	return s
}

func newServiceOn(t *testing.T, cfg *ServiceConfig) (*Service, *wire.Client) {
	t.Helper()
	client := wire.NewClient(wire.Options{})
	t.Cleanup(client.Close)
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	s, err := NewService(client, cfg, func(string) (string, error) { return "resolved", nil })
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

func TestServiceSends(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %v %s", r.Method, r.RequestURI, r.Header, b)
		w.WriteHeader(201)
		io.WriteString(w, "answer of "+string(b))
	}))
	defer srv.Close()
	s, client := newServiceOn(t, &ServiceConfig{
		Endpoint: srv.URL + "/a/b?v=1&k=own",
		Path:     "/unused",
		Header:   Pairs{{"Authorization", "Bearer k"}, {"X-Ref", "$env://X"}, {"Host", "no"}},
		Query:    Pairs{{"k", "lost"}, {"q", "x y"}},
	})
	var c Call
	for range 3 { // also on the pooled connection
		status, answer, err := s.Do(&c, []byte(`{"n":1}`), 1000)
		if err != nil || status != 201 || string(answer) != `answer of {"n":1}` {
			t.Fatalf("%d %q %v", status, answer, err)
		}
		want := `POST /a/b?q=x%20y&v=1&k=own map[Authorization:[Bearer k] Content-Length:[7] Content-Type:[application/json] X-Ref:[resolved]] {"n":1}`
		if got != want {
			t.Fatalf("sent %s\nwant %s", got, want)
		}
		c.Reset()
	}
	for st := range client.Stats {
		if st.Dials != 1 || st.Reused != 2 || st.InUse != 0 {
			t.Errorf("%+v", st)
		}
	}

	if _, _, err := newService(t, &ServiceConfig{Endpoint: srv.URL + "/log", ContentType: "text/plain"}).Do(&c, []byte("a\nb"), 100); err != nil ||
		got != "POST /log map[Content-Length:[3] Content-Type:[text/plain]] a\nb" {
		t.Errorf("%v, sent %s", err, got)
	}

	f := func(endpoint, path, want string) {
		t.Helper()
		var c Call
		if _, _, err := newService(t, &ServiceConfig{Endpoint: srv.URL + endpoint, Path: path}).Do(&c, nil, 100); err != nil || !strings.HasPrefix(got, "POST "+want+" ") {
			t.Errorf("%s: %v, sent %s", endpoint, err, got)
		}
	}
	f("", "/v1/embeddings", "/v1/embeddings")
	f("?a=b", "/v1/embeddings", "/v1/embeddings?a=b")
	f("/", "/v1/embeddings", "/")
	f("", "", "/")
}

func TestServiceConfigErrors(t *testing.T) {
	f := func(cfg ServiceConfig, want string) {
		t.Helper()
		_, err := NewService(nil, &cfg, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%+v: got %v, want %s", cfg, err, want)
		}
	}
	f(ServiceConfig{}, "invalid endpoint")
	f(ServiceConfig{Endpoint: "ftp://x"}, "invalid endpoint")
	f(ServiceConfig{Endpoint: "http://x", Header: Pairs{{"a b", "v"}}}, "auth.header.a b: not a header name")
	f(ServiceConfig{Endpoint: "http://x", Header: Pairs{{"a", "s3cret\n"}}}, "auth.header.a: the value contains a control character")
	if _, err := NewService(nil, &ServiceConfig{Endpoint: "http://x/y"}, nil); err != nil {
		t.Error(err)
	}

	// A reference that does not resolve, or resolves to something unusable.
	broken := func(cfg ServiceConfig, value string, err error, want string) {
		t.Helper()
		client := wire.NewClient(wire.Options{})
		defer client.Close()
		s, nerr := NewService(client, &cfg, func(string) (string, error) { return value, err })
		if nerr != nil {
			t.Fatal(nerr)
		}
		var c Call
		if _, _, err := s.Do(&c, nil, 10); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	broken(ServiceConfig{Endpoint: "$env://E"}, "", errors.New("not set"), `cannot use reference "$env://E" of endpoint: not set`)
	broken(ServiceConfig{Endpoint: "$env://E"}, "s3cret", nil, `cannot use reference "$env://E" of endpoint: invalid endpoint`)
	broken(ServiceConfig{Endpoint: "http://x", Header: Pairs{{"a", "$env://E"}}}, "s3cret\n", nil, `cannot use reference "$env://E" of auth.header.a: the value contains a control character`)
}

func TestServiceIdentity(t *testing.T) {
	base := ServiceConfig{Endpoint: "http://x/y", Header: Pairs{{"a", "1"}}, Query: Pairs{{"q", "1"}}}
	of := func(change func(*ServiceConfig)) [32]byte {
		cfg := base
		change(&cfg)
		s, err := NewService(nil, &cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Identity
	}
	same := of(func(*ServiceConfig) {})
	if of(func(c *ServiceConfig) { c.Timeout, c.Header = time.Hour, Pairs{{"A", "1"}} }) != same {
		t.Error("what does not matter changes the identity")
	}
	for i, change := range []func(*ServiceConfig){
		func(c *ServiceConfig) { c.Endpoint = "https://x/y" },
		func(c *ServiceConfig) { c.Endpoint = "http://x:81/y" },
		func(c *ServiceConfig) { c.Endpoint = "http://z/y" },
		func(c *ServiceConfig) { c.Endpoint = "http://x/y?z" },
		func(c *ServiceConfig) { c.Header = Pairs{{"a", "2"}} },
		func(c *ServiceConfig) { c.Query = Pairs{{"q", "2"}} },
	} {
		if of(change) == same {
			t.Errorf("change %d keeps the identity", i)
		}
	}
}

// server is a service whose every connection is one script, given after the
// request was read.
func server(t *testing.T, script func(c net.Conn)) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for n := 0; !bytes.Contains(buf[:n], []byte("\r\n\r\n")); {
					k, err := c.Read(buf[n:])
					if n += k; err != nil {
						return
					}
				}
				script(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return "http://" + ln.Addr().String()
}

func TestServiceAnswers(t *testing.T) {
	f := func(answer string, limit, status int, body string, fault error) {
		t.Helper()
		url := server(t, func(c net.Conn) { io.WriteString(c, answer) })
		s := newService(t, &ServiceConfig{Endpoint: url, Header: Pairs{{"authorization", "s3cret"}}})
		var c Call
		defer c.Reset()
		got, text, err := s.Do(&c, []byte("{}"), limit)
		if got != status || string(text) != body || !errors.Is(err, fault) || (err == nil) != (fault == nil) {
			t.Errorf("%.60q: got %d %q %v", answer, got, text, err)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "private")) {
			t.Errorf("%.60q: the error shows too much: %v", answer, err)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5, 200, "hello", nil)
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 4, 200, "", ErrAnswerTooLarge)
	f("HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5, 429, "hello", nil)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 4, 200, "", ErrAnswerTooLarge)
	f("HTTP/1.1 200 OK\r\n\r\nhello", 5, 200, "hello", nil)
	f("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 100000), 99999, 200, "", ErrAnswerTooLarge)
	f("HTTP/1.1 204 Nothing\r\n\r\n", 5, 204, "", nil)
	f("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nprivate", 99, 200, "", wire.ErrTruncated)
	f("private private", 99, 0, "", wire.ErrBadResponse)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nprivate\r\n", 99, 200, "", wire.ErrChunk)
	f("", 99, 0, "", wire.ErrTruncated)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func TestServiceTimeout(t *testing.T) {
	f := func(what string, script func(net.Conn)) {
		t.Helper()
		s := newService(t, &ServiceConfig{Endpoint: server(t, script), Timeout: 100 * time.Millisecond})
		var c Call
		for range 2 { // the clock of the first call does not hit the second
			start := time.Now()
			_, _, err := s.Do(&c, []byte("{}"), 1<<20)
			if d := time.Since(start); !isTimeout(err) || d < 90*time.Millisecond || d > time.Second {
				t.Errorf("%s: %v after %v", what, err, d)
			}
			c.Reset()
		}
	}
	f("no answer", func(c net.Conn) { io.Copy(io.Discard, c) })
	f("a trickle", func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func TestServiceCancel(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	s := newService(t, &ServiceConfig{Endpoint: server(t, func(c net.Conn) {
		began <- struct{}{}
		io.Copy(io.Discard, c)
		ended <- struct{}{}
	})})
	var c Call
	result := make(chan error)
	go func() {
		_, _, err := s.Do(&c, []byte("{}"), 100)
		result <- err
	}()
	<-began
	start := time.Now()
	c.Exchange.Cancel()
	err := <-result
	<-ended
	if d := time.Since(start); !errors.Is(err, wire.ErrCanceled) || d > 500*time.Millisecond {
		t.Errorf("%v after %v", err, d)
	}
	// A Cancel before the call counts, until Reset.
	c.Reset()
	c.Exchange.Cancel()
	if _, _, err := s.Do(&c, []byte("{}"), 100); !errors.Is(err, wire.ErrCanceled) {
		t.Errorf("got %v", err)
	}
	if len(began) > 0 {
		t.Error("a canceled call was made")
	}
}

// Clocks that ring at the very moment when a call ends must not hit the next.
func TestServiceClockRace(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * time.Millisecond)
	}))
	defer srv.Close()
	client := wire.NewClient(wire.Options{})
	defer client.Close()
	tight, err := NewService(client, &ServiceConfig{Endpoint: srv.URL, Timeout: 2200 * time.Microsecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	loose := newService(t, &ServiceConfig{Endpoint: srv.URL})
	var c Call
	for range 100 {
		c.Reset()
		if _, _, err := tight.Do(&c, nil, 10); err != nil && !isTimeout(err) {
			t.Fatal(err)
		}
		c.Reset()
		if _, _, err := loose.Do(&c, nil, 10); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBudgetService(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	url := server(t, func(c net.Conn) {
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		for buf := make([]byte, 4<<10); ; {
			if _, err := c.Write(answer); err != nil {
				return
			}
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
	s := newService(t, &ServiceConfig{Endpoint: url, Header: Pairs{{"authorization", "k"}}})
	var c Call
	body := []byte("{}")
	n := testing.AllocsPerRun(100, func() {
		if _, _, err := s.Do(&c, body, 100); err != nil {
			t.Fatal(err)
		}
		c.Reset()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
