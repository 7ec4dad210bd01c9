package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// inTwo answers with a cut at byte k; behind the cut the client gets time to
// read the first part alone.
func inTwo(answer string, k int, then func(net.Conn)) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, answer[:k])
		if k > 0 && k < len(answer) {
			time.Sleep(200 * time.Microsecond)
		}
		io.WriteString(c, answer[k:])
		then(c)
	}
}

func TestExchange_FramingsCutAnywhere(t *testing.T) {
	checkLeaks(t)
	f := func(answer, want string, then func(net.Conn), pooled bool) {
		t.Helper()
		for k := 0; k <= len(answer); k++ {
			u := serve(t, inTwo(answer, k, then))
			cl := newClient(t, Options{})
			var x Exchange
			do(t, cl.Pool(u.target()), &x)
			got, err := readAll(&x)
			if err != nil || got != want {
				t.Fatalf("cut at %d of %q: body %q, %v", k, answer, got, err)
			}
			if x.Head.Status != 200 && x.Head.Status != 204 || !x.Complete() || string(x.Head.ContentType) != "a/b" {
				t.Fatalf("cut at %d: head %+v, complete %v", k, x.Head, x.Complete())
			}
			x.Done(true)
			if idle := stats(cl).Idle; idle == 1 != pooled {
				t.Fatalf("cut at %d of %q: %d idle", k, answer, idle)
			}
			cl.Close()
		}
	}
	shut := func(net.Conn) {}
	wait := func(c net.Conn) { hold(c) }
	f("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello", "hello", wait, true)
	f("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\nT: 1\r\n\r\n", "hello", wait, true)
	f("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhello", "hello", shut, false)
	f("HTTP/1.0 200 OK\nContent-Type: a/b\nContent-Length: 2\nConnection: Keep-Alive\n\nhi", "hi", wait, true)
	f("HTTP/1.0 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi", "hi", wait, false)
	f("HTTP/1.1 204 No\r\nContent-Type: a/b\r\n\r\n", "", wait, true)
	f("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\n!", "!", wait, true)
	f("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nhi", "hi", wait, false)
}

func TestExchange_BodyErrors(t *testing.T) {
	checkLeaks(t)
	f := func(answer, body string, want error) {
		t.Helper()
		u := serve(t, inTwo(answer, 0, func(net.Conn) {}))
		cl := newClient(t, Options{})
		var x Exchange
		do(t, cl.Pool(u.target()), &x)
		got, err := readAll(&x)
		var e *Error
		if got != body || !errors.Is(err, want) || !errors.As(err, &e) || e.Phase != PhaseBody || e.Timeout() {
			t.Fatalf("%q: body %q, %v", answer, got, err)
		}
		if _, again := x.Read(make([]byte, 9)); again != err {
			t.Fatalf("the error is not final: %v", again)
		}
		x.Done(true)
		if stats(cl).Idle != 0 {
			t.Fatal("pooled")
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "hello", ErrTruncated)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "hello", ErrTruncated)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", ErrTruncated)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello", ErrTruncated)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld", "hello", ErrChunk)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", "", ErrChunk)
}

