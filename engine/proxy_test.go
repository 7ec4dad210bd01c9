package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/plugin"
)

// dump answers with the request as it came.
func dump(w http.ResponseWriter, req *http.Request) {
	b, _ := httputil.DumpRequest(req, true)
	w.Write(b)
}

// talk sends bytes and returns everything until the gateway closes.
func (r *rig) talk(text string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, text)
	all, err := io.ReadAll(c)
	if err != nil {
		r.t.Errorf("after %q: %v", all, err)
	}
	return string(all)
}

// answering is an upstream that reads a request's head and writes these bytes.
func (r *rig) answering(raw string) string {
	return r.serving(func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err == nil && req.ContentLength < 1<<20 {
			io.Copy(io.Discard, req.Body)
		}
		if err == nil {
			io.WriteString(c, raw)
		}
	})
}

// serving is an upstream of which every connection is a call of h.
func (r *rig) serving(h func(net.Conn, *bufio.Reader)) string {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				h(c, bufio.NewReader(c))
			}()
		}
	}()
	return ln.Addr().String()
}

func nodes(addrs ...string) string {
	var list []string
	for _, a := range addrs {
		list = append(list, fmt.Sprintf("%q:1", a))
	}
	return `"nodes":{` + strings.Join(list, ",") + `}`
}

func TestProxyHead(t *testing.T) {
	r := newRig(t, Options{})
	up := r.node(dump)
	f := func(upstream, request string, want, not []string) {
		t.Helper()
		r.proxied("1", "/h*", upstream, "")
		got := r.talk(request)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%.60q: %q is not in\n%s", request, w, got)
			}
		}
		_, got, _ = strings.Cut(got, "\r\n\r\n")
		for _, w := range not {
			if strings.Contains(strings.ToLower(got), strings.ToLower(w)) {
				t.Errorf("%.60q: %q is in\n%s", request, w, got)
			}
		}
	}
	_, port, _ := net.SplitHostPort(r.addr)
	const end = "Connection: close\r\n\r\n"
	plain := "{" + nodes(up) + "}"
	f(plain, "GET /h%20x//y/../z?a=%41&b HTTP/1.1\r\nHost: Foo.com:81\r\nX-a_B:  c d \r\nUser-Agent: me\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\nAuthorization: x\r\n"+end,
		[]string{"GET /h%20x//y/../z?a=%41&b HTTP/1.1\r\n", "Host: Foo.com:81\r\n", "X-A_b: c d\r\n", "User-Agent: me\r\n", "Accept-Encoding: gzip\r\n", "Cookie: a=b\r\n", "Authorization: x\r\n",
			"X-Real-Ip: 127.0.0.1\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: Foo.com:81\r\n", "X-Forwarded-Port: 81\r\n"},
		[]string{"connection:", "content-length", "transfer-encoding"})
	f(plain, "GET /h HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 9.9.9.9\r\n"+end,
		[]string{"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: x\r\n", "X-Forwarded-Port: " + port + "\r\n", "X-Real-Ip: 127.0.0.1\r\n"},
		[]string{"evil", "9.9.9.9", "forwarded: for", "https"})
	f(plain, "GET /h HTTP/1.1\r\nHost: x\r\nConnection: X-Gone ,x-also\r\nConnection: close\r\nX-Gone: 1\r\nX-Also: 2\r\nX-Stay: 3\r\nKeep-Alive: 5\r\nProxy-Connection: y\r\nTE: trailers\r\nTrailer: z\r\nUpgrade: websocket\r\nProxy-Authorization: s\r\n\r\n",
		[]string{"X-Stay: 3\r\n"}, []string{"x-gone", "x-also", "keep-alive", "proxy-", "te:", "trailer", "upgrade"})
	f(plain, "GET http://other/h?q HTTP/1.1\r\nHost: other\r\n"+end, []string{"GET /h?q HTTP/1.1\r\n"}, []string{"http://"})
	f(plain, "POST /h HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"+end+"abc", []string{"Content-Length: 3\r\n", "\r\n\r\nabc"}, []string{"transfer-encoding"})
	f(plain, "POST /h HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"+end, []string{"Content-Length: 0\r\n"}, nil)
	f(plain, "DELETE /h HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n"+end+"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: v\r\n\r\n",
		[]string{"Transfer-Encoding: chunked\r\n", "\r\n\r\n5\r\nabcde\r\n0\r\n"}, []string{"x-t", "content-length"})
	f(plain, "GET /h HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"+end+"hi", []string{"Content-Length: 2\r\n", "\r\n\r\nhi"}, nil)
	f(plain, "GET /h HTTP/1.0\r\n\r\n", []string{"GET /h HTTP/1.1\r\n", "Host: " + up + "\r\n"}, []string{"x-forwarded-host"})
	f(plain, "PURGE /h HTTP/1.1\r\nHost: x\r\n"+end, []string{"PURGE /h HTTP/1.1\r\n"}, nil)
	f(`{`+nodes(up)+`,"pass_host":"node"}`, "GET /h HTTP/1.1\r\nHost: Foo:81\r\n"+end, []string{"Host: " + up + "\r\n", "X-Forwarded-Host: Foo:81\r\n"}, nil)
	f(`{`+nodes(up)+`,"pass_host":"rewrite","upstream_host":"in.side"}`, "GET /h HTTP/1.1\r\nHost: Foo:81\r\n"+end, []string{"Host: in.side\r\n", "X-Forwarded-Host: Foo:81\r\n"}, nil)
}

