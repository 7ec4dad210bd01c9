package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes as they are and returns the statuses of the answers until
// the gateway closes or falls silent for a moment.
func (r *rig) raw(text string) (statuses []int, closed bool) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
	br := bufio.NewReader(c)
	for {
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			ne, ok := err.(net.Error)
			return statuses, !(ok && ne.Timeout())
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			r.t.Errorf("body of answer %d: %v", len(statuses), err)
		}
		statuses = append(statuses, resp.StatusCode)
	}
}

func post(path, headers, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body)
}

// Rulings 1 and 2 of the architecture: what two parsers may read differently
// is refused and the connection closed.
func TestSmuggling(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	second := post("/c", "", chat)
	f := func(name, text string) {
		t.Helper()
		st, closed := r.raw(text + second)
		if len(st) != 1 || st[0] != 400 || !closed {
			t.Errorf("%s: statuses %v, closed %v; want one 400 and the end", name, st, closed)
		}
	}
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(chat), chat)
	f("length before coding", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s", len(chunked), chunked))
	f("coding before length", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n%s", 5, chunked))
	f("identity and length", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: %d\r\n\r\n%s", len(chat), chat))
	f("two lengths", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Length: 3\r\n\r\n%s", len(chat), chat))
	f("two equal lengths", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Length: %d\r\n\r\n%s", len(chat), len(chat), chat))
	f("signed length", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: +%d\r\n\r\n%s", len(chat), chat))
	f("coding on HTTP/1.0", "POST /c HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked)
	f("unknown coding", "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"+chunked)
	f("coding twice", "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked)
	f("no host", fmt.Sprintf("POST /c HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(chat), chat))
	f("two hosts", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: %d\r\n\r\n%s", len(chat), chat))
	f("folded line", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\nContent-Length: %d\r\n\r\n%s", len(chat), chat))
	f("space before the colon", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length : %d\r\n\r\n%s", len(chat), chat))
	f("garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n")
}

// A connection goes on after every kind of error, and what is left of a
// refused body is never read as the next request.
func TestKeepAliveAfterErrors(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"max_req_body_size":1000`)
	good := post("/c", "", chat)
	f := func(name, text string, want int) {
		t.Helper()
		st, _ := r.raw(text + good)
		if len(st) != 2 || st[0] != want || st[1] != 200 {
			t.Errorf("%s: statuses %v, want %d and 200", name, st, want)
		}
	}
	big := strings.Repeat("x", 100_000)
	f("404", post("/none", "", chat), 404)
	f("404 with a body that nobody reads", post("/none", "", big), 404)
	f("404 with a chunked body", "POST /none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"+big+"\r\n0\r\n\r\n", 404)
	f("wrong type", post("/c", "Content-Type: text/plain\r\n", chat), 400)
	f("empty body", post("/c", "", ""), 400)
	f("bad JSON", post("/c", "", "{nope"), 400)
	f("no protocol", post("/c", "", "{}"), 400)
	f("too large", post("/c", "", big), 413)
	f("too large, chunked", "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"+big+"\r\n0\r\n\r\n", 413)
	f("provider says 429", post("/c", "x-mock-status: 429\r\n", chat), 429)
	f("provider says 500", post("/c", "x-mock-status: 500\r\n", chat), 500)
	f("provider closes", post("/c", "x-mock-close-before-head: 1\r\n", chat), 500)
	f("provider talks garbage", post("/c", "x-mock-garbage: head\r\n", chat), 500)
	f("a stream before", post("/c", "", chatStream), 200)

	// 1 MiB is too much to read for nothing: the connection ends.
	st, closed := r.raw(post("/none", "", strings.Repeat("y", 1<<20)) + good)
	if len(st) != 1 || st[0] != 404 || !closed {
		t.Errorf("1 MiB to nobody: statuses %v, closed %v", st, closed)
	}
}

func TestExpect(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", `,"max_req_body_size":100000`)
	talk := func(head string) (first string, br *bufio.Reader, c net.Conn) {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, head)
		br = bufio.NewReader(c)
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		first, err = br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return first, br, c
	}
	head := func(n int) string {
		return fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", n)
	}
	first, _, _ := talk(head(100001))
	if !strings.Contains(first, "413") {
		t.Errorf("oversized: %q, want 413 without a 100", first)
	}
	first, br, c := talk(head(len(chat)))
	if !strings.Contains(first, "100") {
		t.Fatalf("%q, want 100 Continue", first)
	}
	br.ReadString('\n')
	io.WriteString(c, chat)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("after 100: %v %v", resp, err)
	}
}

func TestHTTP10(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /c HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(chatStream), chatStream)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	if strings.Contains(strings.ToLower(head), "transfer-encoding") || !strings.HasSuffix(body, "data: [DONE]\n\n") || !strings.HasPrefix(body, "data: ") {
		t.Errorf("HTTP/1.0 stream: head %q, body starts %.60q", head, body)
	}
}

func TestSlowClients(t *testing.T) {
	r := newRig(t, Options{HeaderTimeout: 200 * time.Millisecond, BodyTimeout: 200 * time.Millisecond, IdleTimeout: 200 * time.Millisecond})
	r.route("1", "/c", "")
	f := func(name, text, want string) {
		t.Helper()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, text)
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		all, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("%s: connection still open: %v", name, err)
		}
		line, _, _ := strings.Cut(string(all), "\r\n")
		if !strings.Contains(line, want) || want == "" && len(all) > 0 {
			t.Errorf("%s: %q, want %q", name, line, want)
		}
	}
	f("half a head", "POST /c HTTP/1.1\r\nHost:", "408")
	f("half a body", "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n{", "408")
	r.raw(post("/none", "", "")) // an idle connection is closed without a word: see the next
	c, _ := net.Dial("tcp", r.addr)
	defer c.Close()
	io.WriteString(c, post("/none", "", ""))
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	all, err := io.ReadAll(c)
	if err != nil || strings.Count(string(all), "HTTP/1.1") != 1 {
		t.Errorf("idle connection: %v %q", err, all)
	}
}

func TestLargeHead(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/c", "")
	st, _ := r.raw(post("/c", "Authorization: Bearer "+strings.Repeat("t", 14<<10)+"\r\n", chat))
	if len(st) != 1 || st[0] != 200 {
		t.Errorf("14 KiB of headers: %v", st)
	}
	st, closed := r.raw(post("/c", "Authorization: Bearer "+strings.Repeat("t", 20<<10)+"\r\n", chat))
	if len(st) != 1 || st[0] != 431 || !closed {
		t.Errorf("20 KiB of headers: %v %v", st, closed)
	}
}
