package driver

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ai-proxy.md section 2.11.
func TestHeadHeaders(t *testing.T) {
	const end = "content-type: application/json\r\ncontent-length: 7\r\n\r\n"
	f := func(mark, auth, headers, extra, want string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":{"header":`+auth+`}}`)
		got, err := in.AppendHead([]byte("keep"), &HeadInput{Target: OpenAIChat, Headers: []byte(headers), Extra: []byte(extra), ContentLength: 7})
		want = "keepPOST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\n" + want
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %q\nwant %q", mark, err, got, want)
		}
	}
	f("none", `{}`, "", "", end)
	f("T: header-forwarding 4", `{"Authorization":"Bearer k"}`, "Host: me\r\nCookie: a=b\r\nAUTHORIZATION: mine\r\nX-A: 1\r\nx-a: 2\r\n\r\n", "",
		"cookie: a=b\r\nx-a: 1\r\nx-a: 2\r\nauthorization: Bearer k\r\n"+end)
	f("T: ai-proxy.t 24b", `{"Host":"x","Content-Length":"1","Accept-Encoding":"br","Content-Type":"text/plain"}`,
		"Content-Length: 3\r\nAccept-Encoding: gzip\r\nContent-Type: application/json; charset=utf-8\r\nUser-Agent: u\r\n", "", "user-agent: u\r\n"+end)
	f("hop by hop", `{"Connection":"x"}`,
		"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Hops: 2\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\nTE: trailers\r\nTrailer: c\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n", "",
		"x-hops: 2\r\n"+end)
	f("two Connection headers", `{}`, "x-two: 1\r\nconnection: close\r\nX-One: 1\r\nConnection: x-one\r\nConnection:,x-two ,\r\ny: 1\r\n", "", "y: 1\r\n"+end)
	f("Connection cannot take away auth", `{"x-key":"k"}`, "Connection: x-key, content-type\r\nX-Key: mine\r\n", "", "x-key: k\r\n"+end)
	f("T: ai-proxy.t 22", `{}`, "X-Request-Id: client\r\nA: 1\r\nB: 2\r\n", "X-Request-Id: gateway\r\nb:\r\n", "a: 1\r\nx-request-id: gateway\r\n"+end)
	f("auth wins over plugins", `{"k":"v"}`, "", "K: x\r\nHost: y\r\n", "k: v\r\n"+end)
	f("auth by lower-cased name", `{"X-Key":"1","x-key":"2"}`, "", "", "x-key: 2\r\n"+end)
	f("odd lines", `{}`, "no colon\r\n: empty\r\nbad name: 1\r\nsp : 1\r\nA:\r\nB: x\ry\x00z\r\nC: one\r\n two\r\n\tthree\r\nD: \t d \t\r\n\r\n", "",
		"a: \r\nb: x y z\r\nc: one   two  \tthree\r\nd: d\r\n"+end)
	f("bare line feeds", `{}`, "A: 1\nB: 2", "", "a: 1\r\nb: 2\r\n"+end)
}

// ai-proxy.md section 2.9.
func TestHeadQuery(t *testing.T) {
	f := func(mark, auth, endpoint string, p Proto, client, want string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":{"query":`+auth+`},"override":{"endpoint":"http://h/p`+endpoint+`"}}`)
		got, err := in.AppendHead(nil, &HeadInput{Method: []byte("GET"), Path: []byte("/c"), Query: []byte(client), Target: p})
		line, _, _ := strings.Cut(string(got), " HTTP/1.1\r\n")
		if _, target, _ := strings.Cut(line, " "); err != nil || target != "/p"+want {
			t.Errorf("%s: %s, want %s", mark, target, want)
		}
	}
	f("none", `{}`, "", OpenAIChat, "x=1", "")
	f("T: ai-proxy2.t 7-8", `{"k":"a b&c"}`, "?v=1", OpenAIChat, "x=1", "?k=a%20b%26c&v=1")
	f("order", `{"z":"1","a":"2"}`, "?y=3&b=4", OpenAIChat, "", "?z=1&a=2&y=3&b=4")
	f("endpoint wins", `{"k":"1","l":"2"}`, "?%6B=3&k=4", OpenAIChat, "", "?l=2&%6B=3&k=4")
	f("bare and repeated", `{}`, "?a&b=1&b=2&&=x", OpenAIChat, "", "?a&b=1&b=2")
	f("T: pt 11", `{}`, "", Passthrough, "a=1&b&a=2", "?a=1&b&a=2")
	f("T: pt 15", `{"k":"1"}`, "", Passthrough, "k=2&%6b=3&x=4", "?k=1&x=4")
	f("T: pt 17", `{}`, "?v=1&w=2", Passthrough, "v=9", "?w=2&v=9")
	f("auth with the endpoint's value", `{"v":"0"}`, "?v=1", Passthrough, "v=9&x=1", "?v=1&x=1")
	f("plus is a space", `{"a b":"0"}`, "", Passthrough, "a+b=9&c=1+2", "?a%20b=0&c=1+2")
	f("unsafe bytes", `{}`, "", Passthrough, "a=\r\nx: y é\"", "?a=%0D%0Ax:%20y%20%C3%A9%22")
}

