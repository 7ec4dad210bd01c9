package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// digest answers with the hash of a request's body, TLS or not.
func digest(c net.Conn, _ int) {
	r := bufio.NewReader(c)
	for {
		n := 0
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Sscanf(line, "Content-Length: %d", &n)
			if line == "\r\n" {
				break
			}
		}
		h := sha256.New()
		if _, err := io.CopyN(h, r, int64(n)); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n%x", h.Sum(nil))
	}
}

func checkSizes(t *testing.T, p *Pool) {
	t.Helper()
	var x Exchange
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	for _, sizes := range [][]int{{}, {0}, {1}, {3900, 1}, {4096}, {5000, 0, 3}, {16383, 2}, {16 << 10}, {1, 16 << 10, 1}, {sendPiece}, {sendPiece - 1, 2}, {1000, 3 << 20, 5}} {
		var body [][]byte
		total := 0
		for _, n := range sizes {
			body = append(body, big[total%7:][:min(n, len(big)-7)])
			total += len(body[len(body)-1])
		}
		head := fmt.Appendf(nil, "POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", total)
		x.Reset()
		if err := p.Do(&x, second, head, body...); err != nil {
			t.Fatal(err)
		}
		wantBody(t, &x, fmt.Sprintf("%x", sha256.Sum256(bytes.Join(body, nil))))
		x.Done(true)
	}
	for _, b := range x.vec[:cap(x.vec)] {
		if b != nil {
			t.Fatal("a request is kept in memory")
		}
	}
}

func TestExchange_SendSizes(t *testing.T) {
	checkLeaks(t)
	u := serve(t, digest)
	cl := newClient(t, Options{})
	checkSizes(t, cl.Pool(u.target()))
	if st := stats(cl); st.Dials != 1 {
		t.Fatalf("%+v", st)
	}
}

// An upstream that takes a little now and then is slow, not dead.
func TestExchange_SendSlowly(t *testing.T) {
	u := serve(t, func(c net.Conn, _ int) {
		c.(*net.TCPConn).SetReadBuffer(64 << 10)
		b := make([]byte, 256<<10)
		for left := 16 << 20; left > 0; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if left -= n; left > 1<<20 {
				time.Sleep(time.Duration(n) * 15 * time.Millisecond / (256 << 10))
			}
		}
		io.WriteString(c, ok2)
		hold(c)
	})
	cl := newClient(t, Options{})
	var x Exchange
	head := "POST / HTTP/1.1\r\n\r\n"
	tm := Timeouts{Send: 400 * time.Millisecond, Read: 5 * time.Second}
	t0 := time.Now()
	if err := cl.Pool(u.target()).Do(&x, tm, []byte(head), make([]byte, 16<<20-len(head))); err != nil {
		t.Fatalf("after %v: %v", time.Since(t0), err)
	}
	if took := time.Since(t0); took < tm.Send {
		t.Logf("sent in %v: this run shows nothing", took)
	}
	x.Done(false)
}

// What users saw with other proxies: a 413 that arrives as a broken pipe.
func TestExchange_EarlyAnswer(t *testing.T) {
	for range 20 {
		u := serve(t, func(c net.Conn, _ int) {
			r := bufio.NewReader(c)
			r.ReadString('\n')
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nhi")
			c.(*net.TCPConn).CloseWrite()
			time.Sleep(20 * time.Millisecond)
			c.(*net.TCPConn).SetLinger(0)
		})
		cl := newClient(t, Options{})
		var x Exchange
		err := cl.Pool(u.target()).Do(&x, second, []byte(strings.Repeat(request, 1)), make([]byte, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		if x.Head.Status != 413 || !x.Head.Close {
			t.Fatalf("%+v", x.Head)
		}
		x.Done(true)
		if st := stats(cl); st.Idle != 0 {
			t.Fatalf("%+v", st)
		}
	}
}