// Nothing that a client sends adds a line to the upstream's request.
func TestProxyInjection(t *testing.T) {
	r := newRig(t, Options{})
	var got bytes.Buffer
	heads := make(chan string, 1)
	up := r.serving(func(c net.Conn, br *bufio.Reader) {
		got.Reset()
		for {
			line, err := br.ReadString('\n')
			got.WriteString(line)
			if err != nil || line == "\r\n" {
				break
			}
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		heads <- got.String()
	})
	r.proxied("1", "/*", "{"+nodes(up)+"}", `,"enable_websocket":true`)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: a\rX-Evil: 1\r\n",
		"GET / HTTP/1.1\r\nHost: a X-Evil: 1\r\n",
		"GET /\rX-Evil:1 HTTP/1.1\r\nHost: a\r\n",
		"GET /\tX-Evil:1 HTTP/1.1\r\nHost: a\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-Evil: 1\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x00X-Evil: 1\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX A: 1\r\nX\x01: 1\r\nX(: 1\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\rX-Evil: 1\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\rX-Evil: 1\r\n",
		"G\rT / HTTP/1.1\r\nHost: a\r\n",
	} {
		answer := r.talk(request + "Connection: close\r\n\r\n")
		if strings.HasPrefix(answer, "HTTP/1.1 400") {
			continue
		}
		head := <-heads
		for _, line := range strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")[1:] {
			name, value, _ := strings.Cut(line, ": ")
			if !isToken([]byte(name)) || strings.ContainsAny(value, "\r\x00") || strings.HasPrefix(name, "X-Evil") {
				t.Errorf("%q: line %q", request, line)
			}
		}
		t.Logf("%q passes: %.40q", request, head)
	}
}

