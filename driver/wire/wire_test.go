package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const request = "POST /v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n"

var second = Timeouts{Connect: 5 * time.Second, Send: 5 * time.Second, Read: 5 * time.Second}

// upstream is a server whose every connection is one script; nth counts from 0.
type upstream struct {
	l    net.Listener
	port int
}

func serve(t testing.TB, script func(c net.Conn, nth int)) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, script)
}

func serveOn(t testing.TB, l net.Listener, script func(c net.Conn, nth int)) *upstream {
	u := &upstream{l: l, port: l.Addr().(*net.TCPAddr).Port}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Add(1)
	go func() {
		defer wg.Done()
		for nth := 0; ; nth++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer c.Close()
				script(c, nth)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return u
}

func (u *upstream) target() Target {
	return Target{Host: "127.0.0.1", Port: u.port, KeepAlive: true, IdleFor: time.Minute, PoolSize: 64}
}

// readRequest reads a request with a small Content-Length body.
func readRequest(r *bufio.Reader) (head string, err error) {
	n := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return head, err
		}
		head += line
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			break
		}
	}
	_, err = io.CopyN(io.Discard, r, int64(n))
	return head, err
}

// answering is a script that gives every request the same answer.
func answering(answer string) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		r := bufio.NewReader(c)
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

// hold keeps a connection until the peer closes it.
func hold(c net.Conn) { io.Copy(io.Discard, c) }

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Watch == nil {
		o.Watch = newWatch(t)
	}
	c := NewClient(o)
	t.Cleanup(c.Close)
	return c
}

func newWatch(t testing.TB) *Watch {
	t.Helper()
	w, err := NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func do(t testing.TB, p *Pool, x *Exchange) {
	t.Helper()
	if err := p.Do(x, second, []byte(request), []byte("{}")); err != nil {
		t.Fatalf("Do: %v", err)
	}
}

func readAll(x *Exchange) (string, error) {
	var all []byte
	p := make([]byte, 700)
	for {
		n, err := x.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return string(all), nil
		}
		if err != nil {
			return string(all), err
		}
	}
}

func wantBody(t testing.TB, x *Exchange, want string) {
	t.Helper()
	got, err := readAll(x)
	if err != nil || got != want {
		t.Fatalf("body %.80q, %v; want %.80q", got, err, want)
	}
}

func wantTimeout(t testing.TB, err error, phase string) {
	t.Helper()
	var e *Error
	var ne net.Error
	if !errors.As(err, &e) || !errors.As(err, &ne) || !ne.Timeout() || e.Phase != phase || !strings.Contains(err.Error(), "timeout") {
		t.Fatalf("got %v, want a timeout in phase %s", err, phase)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func stats(c *Client) (st PoolStats) {
	for s := range c.Stats {
		st = s
	}
	return st
}

// checkLeaks fails the test if it leaves goroutines or descriptors behind. Call
// it first, so that it looks last.
func checkLeaks(t *testing.T) {
	t.Helper()
	goroutines, fds := runtime.NumGoroutine(), countFDs()
	t.Cleanup(func() {
		end := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > goroutines || countFDs() > fds {
			if time.Now().After(end) {
				var b bytes.Buffer
				buf := make([]byte, 1<<16)
				b.Write(buf[:runtime.Stack(buf, true)])
				t.Errorf("goroutines %d -> %d, descriptors %d -> %d\n%s",
					goroutines, runtime.NumGoroutine(), fds, countFDs(), b.String())
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func countFDs() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}
