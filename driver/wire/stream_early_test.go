package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const tooLarge = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

// skipHead reads a request's head and nothing of its body on purpose.
func skipHead(c net.Conn) *bufio.Reader {
	r := bufio.NewReaderSize(c, 16)
	for {
		if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
			return r
		}
	}
}

func TestStream_EarlyRefusal(t *testing.T) {
	checkLeaks(t)
	scripts := []struct {
		name string
		then func(c net.Conn, r io.Reader, end chan bool)
	}{
		{"closes", func(net.Conn, io.Reader, chan bool) {}},
		{"resets", func(c net.Conn, _ io.Reader, _ chan bool) {
			time.Sleep(20 * time.Millisecond)
			if tc, ok := c.(*net.TCPConn); ok {
				tc.SetLinger(0)
			}
		}},
		{"half-closes", func(c net.Conn, r io.Reader, _ chan bool) {
			c.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, r)
		}},
		{"keeps reading", func(_ net.Conn, r io.Reader, _ chan bool) { io.Copy(io.Discard, r) }},
		{"stops reading", func(_ net.Conn, _ io.Reader, end chan bool) { <-end }},
	}
	for _, s := range scripts {
		for _, overTLS := range []bool{false, true} {
			for _, interim := range []string{"", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 E\r\nLink: x\r\n\r\n"} {
				t.Run(fmt.Sprintf("%s/tls=%v/%.12s", s.name, overTLS, interim), func(t *testing.T) {
					end := make(chan bool)
					script := func(c net.Conn, _ int) {
						r := skipHead(c)
						io.WriteString(c, interim)
						io.WriteString(c, tooLarge)
						s.then(c, r, end)
					}
					var u *upstream
					if overTLS {
						u, _ = serveTLS(t, script)
					} else {
						u = serve(t, script)
					}
					t.Cleanup(func() { close(end) })
					tg := u.target()
					tg.TLS = overTLS
					cl := newClient(t, Options{})
					var x Exchange
					tm := second
					tm.Send = 800 * time.Millisecond
					src := &pattern{n: 1 << 30}
					t0 := time.Now()
					if err := cl.Pool(tg).DoStream(&x, tm, sized(src.n), src, src.n); err != nil {
						t.Fatal(err)
					}
					if x.Head.Status != 413 || !x.Head.Close || src.at == src.n {
						t.Fatalf("%+v after %d bytes", x.Head, src.at)
					}
					wantBody(t, &x, "no")
					x.Done(true)
					if took := time.Since(t0); took > 2*time.Second || !overTLS && took > 700*time.Millisecond {
						t.Errorf("took %v", took)
					}
					if st := stats(cl); st.Idle != 0 || st.InUse != 0 || st.Dials != 1 {
						t.Fatalf("%+v", st)
					}
					cl.Close()
				})
			}
		}
	}
}

// A refusal that comes while a write is stuck: soon over TCP, after
// Timeouts.Send over TLS.
func TestStream_EarlyRefusalWhileStuck(t *testing.T) {
	checkLeaks(t)
	for _, overTLS := range []bool{false, true} {
		end := make(chan bool)
		script := func(c net.Conn, _ int) {
			skipHead(c)
			time.Sleep(100 * time.Millisecond)
			io.WriteString(c, tooLarge)
			<-end
		}
		var u *upstream
		if overTLS {
			u, _ = serveTLS(t, script)
		} else {
			u = serve(t, script)
		}
		t.Cleanup(func() { close(end) })
		tg := u.target()
		tg.TLS = overTLS
		cl := newClient(t, Options{})
		tm := second
		if overTLS {
			tm.Send = 300 * time.Millisecond
		}
		var x Exchange
		t0 := time.Now()
		if err := cl.Pool(tg).DoStream(&x, tm, sized(1<<30), &pattern{n: 1 << 30}, 1<<30); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(t0); took > time.Second {
			t.Errorf("took %v", took)
		}
		wantBody(t, &x, "no")
		x.Done(true)
		if st := stats(cl); x.Head.Status != 413 || !x.Head.Close || st.Idle != 0 || st.InUse != 0 {
			t.Fatalf("%+v, %+v", x.Head, st)
		}
	}
}

// A refusal that comes while the source is quiet is given when it stirs, and
// what it then gives is not sent.
func TestStream_EarlyRefusalSlowSource(t *testing.T) {
	answered, rest := make(chan bool), make(chan string, 1)
	u := serve(t, func(c net.Conn, _ int) {
		r := skipHead(c)
		io.ReadFull(r, make([]byte, 5))
		io.WriteString(c, tooLarge)
		answered <- true
		b, _ := io.ReadAll(r)
		rest <- string(b)
	})
	pr, pw := io.Pipe()
	go func() {
		io.WriteString(pw, "hello")
		<-answered
		time.Sleep(20 * time.Millisecond)
		io.WriteString(pw, "more")
	}()
	var x Exchange
	if err := newClient(t, Options{}).Pool(u.target()).DoStream(&x, second, sized(100), pr, 100); err != nil {
		t.Fatal(err)
	}
	wantBody(t, &x, "no")
	x.Done(true)
	if got := <-rest; x.Head.Status != 413 || got != "" {
		t.Fatalf("%d, upstream got %q", x.Head.Status, got)
	}
}

