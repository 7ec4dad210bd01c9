package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const upgradeHead = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\n\r\n"

// echo is an upstream that upgrades and sends everything back until its
// client ends; closed is told when its connection is over.
func (r *rig) echo(closed chan<- string) string {
	return r.serving(func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") || req.Header.Get("Connection") != "Upgrade" {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, upgradeHead+"hello ")
		_, err = io.Copy(c, br)
		if tc := c.(*net.TCPConn); err == nil && req.URL.RawQuery == "late" {
			for range 4 { // goes on after the client has said everything
				time.Sleep(200 * time.Millisecond)
				io.WriteString(tc, "late ")
			}
		}
		closed <- req.Header.Get("Sec-WebSocket-Key")
	})
}

// dial opens a tunnel, with first sent behind the head, and returns it behind
// the answer's head.
func (r *rig) dial(target, first string) (net.Conn, *bufio.Reader, *http.Response) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n%s", target, first)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, br, resp
}

func expect(t *testing.T, br *bufio.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(br, got); err != nil || string(got) != want {
		t.Fatalf("%q %v, want %q", got, err, want)
	}
}

func TestTunnel(t *testing.T) {
	r, lines := logRig(t, "$status $upstream_status $body_bytes_sent $request_type")
	closed := make(chan string, 9)
	up := r.echo(closed)
	r.proxied("1", "/ws", "{"+nodes(up)+"}", `,"enable_websocket":true`)
	c, br, resp := r.dial("/ws", "first ")
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "Upgrade" ||
		resp.Header.Get("Sec-WebSocket-Accept") != "abc" || resp.Header.Get("Content-Length")+resp.Header.Get("Transfer-Encoding") != "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	expect(t, br, "hello first ")
	for i := range 100 {
		msg := strings.Repeat(fmt.Sprint(i), 1+i*i)
		io.WriteString(c, msg)
		expect(t, br, msg)
	}
	if n := r.e.Streams(); n != 1 {
		t.Errorf("%d streams", n)
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("behind the end: %q %v", rest, err)
	}
	if key := <-closed; key != "k" {
		t.Errorf("key %q", key)
	}
	poll(t, "it is over", func() bool { return r.e.Streams() == 0 && r.e.conns.len() == 0 })
	if l := lines(1)[0]; !strings.HasPrefix(l, "101 101 ") || !strings.HasSuffix(l, " traditional_http") {
		t.Errorf("log %q", l)
	}

	// Both ways at once, more than all buffers on the way hold.
	c, br, _ = r.dial("/ws", "")
	expect(t, br, "hello ")
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	go func() { c.Write(data); c.(*net.TCPConn).CloseWrite() }()
	got, err := io.ReadAll(br)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	<-closed
}

func TestTunnelHalfClose(t *testing.T) {
	r := newRig(t, Options{})
	closed := make(chan string, 9)
	r.proxied("1", "/ws", "{"+nodes(r.echo(closed))+"}", `,"enable_websocket":true`)
	c, br, _ := r.dial("/ws?late", "bye ")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(br); err != nil || string(got) != "hello bye late late late late " {
		t.Errorf("%q %v", got, err)
	}
	<-closed
}

// Without enable_websocket, or when the client does not mean it, there is no tunnel.
func TestTunnelRefused(t *testing.T) {
	r := newRig(t, Options{})
	closed := make(chan string, 9)
	up := r.echo(closed)
	r.proxied("1", "/off", "{"+nodes(up)+"}", "")
	r.proxied("2", "/on", "{"+nodes(up)+"}", `,"enable_websocket":true`)
	r.proxied("3", "/plain", "{"+nodes(r.named("plain"))+"}", `,"enable_websocket":true`)
	if _, _, resp := r.dial("/off", ""); resp.StatusCode != 400 {
		t.Errorf("off: %d", resp.StatusCode)
	}
	if got := r.talk("GET /on HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("no token: %s", got)
	}
	if _, br, resp := r.dial("/plain", ""); resp.StatusCode != 200 {
		t.Errorf("an upstream that does not upgrade: %d", resp.StatusCode)
	} else {
		expect(t, br, "plain")
	}
}

// When one side vanishes the other is freed within a second.
func TestTunnelGone(t *testing.T) {
	r := newRig(t, Options{})
	over := make(chan time.Time, 1)
	var leave chan struct{}
	up := r.serving(func(c net.Conn, br *bufio.Reader) {
		http.ReadRequest(br)
		io.WriteString(c, upgradeHead)
		select {
		case <-leave:
			return
		default:
		}
		if leave != nil { // does not read
			<-leave
			c.(*net.TCPConn).SetLinger(0)
			return
		}
		io.Copy(io.Discard, br)
		over <- time.Now()
	})
	r.proxied("1", "/ws", "{"+nodes(up)+"}", `,"enable_websocket":true`)
	ended := func(what string, start time.Time) {
		t.Helper()
		poll(t, what, func() bool { return r.e.Streams() == 0 && r.e.conns.len() == 0 })
		if d := time.Since(start); d > 1200*time.Millisecond {
			t.Errorf("%s: freed only after %v", what, d)
		}
	}
	c, _, _ := r.dial("/ws", "x")
	start := time.Now()
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	ended("the client is reset", start)
	if d := (<-over).Sub(start); d > time.Second {
		t.Errorf("the upstream learns after %v", d)
	}

	leave = make(chan struct{})
	stuffed := func() net.Conn { // writes until nothing moves any more
		c, _, _ := r.dial("/ws", "x")
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		io.Copy(c, endless{})
		return c
	}
	c = stuffed()
	start = time.Now()
	c.(*net.TCPConn).SetLinger(0) // else its end waits behind what it has sent
	c.Close()
	ended("the client is reset before a stuck upstream", start)

	c = stuffed()
	start = time.Now()
	leave <- struct{}{}
	leave <- struct{}{} // the one before
	ended("the upstream leaves", start)
	c.Close()
}

func TestTunnelIdle(t *testing.T) {
	r := newRig(t, Options{})
	closed := make(chan string, 9)
	r.proxied("1", "/ws", "{"+nodes(r.echo(closed))+`,"timeout":{"connect":1,"send":1,"read":0.4}}`, `,"enable_websocket":true`)
	c, br, _ := r.dial("/ws", "")
	expect(t, br, "hello ")
	start := time.Now()
	for range 4 {
		time.Sleep(150 * time.Millisecond)
		io.WriteString(c, "ping")
		expect(t, br, "ping")
	}
	if _, err := br.ReadByte(); err == nil || time.Since(start) < 900*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	<-closed
}

func TestTunnelShutdown(t *testing.T) {
	r := newRig(t, Options{})
	closed := make(chan string, 9)
	r.proxied("1", "/ws", "{"+nodes(r.echo(closed))+"}", `,"enable_websocket":true`)
	c, br, _ := r.dial("/ws", "")
	expect(t, br, "hello ")
	ctx, cancel := contextWithTimeout(300 * time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.e.Shutdown(ctx) }()
	io.WriteString(c, "still here")
	expect(t, br, "still here")
	if err := <-done; err == nil {
		t.Error("the shutdown did not wait")
	}
	if _, err := br.ReadByte(); err == nil {
		t.Error("the tunnel is open")
	}
	<-closed
	poll(t, "it is over", func() bool { return r.e.Streams() == 0 })
}