func TestExchange_HeadErrors(t *testing.T) {
	checkLeaks(t)
	f := func(answer string, want error, hint string) {
		t.Helper()
		u := serve(t, inTwo(answer, 0, func(net.Conn) {}))
		cl := newClient(t, Options{MaxHead: 9000})
		var x Exchange
		err := cl.Pool(u.target()).Do(&x, second, []byte(request), []byte("{}"))
		var e *Error
		if !errors.Is(err, want) || !errors.As(err, &e) || e.Phase != PhaseHead || !strings.Contains(err.Error(), hint) || len(err.Error()) > 150 {
			t.Fatalf("%.60q: %v, want %v", answer, err, want)
		}
		x.Done(true)
		if st := stats(cl); st.Idle != 0 || st.InUse != 0 || st.Dials != 1 {
			t.Fatalf("%+v", st)
		}
	}
	f("", ErrTruncated, "closed the connection early")
	f("HTTP/1.1 200 OK\r\nA: ", ErrTruncated, "closed the connection early")
	f("HTTP/1.1 100 Continue\r\n\r\n", ErrTruncated, "")
	f("SSH-2.0-x\r\n", ErrBadResponse, `"SSH-2.0-x\r\n"`)
	f("\x15\x03\x01\x00", ErrBadResponse, `\x15`)
	f("HTTP/2.0 200 OK\r\n\r\n", ErrBadResponse, "HTTP/2")
	f("HTTP/1.1 099 OK\r\n\r\n", ErrBadResponse, "status line")
	f("HTTP/1.1 101 Switching\r\n\r\n", ErrBadResponse, "101")
	f(strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 65), ErrBadResponse, "102")
	f("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 9000)+"\r\n\r\n", ErrTooLarge, "response head too large")
	f("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ErrBadResponse, "both")
}

func TestExchange_LargeHead(t *testing.T) {
	u := serve(t, answering("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 8000)+"\r\nB: y\r\nContent-Length: 2\r\n\r\nhi"))
	cl := newClient(t, Options{MaxHead: 8100})
	var x Exchange
	do(t, cl.Pool(u.target()), &x)
	if len(x.Head.Get("a")) != 8000 || string(x.Head.Get("b")) != "y" {
		t.Fatalf("%d, %q", len(x.Head.Get("a")), x.Head.Get("b"))
	}
	wantBody(t, &x, "hi")
	x.Done(true)
}

func TestExchange_Head(t *testing.T) {
	u := serve(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	for range 3 {
		var x Exchange
		x.NoBody = true
		do(t, p, &x)
		wantBody(t, &x, "")
		if x.Head.ContentLength != 5000 {
			t.Fatalf("%+v", x.Head)
		}
		x.Done(true)
	}
	if st := stats(cl); st.Dials != 1 || st.Reused != 2 {
		t.Fatalf("%+v", st)
	}
}

// Bytes behind a body must never be the beginning of the next answer.
func TestExchange_ExtraBytesAreNotPooled(t *testing.T) {
	f := func(answer string) {
		t.Helper()
		u := serve(t, answering(answer))
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		for range 3 {
			var x Exchange
			do(t, p, &x)
			wantBody(t, &x, "hi")
			x.Done(true)
		}
		if st := stats(cl); st.Dials != 3 || st.Idle != 0 {
			t.Fatalf("%+v", st)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
}

func TestExchange_ReadGivesWhatIsAtHand(t *testing.T) {
	step := make(chan struct{})
	u := serve(t, func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none,\r\n4\r\ntwo,\r\n3")
		<-step
		io.WriteString(c, "\r\nend\r\n0\r\n\r\n")
		hold(c)
	})
	cl := newClient(t, Options{})
	var x Exchange
	do(t, cl.Pool(u.target()), &x)
	if x.Buffered() != 8 || x.Complete() || x.UntilClose() {
		t.Fatalf("%d buffered", x.Buffered())
	}
	p := make([]byte, 100)
	if n, err := x.Read(p); err != nil || string(p[:n]) != "one,two," || x.Buffered() != 0 {
		t.Fatalf("%q, %v", p[:n], err)
	}
	close(step)
	if err := x.Wait(); err != nil {
		t.Fatal(err)
	}
	if n, err := x.Read(p); err != nil || string(p[:n]) != "end" || !x.Complete() {
		t.Fatalf("%q, %v", p[:n], err)
	}
	if n, err := x.Read(p); n != 0 || err != io.EOF {
		t.Fatalf("%d, %v", n, err)
	}
	if x.Peer != fmt.Sprintf("127.0.0.1:%d", u.port) || x.Connect <= 0 || x.Header < x.Connect {
		t.Fatalf("peer %q, connect %v, header %v", x.Peer, x.Connect, x.Header)
	}
	x.Done(true)
	if !x.Complete() {
		t.Fatal("Done took completeness away")
	}
}

// A stream of events through Wait and Read loses no edge and no byte.
func TestExchange_WaitStream(t *testing.T) {
	const events = 2000
	u := serve(t, func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range events {
			fmt.Fprintf(c, "8\r\n%08d\r\n", i)
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		io.WriteString(c, "0\r\n\r\n") // and FIN right behind it
	})
	cl := newClient(t, Options{})
	var x Exchange
	do(t, cl.Pool(u.target()), &x)
	var all []byte
	p := make([]byte, 100)
	for {
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		n, err := x.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for i := range events {
		if got := string(all[i*8 : i*8+8]); got != fmt.Sprintf("%08d", i) {
			t.Fatalf("event %d is %q", i, got)
		}
	}
	x.Done(true)
}

func TestExchange_Timeouts(t *testing.T) {
	checkLeaks(t)
	u := serve(t, func(c net.Conn, nth int) {
		readRequest(bufio.NewReader(c))
		if nth > 0 {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
		}
		hold(c)
	})
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	tm := Timeouts{Connect: time.Second, Send: time.Second, Read: 80 * time.Millisecond}
	within := func(t0 time.Time, d time.Duration) {
		t.Helper()
		if took := time.Since(t0); took < d || took > d+d/8+time.Second {
			t.Fatalf("took %v, want %v", took, d)
		}
	}

	var x Exchange
	t0 := time.Now()
	wantTimeout(t, p.Do(&x, tm, []byte(request), []byte("{}")), PhaseHead)
	within(t0, tm.Read)

	x.Reset()
	if err := p.Do(&x, tm, []byte(request), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	x.Read(b)
	t0 = time.Now()
	_, err := x.Read(b)
	wantTimeout(t, err, PhaseBody)
	within(t0, tm.Read-tm.Read/8)
	x.Done(true)

	x.Reset()
	do(t, p, &x)
	x.Read(b)
	x.SetWait(50 * time.Millisecond)
	t0 = time.Now()
	wantTimeout(t, x.Wait(), PhaseBody)
	within(t0, 50*time.Millisecond)
	x.Done(true)
	if st := stats(cl); st.Idle != 0 || st.InUse != 0 || st.Stale != 0 {
		t.Fatalf("%+v", st)
	}
}

// A wait is measured from the last read, not from the head.
func TestExchange_SlowStreamDoesNotTimeOut(t *testing.T) {
	u := serve(t, func(c net.Conn, _ int) {
		readRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
		for range 20 {
			time.Sleep(20 * time.Millisecond)
			io.WriteString(c, "x")
		}
		hold(c)
	})
	cl := newClient(t, Options{})
	var x Exchange
	tm := Timeouts{Read: 150 * time.Millisecond}
	if err := cl.Pool(u.target()).Do(&x, tm, []byte(request), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	wantBody(t, &x, strings.Repeat("x", 20))
	x.Done(true)
}

func TestExchange_Interrupt(t *testing.T) {
	checkLeaks(t)
	u := serve(t, func(c net.Conn, nth int) {
		readRequest(bufio.NewReader(c))
		if nth > 0 {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
		}
		hold(c)
	})
	cl := newClient(t, Options{})
	p := cl.Pool(u.target())
	var x Exchange
	time.AfterFunc(30*time.Millisecond, x.Interrupt)
	wantTimeout(t, p.Do(&x, second, []byte(request), []byte("{}")), PhaseHead)

	f := func(wait func() error) {
		t.Helper()
		x.Reset()
		do(t, p, &x)
		t0 := time.Now()
		time.AfterFunc(30*time.Millisecond, x.Interrupt)
		wantTimeout(t, wait(), PhaseBody)
		if time.Since(t0) > time.Second {
			t.Fatal("late")
		}
		wantTimeout(t, wait(), PhaseBody)
		x.Done(true)
	}
	f(func() error { _, err := x.Read(make([]byte, 5)); return err })
	f(x.Wait)
	if st := stats(cl); st.Idle != 0 {
		t.Fatalf("%+v", st)
	}
	x.Interrupt() // over: nothing
	x.Reset()
	x.Interrupt()
	wantTimeout(t, p.Do(&x, second, []byte(request)), PhaseHead)
}

func TestExchange_ReadAfterDone(t *testing.T) {
	u := serve(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	cl := newClient(t, Options{})
	var x Exchange
	if _, err := x.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Fatalf("before Do: %v", err)
	}
	x.Done(true)
	do(t, cl.Pool(u.target()), &x)
	x.Done(true)
	x.Done(true)
	if n, err := x.Read(make([]byte, 9)); n != 0 || err == nil || err == io.EOF || x.Complete() {
		t.Fatalf("%d, %v", n, err)
	}
	x.Reset()
	if cap(x.buf) == 0 {
		t.Fatal("Reset dropped a small buffer")
	}
	x.buf = make([]byte, keepBuf+1)
	if x.Reset(); x.buf != nil {
		t.Fatal("Reset kept a large buffer")
	}
}
