package wire

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

func sized(n int64) []byte {
	return fmt.Appendf(nil, "POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n", n)
}

const chunkedHead = "POST /up HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"

// pattern gives n bytes in pieces of at most step and calls each before each.
type pattern struct {
	n, at int64
	step  int
	each  func(at int64)
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.each != nil {
		p.each(p.at)
	}
	if p.at == p.n {
		return 0, io.EOF
	}
	if p.step > 0 && len(b) > p.step {
		b = b[:p.step]
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	for i := range b {
		at := p.at + int64(i)
		b[i] = byte(at ^ at>>8 ^ at>>16)
	}
	p.at += int64(len(b))
	return len(b), nil
}

func patternSum(n int64) string {
	h := sha256.New()
	io.Copy(h, &pattern{n: n})
	return fmt.Sprintf("%x", h.Sum(nil))
}

// hashing is net/http answering with the length and hash of a body.
func hashing(t testing.TB, overTLS bool) (*Client, Target) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d %s %d %x", r.ContentLength, strings.Join(r.TransferEncoding, ","), n, h.Sum(nil))
	}))
	s.Config.ErrorLog = nil
	if overTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL)
	port, _ := strconv.Atoi(u.Port())
	return newClient(t, Options{}), Target{TLS: overTLS, Host: u.Hostname(), Port: port, KeepAlive: true}
}

func TestStream_Framings(t *testing.T) {
	checkLeaks(t)
	for _, overTLS := range []bool{false, true} {
		cl, tg := hashing(t, overTLS)
		p := cl.Pool(tg)
		var x Exchange
		for _, n := range []int64{0, 1, 15, 16, 255, 256, 4095, 4096, sourceBuf - 13, sourceBuf - 12, sourceBuf - 1, sourceBuf, sourceBuf + 1, 100_000, 3 << 20} {
			for _, step := range []int{0, 1, 999, 5000, 20_000} {
				if step == 1 && n > 10_000 {
					continue
				}
				for _, chunked := range []bool{false, true} {
					head, length, coding := sized(n), n, ""
					if chunked {
						head, length, coding = []byte(chunkedHead), -1, "chunked"
					}
					x.Reset()
					var body io.Reader = &pattern{n: n, step: step}
					if step == 999 {
						body = iotest.DataErrReader(body) // the end comes with bytes
					}
					if err := p.DoStream(&x, second, head, body, length); err != nil {
						t.Fatalf("%d bytes by %d, chunked %v: %v", n, step, chunked, err)
					}
					wantBody(t, &x, fmt.Sprintf("%d %s %d %s", length, coding, n, patternSum(n)))
					if x.Head.Close {
						t.Fatal("closed after everything was sent")
					}
					x.Done(true)
				}
			}
		}
		if st := stats(cl); st.Dials != 1 || st.Idle != 1 || st.InUse != 0 {
			t.Fatalf("TLS %v: %+v", overTLS, st)
		}
	}
}

// The reader is not asked for more than the length.
func TestStream_TakesNoMore(t *testing.T) {
	cl, tg := hashing(t, false)
	var x Exchange
	src := strings.NewReader("hello, next request")
	if err := cl.Pool(tg).DoStream(&x, second, sized(5), src, 5); err != nil {
		t.Fatal(err)
	}
	wantBody(t, &x, fmt.Sprintf("5  5 %x", sha256.Sum256([]byte("hello"))))
	x.Done(true)
	if src.Len() != len(", next request") {
		t.Fatalf("%d bytes left", src.Len())
	}
	x.Reset()
	if err := cl.Pool(tg).DoStream(&x, second, sized(0), nil, 0); err != nil {
		t.Fatal(err)
	}
	x.Done(false)
}