func TestProxyAnswer(t *testing.T) {
	r := newRig(t, Options{})
	f := func(method, answer, head, body string, not ...string) {
		t.Helper()
		r.proxied("1", "/a", "{"+nodes(r.answering(answer))+"}", "")
		got := r.talk(method + " /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		h, b, _ := strings.Cut(got, "\r\n\r\n")
		h += "\r\n"
		for _, w := range strings.Split(head, "|") {
			if !strings.Contains(h, w) {
				t.Errorf("%q: %q is not in\n%s", answer, w, h)
			}
		}
		for _, w := range not {
			if strings.Contains(h, w) {
				t.Errorf("%q: %q is in\n%s", answer, w, h)
			}
		}
		if body == "" && strings.Contains(h, "chunked") && method == "GET" {
			rd := httputil.NewChunkedReader(strings.NewReader(b))
			if all, err := io.ReadAll(rd); err != nil || len(all) != 5000 || !strings.HasSuffix(b, "0\r\n\r\n") {
				t.Errorf("%q: %d bytes, %v", answer, len(all), err)
			}
		} else if b != body {
			t.Errorf("%q: body %q, want %q", answer, b, body)
		}
	}
	f("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: them\r\nDate: then\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: a=c\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nContent-Type: text/x\r\nContent-Encoding: br\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\n|X-A: 1\r\n|X-A: 2\r\n|Set-Cookie: a=b; Path=/\r\n|Set-Cookie: a=c\r\n|Content-Type: text/x\r\n|Content-Length: 2\r\n|Content-Encoding: br\r\n|Server: headrace\r\n|Date: ",
		"hi", "them", "then", "X-Hop", "Keep-Alive", "X-APISIX")
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n", "Content-Length: 2\r\n", "hi", "Trailer", "X-T")
	long := strings.Repeat("x", 5000)
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1388\r\n"+long+"\r\n0\r\nX-T: 1\r\n\r\n", "Transfer-Encoding: chunked\r\n", "", "Trailer", "X-T", "Content-Length")
	f("GET", "HTTP/1.0 200 OK\r\n\r\nhi", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n")
	f("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\nLocation: /y\r\n\r\n", "HTTP/1.1 201 Created\r\n|Location: /y\r\n|Content-Length: 0\r\n", "", "Link")
	f("GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", "HTTP/1.1 204 No Content\r\n|X-A: 1\r\n", "", "Content-Length", "Transfer-Encoding")
	f("GET", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n|Etag: \"x\"\r\n", "", "Transfer-Encoding")
	f("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\nX-A: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n|Content-Length: 1234567\r\n|X-A: 1\r\n", "")
	f("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n|Transfer-Encoding: chunked\r\n", "", "Content-Length")
	f("GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", "HTTP/1.1 404 Not Found\r\n", "none", "X-APISIX")
	f("GET", "HTTP/1.1 503 Nope\r\nContent-Length: 4\r\n\r\nnone", "HTTP/1.1 503 |X-APISIX-Upstream-Status: 503\r\n", "none")
	f("GET", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 600 ", "")
	f("GET", "SSH-2.0-x\r\n", "HTTP/1.1 502 Bad Gateway\r\n|Content-Type: application/json\r\n|X-APISIX-Upstream-Status: 502\r\n", string(badGateway))
	f("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "HTTP/1.1 502 Bad Gateway\r\n", string(badGateway))
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "HTTP/1.1 200 OK\r\n", "2\r\nhi\r\n") // and no end
	f("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n", string(badGateway))
}

func TestProxyRetries(t *testing.T) {
	r, lines := logRig(t, "$status $upstream_status $upstream_addr $response_source $balancer_ip $request_type $upstream_scheme://$upstream_host$upstream_uri $body_bytes_sent $upstream_response_length")
	n := 0
	dead, good := refused(t), r.named("good")
	var asked atomic.Int32
	closing := r.serving(func(_ net.Conn, br *bufio.Reader) { asked.Add(1); http.ReadRequest(br) })
	half := r.serving(func(c net.Conn, br *bufio.Reader) { http.ReadRequest(br); io.WriteString(c, "HTTP/1.1 2") })
	mute := r.serving(func(_ net.Conn, br *bufio.Reader) { http.ReadRequest(br); io.Copy(io.Discard, br) })
	first := func(bad string) string { // bad is always asked first
		h, p, _ := net.SplitHostPort(bad)
		gh, gp, _ := net.SplitHostPort(good)
		return fmt.Sprintf(`"nodes":[{"host":%q,"port":%s,"weight":1,"priority":1},{"host":%q,"port":%s,"weight":1}]`, h, p, gh, gp)
	}
	f := func(method, upstream, body string, status int, log string) {
		t.Helper()
		r.proxied("1", "/r", "{"+upstream+`,"timeout":{"connect":2,"send":2,"read":0.2}}`, "")
		resp, got := r.do(method, "/r?x", body)
		if resp.StatusCode != status || status == 200 && method != "HEAD" && got != "good" {
			t.Errorf("%s: %d %q", upstream, resp.StatusCode, got)
		}
		n++
		if l := lines(n)[n-1]; !strings.HasPrefix(l, log) {
			t.Errorf("%s: log %q, want %q", upstream, l, log)
		}
	}
	host := "http://" + r.addr + "/r "
	f("GET", first(dead), "", 200, "200 502, 200 "+dead+", "+good+" upstream 127.0.0.1 traditional_http "+host+"4 0, 4")
	f("POST", first(dead), "{}", 200, "200 502, 200 ")
	f("POST", first(dead), strings.Repeat("x", 1<<20), 200, "200 502, 200 ") // nothing of it was read
	f("GET", first(closing), "", 200, "200 502, 200 ")
	f("HEAD", first(closing), "", 200, "200 502, 200 ")
	f("PUT", first(closing), "body", 200, "200 502, 200 ")
	f("PUT", first(closing), strings.Repeat("x", 1<<20), 502, "502 502 ") // its beginning is gone
	f("POST", first(closing), "{}", 502, "502 502 "+closing+" nginx 127.0.0.1 ")
	f("GET", first(half), "", 502, "502 502 ")
	f("GET", first(mute), "", 200, "200 504, 200 ")
	f("POST", first(mute), "{}", 504, "504 504 "+mute+" nginx ")
	f("GET", first(dead)+`,"retries":0`, "", 502, "502 502 "+dead+" nginx ")
	f("GET", nodes(dead), "", 502, "502 502 "+dead+" nginx ")
	f("GET", nodes(dead)+`,"retries":2`, "", 502, "502 502, 502, 502 ")
	f("GET", nodes(mute)+`,"retries":5,"retry_timeout":0.1`, "", 502, "502 504 ")
	f("GET", nodes(refused(t), refused(t), refused(t)), "", 502, "502 502, 502, 502 ")
	if n := asked.Load(); n != 5 {
		t.Errorf("the upstream that closes was asked %d times", n)
	}
	r.proxied("1", "/r", "{"+first(dead)+"}", "")
	if resp, _ := r.do("GET", "/r", ""); resp.Header.Get("X-APISIX-Upstream-Status") != "" {
		t.Errorf("a retry that went well shows: %v", resp.Header)
	}
}

func TestProxyTimeouts(t *testing.T) {
	r := newRig(t, Options{})
	mute := r.serving(func(_ net.Conn, br *bufio.Reader) { http.ReadRequest(br); io.Copy(io.Discard, br) })
	stall := r.serving(func(c net.Conn, br *bufio.Reader) {
		http.ReadRequest(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi")
		io.Copy(io.Discard, br)
	})
	for _, up := range []string{mute, stall} {
		r.proxied("1", "/t", `{`+nodes(up)+`,"timeout":{"connect":5,"send":5,"read":0.1}}`, "")
		resp, body := r.do("POST", "/t", "{}")
		if resp.StatusCode != 504 || body != string(gatewayTimeout) || resp.Header.Get("X-APISIX-Upstream-Status") == "" && up == mute {
			t.Errorf("upstream's timeout: %d %s %v", resp.StatusCode, body, resp.Header)
		}
		r.proxied("1", "/t", `{`+nodes(up)+`}`, `,"timeout":{"connect":5,"send":5,"read":0.1}`)
		if resp, _ := r.do("POST", "/t", "{}"); resp.StatusCode != 504 {
			t.Errorf("route's timeout: %d", resp.StatusCode)
		}
	}
}

func TestProxyKeepAlive(t *testing.T) {
	r := newRig(t, Options{})
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		io.WriteString(w, strings.Repeat("x", len(req.URL.Query().Get("n"))<<10))
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	f := func(upstream string, want int32) {
		t.Helper()
		conns.Store(0)
		r.proxied("1", "/k", upstream, "")
		for i := range 5 {
			for _, n := range []string{"", "x", strings.Repeat("x", 100)} {
				if resp, body := r.do("POST", "/k?n="+n, strings.Repeat("y", i*50_000)); resp.StatusCode != 200 || len(body) != len(n)<<10 {
					t.Fatalf("%d, %d bytes", resp.StatusCode, len(body))
				}
			}
		}
		if got := conns.Load(); got != want {
			t.Errorf("%s: %d connections, want %d", upstream, got, want)
		}
	}
	f(`{`+nodes(s.Listener.Addr().String())+`}`, 1)
	f(`{`+nodes(s.Listener.Addr().String())+`,"keepalive_pool":{"size":2,"idle_timeout":0,"requests":10}}`, 0) // the same pool
}

func TestProxyTLS(t *testing.T) {
	r := newRig(t, Options{})
	s := httptest.NewTLSServer(http.HandlerFunc(dump))
	t.Cleanup(s.Close)
	r.proxied("1", "/s", `{"scheme":"https",`+nodes(s.Listener.Addr().String())+`}`, "")
	if resp, body := r.do("POST", "/s", "{}"); resp.StatusCode != 200 || !strings.Contains(body, "\r\n\r\n{}") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	r.proxied("1", "/s", `{"scheme":"https","tls":{"verify":true},`+nodes(s.Listener.Addr().String())+`}`, "")
	if resp, _ := r.do("POST", "/s", "{}"); resp.StatusCode != 502 {
		t.Errorf("an unknown authority: %d", resp.StatusCode)
	}
}

// Events pass at once and unchanged, and so do other bytes.
func TestProxyEvents(t *testing.T) {
	r := newRig(t, Options{})
	next := make(chan struct{})
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", req.Header.Get("X-Type"))
		w.(http.Flusher).Flush()
		for _, s := range []string{"data: a\n\n", "da", "ta: b\n", "\nrest"} {
			<-next
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	r.proxied("1", "/v", "{"+nodes(up)+"}", "")
	for _, typ := range []string{"text/event-stream", "application/octet-stream"} {
		req, _ := http.NewRequest("GET", r.url+"/v", nil)
		req.Header.Set("X-Type", typ)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"data: a\n\n", "da", "ta: b\n", "\nrest"} {
			next <- struct{}{}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Errorf("%s: %q %v, want %q", typ, got, err, want)
			}
		}
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) > 0 {
			t.Errorf("%s: %q %v behind the end", typ, b, err)
		}
		resp.Body.Close()
	}
}

// Plugins see ordinary answers as they see those of providers.
func TestProxyFilters(t *testing.T) {
	spec := plugin.Spec{Name: "upper", Priority: 1, New: func([]byte, *plugin.Env) (any, error) { return upper{}, nil }}
	r := newRigWith(t, Options{}, spec)
	long := strings.Repeat("x", 200_000)
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawQuery == "long" {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
			return
		}
		io.WriteString(w, "short")
	})
	r.proxied("1", "/f", "{"+nodes(up)+"}", `,"plugins":{"upper":{}}`)
	for path, want := range map[string]string{"/f": "SHORT: end\n\n", "/f?long": strings.ToUpper(long) + ": end\n\n"} {
		resp, body := r.do("GET", path, "")
		if body != want || resp.Header.Get("X-Filtered") != "yes" {
			t.Errorf("%s: %v %.100q", path, resp.Header, body)
		}
	}
}