// net/http behind an authentication that does not look at the body.
func TestStream_EarlyRefusalNetHTTP(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you", http.StatusUnauthorized)
	}))
	defer s.Close()
	cl := newClient(t, Options{})
	p := cl.Pool(Target{Host: "127.0.0.1", Port: s.Listener.Addr().(*net.TCPAddr).Port, KeepAlive: true})
	for range 5 {
		var x Exchange
		if err := p.DoStream(&x, second, []byte(chunkedHead), &pattern{n: 64 << 20}, -1); err != nil {
			t.Fatal(err)
		}
		if x.Head.Status != 401 {
			t.Fatal(x.Head.Status)
		}
		wantBody(t, &x, "who are you\n")
		x.Done(true)
	}
}

// An upstream that says 200 and then takes the body gets all of it.
func TestStream_EarlySuccess(t *testing.T) {
	const n = 8 << 20
	for _, overTLS := range []bool{false, true} {
		script := func(c net.Conn, _ int) {
			r := skipHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
			k, _ := io.Copy(io.Discard, io.LimitReader(r, n))
			fmt.Fprint(c, k)
			hold(c)
		}
		var u *upstream
		if overTLS {
			u, _ = serveTLS(t, script)
		} else {
			u = serve(t, script)
		}
		tg := u.target()
		tg.TLS = overTLS
		cl := newClient(t, Options{})
		var x Exchange
		if err := cl.Pool(tg).DoStream(&x, second, sized(n), &pattern{n: n}, n); err != nil {
			t.Fatal(err)
		}
		wantBody(t, &x, fmt.Sprint(n))
		x.Done(true)
		if st := stats(cl); x.Head.Close || st.Idle != 1 {
			t.Fatalf("%+v", st)
		}
	}
}

// One that says 200 and closes has answered, too.
func TestStream_EarlySuccessAndClose(t *testing.T) {
	u := serve(t, func(c net.Conn, _ int) {
		skipHead(c)
		io.WriteString(c, ok2)
		time.Sleep(20 * time.Millisecond)
	})
	cl := newClient(t, Options{})
	var x Exchange
	if err := cl.Pool(u.target()).DoStream(&x, second, sized(1<<30), &pattern{n: 1 << 30}, 1<<30); err != nil {
		t.Fatal(err)
	}
	wantBody(t, &x, "hi")
	x.Done(true)
	if st := stats(cl); !x.Head.Close || st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestStream_UpstreamFailures(t *testing.T) {
	f := func(answer string, phase string, want error) {
		t.Helper()
		u := serve(t, func(c net.Conn, _ int) {
			r := skipHead(c)
			io.WriteString(c, answer)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, r)
		})
		cl := newClient(t, Options{})
		var x Exchange
		err := cl.Pool(u.target()).DoStream(&x, second, sized(1<<30), &pattern{n: 1 << 30}, 1<<30)
		var e *Error
		if !errors.As(err, &e) || e.Phase != phase || !errors.Is(err, want) {
			t.Fatalf("%q: %v", answer, err)
		}
		if st := stats(cl); st.InUse != 0 || st.Dials != 1 {
			t.Fatalf("%+v", st)
		}
	}
	f("", PhaseHead, ErrTruncated)
	f("HTTP/1.1 4", PhaseHead, ErrTruncated)
	f("HTTP/1.1 100 Continue\r\n\r\n", PhaseHead, ErrTruncated)
	f("SSH-2.0\r\n", PhaseHead, ErrBadResponse)
	f("HTTP/1.1 101 Other\r\n\r\n", PhaseHead, ErrBadResponse)
	f(strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 65), PhaseHead, ErrBadResponse)
}

// Connections without a descriptor cannot be asked; the write tells.
func TestStream_CustomConnection(t *testing.T) {
	checkLeaks(t)
	src, dst := net.Pipe()
	cl := newClient(t, Options{Dial: pipeDial(src)})
	go func() {
		skipHead(dst)
		io.WriteString(dst, tooLarge)
		dst.Close()
	}()
	tm := second
	tm.Send = 100 * time.Millisecond
	var x Exchange
	if err := cl.Pool(Target{Host: "a", Port: 1}).DoStream(&x, tm, sized(1<<20), &pattern{n: 1 << 20}, 1<<20); err != nil {
		t.Fatal(err)
	}
	if x.Head.Status != 413 || !x.Head.Close {
		t.Fatalf("%+v", x.Head)
	}
	x.Done(true)
}

// BenchmarkStream is 8 MiB up and 8 MiB down with buffers of 32 KiB.
func BenchmarkStream(b *testing.B) {
	const n = 8 << 20
	f := func(name, framing string, down []byte) {
		b.Run(name, func(b *testing.B) {
			head := sized(n)
			answer := append([]byte("HTTP/1.1 200 OK\r\n"+framing+"\r\n\r\n"), down...)
			u := serve(b, fastAnswer(answer, len(head)+n))
			cl := newClient(b, Options{})
			p := cl.Pool(u.target())
			var x Exchange
			src := bytes.NewReader(make([]byte, n))
			buf := make([]byte, 32<<10)
			b.SetBytes(2 * n)
			b.ReportAllocs()
			for b.Loop() {
				x.Reset()
				src.Seek(0, io.SeekStart)
				if err := p.DoStream(&x, second, head, src, n); err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := x.Read(buf); err != nil {
						break
					}
				}
				if !x.Complete() {
					b.Fatal("incomplete")
				}
				x.Done(true)
			}
		})
	}
	f("sized", fmt.Sprintf("Content-Length: %d", n), make([]byte, n))
	piece := "2000\r\n" + strings.Repeat("x", 0x2000) + "\r\n"
	f("chunked", "Transfer-Encoding: chunked", []byte(strings.Repeat(piece, n/0x2000)+"0\r\n\r\n"))
}