// Small and large pieces go out in frames that a strict reader accepts.
func TestStream_ChunkBytes(t *testing.T) {
	f := func(want string, pieces ...string) {
		t.Helper()
		got := make(chan string, 1)
		u := serve(t, func(c net.Conn, _ int) {
			b := make([]byte, len(chunkedHead)+len(want))
			io.ReadFull(c, b)
			got <- string(b[len(chunkedHead):])
			io.WriteString(c, ok2)
			hold(c)
		})
		var rs []io.Reader
		for _, p := range pieces {
			rs = append(rs, strings.NewReader(p))
		}
		var x Exchange
		if err := newClient(t, Options{}).Pool(u.target()).DoStream(&x, second, []byte(chunkedHead), io.MultiReader(rs...), -1); err != nil {
			t.Fatal(err)
		}
		x.Done(false)
		if g := <-got; g != want {
			t.Fatalf("got %.60q, want %.60q", g, want)
		}
	}
	f("0\r\n\r\n")
	f("1\r\na\r\n0\r\n\r\n", "a")
	f("5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", "hello", "0123456789abcdef")
	k, x4 := strings.Repeat("k", 0x3e7), strings.Repeat("x", 0x1000)
	f("3e7\r\n"+k+"\r\n1000\r\n"+x4+"\r\n0\r\n\r\n", k, x4)
}

// 100 MB up: neither what lives nor what is ever allocated grows with it.
func TestStream_FlatMemory(t *testing.T) {
	const n = 100 << 20
	for _, chunked := range []bool{false, true} {
		var got atomic.Int64
		buf := make([]byte, 64<<10)
		wire := int64(n)
		head, length := sized(n), int64(n)
		if chunked {
			head, length = []byte(chunkedHead), -1
			const piece = sourceBuf - chunkBefore - chunkAfter - len(lastChunk)
			full, rest := int64(n/piece), int64(n%piece)
			wire += (full+1)*8 + int64(len(lastChunk)) - int64(4-len(strconv.FormatInt(rest, 16)))
		}
		u := serve(t, func(c net.Conn, _ int) {
			for got.Load() < wire+int64(len(head)) {
				k, err := c.Read(buf)
				if err != nil {
					return
				}
				got.Add(int64(k))
			}
			io.WriteString(c, ok2)
			hold(c)
		})
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var most uint64
		var next int64
		src := &pattern{n: n, each: func(at int64) {
			if at >= next {
				next += 10 << 20
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}}
		var x Exchange
		t0 := time.Now()
		if err := p.DoStream(&x, second, head, src, length); err != nil {
			t.Fatal(err)
		}
		t.Logf("chunked %v: %v", chunked, time.Since(t0))
		wantBody(t, &x, "hi")
		x.Done(true)
		runtime.ReadMemStats(&now)
		if most > before.HeapAlloc+(1<<20) || now.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("chunked %v: heap %d -> at most %d, allocated %d", chunked, before.HeapAlloc, most, now.TotalAlloc-before.TotalAlloc)
		}
		if got.Load() != wire+int64(len(head)) {
			t.Errorf("%d bytes over the wire", got.Load())
		}
		if st := stats(cl); st.Idle != 1 {
			t.Errorf("%+v", st)
		}
	}
}

