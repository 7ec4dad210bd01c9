package wire

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestHead_Parse(t *testing.T) {
	f := func(head string, want Head) {
		t.Helper()
		var h Head
		b := []byte(head)
		if n := headEnd(b, 0); n != len(b) {
			t.Fatalf("headEnd %d of %d", n, len(b))
		}
		if err := h.parse(b); err != nil {
			t.Fatal(err)
		}
		if h.Status != want.Status || h.Proto10 != want.Proto10 || string(h.ContentType) != string(want.ContentType) ||
			h.ContentLength != want.ContentLength || h.Chunked != want.Chunked || h.Close != want.Close || string(h.Raw) != string(want.Raw) {
			t.Fatalf("%q:\n got %+v\nwant %+v", head, h, want)
		}
	}
	f("HTTP/1.1 200 OK\r\n\r\n", Head{Status: 200, ContentLength: -1})
	f("HTTP/1.1 999\n\n", Head{Status: 999, ContentLength: -1})
	f("HTTP/1.7 200 \xff\r\nA:b\r\n\r\n", Head{Status: 200, ContentLength: -1, Raw: []byte("A:b\r\n")})
	f("HTTP/1.1 200 OK\r\ncONTENT-tYPE: \t a/b \r\nContent-Type: c\r\nContent-Length: 007, 7\r\nContent-Length: 7\r\n\r\n",
		Head{Status: 200, ContentLength: 7, ContentType: []byte("a/b"), Raw: []byte("cONTENT-tYPE: \t a/b \r\nContent-Type: c\r\nContent-Length: 007, 7\r\nContent-Length: 7\r\n")})
	f("HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\n\n", Head{Status: 200, ContentLength: -1, Chunked: true, Raw: []byte("transfer-encoding: CHUNKED\n")})
	f("HTTP/1.0 200 OK\r\n\r\n", Head{Status: 200, ContentLength: -1, Proto10: true, Close: true})
	f("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", Head{Status: 200, ContentLength: -1, Proto10: true, Raw: []byte("Connection: keep-alive\r\n")})
	f("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
		Head{Status: 200, ContentLength: -1, Close: true, Raw: []byte("Connection: keep-alive\r\nConnection: close\r\n")})
	f("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775799\r\n\r\n",
		Head{Status: 200, ContentLength: 9223372036854775799, Raw: []byte("Content-Length: 9223372036854775799\r\n")})
}

func TestHead_ParseError(t *testing.T) {
	f := func(head string) {
		t.Helper()
		var h Head
		if err := h.parse([]byte(head)); !errors.Is(err, ErrBadResponse) {
			t.Fatalf("%q: %v, %+v", head, err, h)
		}
	}
	for _, line := range []string{"", "HTTP/1.1", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK", "HTTP/1.x 200 OK", "HTTP/1.1  200 OK",
		"http/1.1 200 OK", "HTTP/1.10 200 OK", "HTTP/1.1 000 OK", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\x00K"} {
		f(line + "\r\n\r\n")
	}
	for _, line := range []string{"nocolon", ": v", "A : v", "A\t: v", " A: v", "\tfold", "A: b\x00", "A: b\rc", "A: b\r", "\xff: v", "A(: v",
		"Content-Length:", "Content-Length: -1", "Content-Length: +1", "Content-Length: 1 2", "Content-Length: 0x1", "Content-Length: 1,",
		"Content-Length: 1, 2", "Content-Length: 9223372036854775808", "Content-Length: 99999999999999999999", "Content-Length: 1\r\nContent-Length: 2",
		"Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding:", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 1",
		"Content-Length: 1\r\nTransfer-Encoding: chunked"} {
		f("HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n")
	}
}

func TestHead_Get(t *testing.T) {
	var h Head
	if err := h.parse([]byte("HTTP/1.1 200 OK\r\nA: 1\r\nX-Long-Name:  two words \r\nEmpty:\r\nA: 3\r\n^: caret\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	f := func(name, want string, found bool) {
		t.Helper()
		if got := h.Get(name); string(got) != want || got != nil != found {
			t.Fatalf("%s: %q", name, got)
		}
	}
	f("a", "1", true)
	f("x-LONG-name", "two words", true)
	f("EMPTY", "", true)
	f("x-long", "", false)
	f("", "", false)
	f("~", "", false)
	var names []string
	for n, v := range h.All {
		names = append(names, string(n)+"="+string(v))
		if string(n) == "Empty" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "A=1 X-Long-Name=two words Empty=" {
		t.Fatal(got)
	}
	if n := testing.AllocsPerRun(100, func() { h.Get("not-there") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestHead_EndCutAnywhere(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n"} {
		for k := range head {
			if n := headEnd([]byte(head[:k]), 0); n != -1 {
				t.Fatalf("%q: %d", head[:k], n)
			}
			if n := headEnd([]byte(head+"body"), k); n != len(head) {
				t.Fatalf("%q from %d: %d", head, k, n)
			}
		}
	}
}

// FuzzHead: never a panic, and what we accept net/http reads the same way.
func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404 Not Found\nContent-Length: 5, 5\nConnection: keep-alive\n\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n fold\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := headEnd(b, 0)
		for k := range b {
			if m := headEnd(b, k); n >= 0 && k < n && m != n {
				t.Fatalf("headEnd from %d is %d, from 0 %d", k, m, n)
			}
		}
		var h Head
		if n < 0 {
			h.parse(b) // must only not panic
			return
		}
		if err := h.parse(b[:n]); err != nil {
			if !errors.Is(err, ErrBadResponse) || len(err.Error()) > 250 {
				t.Fatalf("%v", err)
			}
			return
		}
		h.Get("content-type")
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: "GET"})
		if err != nil {
			// The other reader is stricter in what does not matter to us.
			return
		}
		if resp.StatusCode != h.Status {
			t.Fatalf("status %d, net/http %d", h.Status, resp.StatusCode)
		}
		if got, want := string(h.Get("Content-Type")), resp.Header.Get("Content-Type"); got != strings.TrimSpace(want) && got != want {
			t.Fatalf("type %q, net/http %q", got, want)
		}
		bodyless := h.Status < 200 || h.Status == 204 || h.Status == 304
		if chunked := len(resp.TransferEncoding) > 0; chunked != h.Chunked && !bodyless && !h.Proto10 {
			t.Fatalf("chunked %v, net/http %v", h.Chunked, resp.TransferEncoding)
		}
		if !bodyless && !h.Chunked && !h.Proto10 && resp.ContentLength != h.ContentLength {
			t.Fatalf("length %d, net/http %d", h.ContentLength, resp.ContentLength)
		}
	})
}