// A compiled instance stays as it is, whatever requests did (T: ai-proxy.t 37).
func TestHeadRepeat(t *testing.T) {
	in := compile(t, `{"provider":"openai","auth":{"query":{"k":"1"}},"override":{"endpoint":"http://h?v=1"}}`)
	rq := &HeadInput{Method: []byte("PUT"), Path: []byte("/c"), Query: []byte("v=2"), Target: Passthrough}
	one, _ := in.AppendHead(nil, rq)
	two, _ := in.AppendHead(nil, rq)
	if !bytes.Equal(one, two) || !strings.HasPrefix(string(one), "PUT /c?k=1&v=2 HTTP/1.1\r\n") { // T: pt 13
		t.Errorf("%s\n%s", one, two)
	}
}

func TestHeadPath(t *testing.T) {
	in := compile(t, `{"provider":"openai","auth":{}}`)
	f := func(method, path, raw, want string) {
		t.Helper()
		got, _ := in.AppendHead(nil, &HeadInput{Method: []byte(method), Path: []byte(path), RawPath: []byte(raw), Target: Passthrough})
		if line, _, _ := strings.Cut(string(got), "\r\n"); line != want+" HTTP/1.1" {
			t.Errorf("%s %s: %s", path, raw, line)
		}
	}
	f("GET", "/a b/é", "", "GET /a%20b/%C3%A9")
	f("GET", "/a/b", "/a%2Fb", "GET /a%2Fb")
	f("GET", "/b", "/a/../b", "GET /b")
	f("GET", "/a%2F?#", "", "GET /a%252F%3F%23")
	f("GET", "/a?b", "/a?b", "GET /a%3Fb")
	f("GET", "/x\r\ny: z", "/x\r\ny: z", "GET /x%0D%0Ay:%20z")
	f("GET", "", "", "GET /")
	f("G T", "/", "", "POST /")
	f("", "/", "", "POST /")
}

// FuzzHead: whatever the client sends, the head stays one request with the
// gateway's own framing, host and credentials.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET"), []byte("/a"), []byte("/a"), []byte("a=1"), []byte("A: b\r\nConnection: x\r\n"), []byte("X: y\r\n"))
	f.Add([]byte("X\r"), []byte("\r\n"), []byte("%0a"), []byte("\r\n&"), []byte("A: b\n c\r\nauthorization: x"), []byte(":"))
	cfg, err := ParseConfig([]byte(`{"provider":"openai","auth":{"header":{"authorization":"Bearer k"},"query":{"key":"q"}}}`))
	if err != nil {
		f.Fatal(err)
	}
	in, err := CompileInstance("one", cfg, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, raw, query, headers, extra []byte) {
		for _, p := range []Proto{OpenAIChat, Passthrough} {
			head, err := in.AppendHead(nil, &HeadInput{Method: method, Path: path, RawPath: raw, Query: query, Headers: headers, Extra: extra, Target: p, ContentLength: 2})
			if err != nil {
				t.Fatal(err)
			}
			if string(method) == "CONNECT" || string(method) == "PRI" {
				continue // net/http reads their targets in a way of its own
			}
			r := bufio.NewReader(bytes.NewReader(append(head, "{}"...)))
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Fatalf("%v\n%q", err, head)
			}
			body, _ := io.ReadAll(req.Body)
			if string(body) != "{}" || r.Buffered() != 0 || req.Host != "api.openai.com" || len(req.Header["Authorization"]) != 1 ||
				req.Header.Get("Authorization") != "Bearer k" || len(req.Header["Content-Type"]) != 1 || len(req.TransferEncoding) != 0 {
				t.Fatalf("%q", head)
			}
			if q, err := url.ParseQuery(req.URL.RawQuery); err == nil && (len(q["key"]) != 1 || q.Get("key") != "q") {
				t.Fatalf("%q", head)
			}
		}
	})
}