// A source that pauses for longer than Send is slow, not broken, and its bytes
// go on at once.
func TestStream_SlowSource(t *testing.T) {
	seen := make(chan string, 10)
	u := serve(t, func(c net.Conn, _ int) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSpace(line); line == "0" {
				io.WriteString(c, ok2)
			}
			if len(line) == 3 {
				seen <- line
			}
		}
	})
	cl := newClient(t, Options{})
	pr, pw := io.Pipe()
	go func() {
		for _, s := range []string{"one", "two", "six"} {
			io.WriteString(pw, s)
			if got := <-seen; got != s {
				t.Errorf("%q", got)
			}
			time.Sleep(120 * time.Millisecond)
		}
		pw.Close()
	}()
	var x Exchange
	tm := Timeouts{Connect: time.Second, Send: 50 * time.Millisecond, Read: 5 * time.Second}
	if err := cl.Pool(u.target()).DoStream(&x, tm, []byte(chunkedHead), pr, -1); err != nil {
		t.Fatal(err)
	}
	wantBody(t, &x, "hi")
	x.Done(true)
	if st := stats(cl); st.Idle != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestStream_BrokenSource(t *testing.T) {
	checkLeaks(t)
	broken := errors.New("client went away")
	f := func(head []byte, length int64, src io.Reader, want error, sent string) {
		t.Helper()
		saw := make(chan string, 1)
		u := serve(t, func(c net.Conn, _ int) {
			r := bufio.NewReader(c)
			for line := ""; line != "\r\n"; {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					saw <- ""
					return
				}
			}
			b, _ := io.ReadAll(r)
			saw <- string(b)
		})
		cl := newClient(t, Options{})
		var x Exchange
		err := cl.Pool(u.target()).DoStream(&x, second, head, src, length)
		var se *SourceError
		if !errors.As(err, &se) || se.Err != want || !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
		x.Done(true)
		select {
		case got := <-saw:
			if got != sent {
				t.Fatalf("upstream saw %.40q, want %.40q", got, sent)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("the upstream was not closed")
		}
		if st := stats(cl); st.InUse != 0 || st.Idle != 0 || st.Dials != 1 {
			t.Fatalf("%+v", st)
		}
	}
	two := func(err error) io.Reader { return io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(err)) }
	f(sized(9), 9, two(broken), broken, "hello")
	f([]byte(chunkedHead), -1, two(broken), broken, "5\r\nhello\r\n")
	f(sized(9), 9, iotest.ErrReader(broken), broken, "")
	f(sized(9), 9, strings.NewReader("hello"), io.ErrUnexpectedEOF, "hello")
	f(sized(9), 9, strings.NewReader(""), io.ErrUnexpectedEOF, "")
	f(sized(9), 9, stuck{}, io.ErrNoProgress, "")
	f([]byte(chunkedHead), -1, stuck{}, io.ErrNoProgress, "")
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// Nothing is read for an upstream that cannot be reached.
func TestStream_ConnectFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	src := strings.NewReader("hello")
	var x Exchange
	err = newClient(t, Options{}).Pool(Target{Host: "127.0.0.1", Port: port}).DoStream(&x, second, sized(5), src, 5)
	var e *Error
	if !errors.As(err, &e) || e.Phase != PhaseConnect || src.Len() != 5 {
		t.Fatalf("%v, %d left", err, src.Len())
	}
}

func TestStream_Cancel(t *testing.T) {
	checkLeaks(t)
	f := func(name, phase string, src func(x *Exchange) (io.Reader, func()), script func(net.Conn)) {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			u := serve(t, func(c net.Conn, _ int) {
				script(c)
				hold(c)
				close(closed)
			})
			cl := newClient(t, Options{})
			var x Exchange
			body, unblock := src(&x)
			var at atomic.Int64
			timer := time.AfterFunc(100*time.Millisecond, func() {
				at.Store(mono())
				x.Cancel()
				unblock()
			})
			defer timer.Stop()
			err := cl.Pool(u.target()).DoStream(&x, second, sized(1<<30), body, 1<<30)
			var e *Error
			if !errors.Is(err, ErrCanceled) || !errors.As(err, &e) || e.Phase != phase {
				t.Fatal(err)
			}
			if took := time.Duration(mono() - at.Load()); at.Load() == 0 || took > 100*time.Millisecond {
				t.Fatalf("took %v", took)
			}
			select {
			case <-closed:
			case <-time.After(2 * time.Second):
				t.Fatal("the upstream was not closed")
			}
			x.Done(true)
			if st := stats(cl); st.InUse != 0 || st.Idle != 0 || st.Dials != 1 {
				t.Fatalf("%+v", st)
			}
		})
	}
	endless := func(*Exchange) (io.Reader, func()) { return &pattern{n: 1 << 30}, func() {} }
	pipe := func(first string) func(*Exchange) (io.Reader, func()) {
		return func(*Exchange) (io.Reader, func()) {
			pr, pw := io.Pipe()
			go io.WriteString(pw, first)
			return pr, func() { pw.CloseWithError(errors.New("unblocked")) }
		}
	}
	f("write_stuck", PhaseSend, endless, func(c net.Conn) { time.Sleep(300 * time.Millisecond) })
	f("writing", PhaseSend, endless, func(net.Conn) {})
	f("first_read_blocked", PhaseSend, pipe(""), func(net.Conn) {})
	f("read_blocked", PhaseSend, pipe("hello"), func(net.Conn) {})
}