func TestProxyMetrics(t *testing.T) {
	r := newRig(t, Options{})
	r.proxied("1", "/m", "{"+nodes(r.named("a"))+"}", `,"plugins":{"prometheus":{}}`)
	r.do("GET", "/m", "")
	r.proxied("2", "/dead", "{"+nodes(refused(t))+"}", `,"plugins":{"prometheus":{}}`)
	r.do("GET", "/dead", "")
	var b bytes.Buffer
	poll(t, "both are counted", func() bool {
		b.Reset()
		r.e.WriteMetrics(&b)
		return strings.Contains(b.String(), `code="502"`)
	})
	for _, want := range []string{
		`apisix_http_status{code="200",route="1",matched_uri="/m",matched_host="",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",response_source="upstream"} 1`,
		`apisix_http_status{code="502",route="2",matched_uri="/dead",matched_host="",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",response_source="nginx"} 1`,
		`apisix_http_latency_count{type="upstream",route="1",`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is not in\n%s", want, b.String())
		}
	}
}

// Many clients at once, with bodies of all kinds, on kept connections.
func TestProxyCrowd(t *testing.T) {
	r := newRig(t, Options{})
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		slices.Reverse(b)
		w.Write(b)
	})
	r.proxied("1", "/c", "{"+nodes(up, up)+"}", "")
	ends := make(chan error, 16)
	for g := range cap(ends) {
		go func() {
			var err error
			for i := 0; i < 20 && err == nil; i++ {
				body := strings.Repeat(fmt.Sprint(g, "-", i, "."), 1+i*i*100)
				var rd io.Reader = strings.NewReader(body)
				if i%3 == 0 {
					rd = io.LimitReader(rd, int64(len(body))) // chunked
				}
				var resp *http.Response
				if resp, err = http.Post(r.url+"/c", "text/plain", rd); err != nil {
					break
				}
				var b []byte
				b, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if slices.Reverse(b); err == nil && string(b) != body {
					err = fmt.Errorf("%d: %d bytes come back as %d", i, len(body), len(b))
				}
			}
			ends <- err
		}()
	}
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
}

// A small request through an ordinary upstream, with metrics on.
func TestBudgetProxyRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Options{})
	up := strings.TrimPrefix(canned(t, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi"), "http://")
	r.proxied("1", "/p", "{"+nodes(up)+"}", `,"plugins":{"prometheus":{}}`)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := []byte("POST /p HTTP/1.1\r\nHost: x\r\nUser-Agent: u\r\nContent-Length: 2\r\n\r\n{}")
	br := bufio.NewReaderSize(c, 16<<10)
	n := mallocs(200, func() {
		c.Write(req)
		length, ok := readHead(br)
		if !ok {
			t.Fatal("no answer")
		}
		br.Discard(length)
	})
	t.Logf("%.1f allocations", n)
	if n > 10 {
		t.Errorf("%.1f allocations, want at most 10", n)
	}
}