func TestStream_CancelBefore(t *testing.T) {
	cl, tg := hashing(t, false)
	var x Exchange
	x.Cancel()
	src := strings.NewReader("hello")
	if err := cl.Pool(tg).DoStream(&x, second, sized(5), src, 5); !errors.Is(err, ErrCanceled) || src.Len() != 5 {
		t.Fatal(err)
	}
}

func TestStream_Interrupt(t *testing.T) {
	end := make(chan bool)
	defer close(end)
	u := serve(t, func(c net.Conn, _ int) { <-end })
	cl := newClient(t, Options{})
	var x Exchange
	timer := time.AfterFunc(100*time.Millisecond, x.Interrupt)
	defer timer.Stop()
	wantTimeout(t, cl.Pool(u.target()).DoStream(&x, second, sized(1<<30), &pattern{n: 1 << 30}, 1<<30), PhaseSend)
}

func TestStream_CancelRace(t *testing.T) {
	checkLeaks(t)
	cl, tg := hashing(t, false)
	p := cl.Pool(tg)
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			var x Exchange
			for i := range 100 {
				x.Reset()
				timer := time.AfterFunc(time.Duration((g*100+i)%400)*time.Microsecond, x.Cancel)
				err := p.DoStream(&x, second, []byte(chunkedHead), &pattern{n: 200_000, step: 7000}, -1)
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
	for range 4 {
		<-done
	}
	if st := stats(cl); st.InUse != 0 || st.Stale != 0 {
		t.Fatalf("%+v", st)
	}
	cl.Close()
}

func TestStream_SendTimeout(t *testing.T) {
	end := make(chan bool)
	defer close(end)
	for _, overTLS := range []bool{false, true} {
		script := func(c net.Conn, _ int) {
			c.Read(make([]byte, 10))
			<-end
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
		tm := Timeouts{Connect: 5 * time.Second, Send: 400 * time.Millisecond, Read: 5 * time.Second}
		t0 := time.Now()
		wantTimeout(t, cl.Pool(tg).DoStream(&x, tm, sized(1<<30), &pattern{n: 1 << 30}, 1<<30), PhaseSend)
		if took := time.Since(t0); took < tm.Send || took > 2000*time.Millisecond {
			t.Fatalf("after %v", took)
		}
		if st := stats(cl); st.InUse != 0 {
			t.Fatalf("%+v", st)
		}
	}
}

// The pooled connection closes when the next request is already on its way.
func TestStream_StaleRetry(t *testing.T) {
	f := func(take, n int64, src *pattern, good bool) {
		t.Helper()
		u := serve(t, func(c net.Conn, nth int) {
			if nth > 0 {
				digest(c, nth)
				return
			}
			r := bufio.NewReader(c)
			readRequest(r)
			io.WriteString(c, ok2)
			io.CopyN(io.Discard, r, take)
		})
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		once(t, p)
		var x Exchange
		err := p.DoStream(&x, second, sized(n), src, n)
		if !good {
			var e *Error
			if err == nil || !errors.As(err, &e) || e.Timeout() {
				t.Fatalf("%v", err)
			}
			if st := stats(cl); st.Dials != 1 || st.Stale != 0 {
				t.Fatalf("%+v", st)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, &x, patternSum(n))
		x.Done(true)
		if st := stats(cl); st.Dials != 2 || st.Stale != 1 || st.Reused != 1 {
			t.Fatalf("%+v", st)
		}
	}
	pause := func(at int64) {
		if 0 < at && at < 30_000 {
			time.Sleep(30 * time.Millisecond)
		}
	}
	f(1, 5, &pattern{n: 5}, true)
	f(1, 20_000, &pattern{n: 20_000, step: 5000, each: pause}, true)
	f(1, 1<<20, &pattern{n: 1 << 20, step: 10_000, each: pause}, true)
	// What was sent is no longer all in the buffer.
	f(40_000, 1<<20, &pattern{n: 1 << 20, step: 10_000}, false)
}
