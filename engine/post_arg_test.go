package engine

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/conf"
)

// provider notes the latest request that it got, and answers all of them.
type provider struct {
	mu     sync.Mutex
	route  string
	body   []byte
	length int64
}

func (p *provider) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, _ := io.ReadAll(req.Body)
	p.mu.Lock()
	p.route, p.body, p.length = req.Header.Get("X-Route"), b, req.ContentLength
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, plainAnswer)
}

func (p *provider) last() (route string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.route, p.body
}

// byModel makes a route for each model, all of one path, and a provider behind.
func (r *rig) byModel(extra string, names ...string) *provider {
	p := &provider{}
	up := r.node(p.ServeHTTP)
	for _, name := range names {
		r.src.put(conf.Routes, name, fmt.Sprintf(`{"id":%q,"uri":"/c","vars":[["post_arg.model","==",%q]],"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"X-Route":%q}},"override":{"endpoint":"http://%s"}%s}}}`,
			name, name, name, up, extra))
	}
	return p
}

func modelBody(model string, pad int) string {
	return `{"model":"` + model + `","messages":[{"role":"user","content":"` + strings.Repeat("x", pad) + `"}]}`
}

// T: admin/routes_request_body.t 2, 3: the model decides, and what no route is
// for is not found.
func TestModelRouting(t *testing.T) {
	r := newRig(t, Options{})
	p := r.byModel("", "gpt-4", "claude")
	f := func(body string, want int, route string) {
		t.Helper()
		resp, text := r.do("POST", "/c", body)
		if resp.StatusCode != want {
			t.Errorf("%.40s: %d %s", body, resp.StatusCode, text)
		}
		if want == 404 && text != "{\"error_msg\":\"404 Route Not Found\"}\n" {
			t.Errorf("%.40s: %q", body, text)
		}
		if got, sent := p.last(); want == 200 && (got != route || string(sent) != body) {
			t.Errorf("%.40s: route %s sent %.60q", body, got, sent)
		}
	}
	f(modelBody("gpt-4", 0), 200, "gpt-4")
	f(modelBody("claude", 100), 200, "claude")
	f(modelBody("gpt-4", 100_000), 200, "gpt-4")
	f(modelBody("claude", 3<<20), 200, "claude")
	f(`{"model":"gpt\u002d4","messages":[]}`, 200, "gpt-4")
	f(modelBody("third", 0), 404, "")
	f(modelBody("third", 3<<20), 404, "")
	f(`{"messages":[]}`, 404, "")
	f(`{"model":`, 404, "")
	f("", 404, "")
}

// The AI proxy judges the body that a condition has read: by its own limit and
// with the real size.
func TestModelRoutingLimits(t *testing.T) {
	r := newRig(t, Options{})
	r.byModel(`,"max_req_body_size":1000`, "gpt-4")
	body := modelBody("gpt-4", 2000)
	tooLarge := fmt.Sprintf("{\"message\":\"could not get body: request size %d is greater than the maximum size 1000 allowed\"}\n", len(body))
	if resp, text := r.do("POST", "/c", body); resp.StatusCode != 413 || text != tooLarge {
		t.Errorf("declared: %d %s", resp.StatusCode, text)
	}
	chunked := fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	if got := r.talk(chunked); !strings.HasPrefix(got, "HTTP/1.1 413") || !strings.HasSuffix(got, tooLarge) {
		t.Errorf("chunked: %s", got)
	}

	// A body that is no JSON: the route without a condition says what is wrong.
	r.route("any", "/c", "")
	resp, text := r.do("POST", "/c", `{"model":"gpt-4"`)
	if resp.StatusCode != 400 || !strings.HasPrefix(text, `{"message":"could not parse JSON request body: `) {
		t.Errorf("broken: %d %s", resp.StatusCode, text)
	}
}

// max_post_args_readable_size: a larger body has no values, and reaches the
// route that asks for none as it is, however it is framed.
func TestPostArgsLimit(t *testing.T) {
	var log syncBuffer
	r := newRig(t, Options{MaxPostArgs: 1000, Log: slog.New(slog.NewTextHandler(&log, nil))})
	p := r.byModel("", "gpt-4")
	up := r.node(p.ServeHTTP)
	r.src.put(conf.Routes, "any", `{"id":"any","uri":"/c","priority":-1,"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"X-Route":"any"}},"override":{"endpoint":"http://`+up+`"}}}}`)
	r.src.put(conf.Routes, "up", `{"id":"up","uri":"/u","priority":-1,"upstream":{`+nodes(up)+`}}`)
	r.src.put(conf.Routes, "cond", `{"id":"cond","uri":"/u","vars":[["post_arg.model","==","gpt-4"]],"upstream":{"nodes":{"127.0.0.1:1":1}}}`)
	for _, pad := range []int{10, 1500, 100_000, 1 << 20} {
		for _, path := range []string{"/c", "/u"} {
			for _, framed := range []bool{false, true} {
				body := modelBody("gpt-4", pad)
				if pad < 1000 {
					if path == "/u" {
						continue
					}
				}
				text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n", path)
				if framed {
					half := len(body) / 2
					text += fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
				} else {
					text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
				}
				got := r.talk(text)
				route, sent := p.last()
				want := map[bool]string{true: "gpt-4", false: "any"}[pad < 1000]
				if path == "/u" {
					want = ""
				}
				if !strings.HasPrefix(got, "HTTP/1.1 200") || route != want || string(sent) != body {
					t.Errorf("%s, %d bytes, chunked %v: %.40q, route %q got %d bytes", path, len(body), framed, got, route, len(sent))
				}
			}
		}
	}
	if !strings.Contains(log.String(), "is greater than the maximum size 1000 allowed") {
		t.Errorf("the log says %s", log.String())
	}
}

// An upstream gets the whole body that a condition has read: with its length,
// as nginx sends what it has buffered.
func TestPostArgsUpstream(t *testing.T) {
	r := newRig(t, Options{})
	p := &provider{}
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/u","vars":[["post_arg.n","==",1]],"upstream":{`+nodes(r.node(p.ServeHTTP))+`}}`)
	for _, pad := range []int{0, 100_000} {
		body := `{"n":1,"pad":"` + strings.Repeat("p", pad) + `"}`
		got := r.talk(fmt.Sprintf("PUT /u HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
		if _, sent := p.last(); !strings.HasPrefix(got, "HTTP/1.1 200") || string(sent) != body || p.length != int64(len(body)) {
			t.Errorf("chunked, %d bytes: %.40q, %d bytes arrived, declared %d", len(body), got, len(sent), p.length)
		}
		if resp, _ := r.do("POST", "/u", body); resp.StatusCode != 200 {
			t.Errorf("%d bytes: %d", len(body), resp.StatusCode)
		}
		if _, sent := p.last(); string(sent) != body {
			t.Errorf("%d bytes: %d arrived", len(body), len(sent))
		}
	}
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/u","vars":[["post_arg.n","==",null]],"upstream":{`+nodes(r.node(p.ServeHTTP))+`}}`)
	if got := r.talk("GET /u HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") || p.length != 0 {
		t.Errorf("without a body: %.40q, %d", got, p.length)
	}
}

// T: admin/routes_request_body.t 4-12.
func TestPostArgTypes(t *testing.T) {
	const part = "--testboundary\nContent-Disposition: form-data; name=\"model\"\n\nopenai\n--testboundary--\n"
	const image = `{"messages":[{"role":"system","content":[{"text":"t","type":"text"},{"text":"t","type":"image_url"}]}]}`
	f := func(vars, contentType, body string, want bool) {
		t.Helper()
		hit := routed(t, Options{}, `"vars":`+vars)
		if got := hit("POST", "/hello", body, "Content-Type", contentType); got != want {
			t.Errorf("%s for %s: %v", vars, body, got)
		}
	}
	const openai, json = `[[["post_arg.model","==","openai"]]]`, "application/json"
	f(openai, json, `{"model":"openai"}`, true) // 3
	f(openai, json+"; charset=utf-8", `{"model":"openai"}`, true)
	f(openai, "application/x-www-form-urlencoded", "model=openai&messages[0][role]=system", true) // 4
	f(openai, "multipart/form-data; boundary=testboundary", part, true)                           // 5
	f(openai, "text/plain", part, false)                                                          // 6
	f(openai, "", `{"model":"openai"}`, false)
	const has = `[[["post_arg.messages[*].content[*].type","has","image_url"]]]`
	f(has, json, strings.ReplaceAll(image, "image_url", "text"), false)                         // 8
	f(has, json, image, true)                                                                   // 9
	f(`[["post_arg.model.name","==","deepseek"]]`, json, `{"model":{"name":"deepseek"}}`, true) // 12
	f(`[["post_arg.stream","==",true]]`, json, `{"stream":true}`, true)
	f(`[["post_arg.stream","==",true]]`, json, `{"stream":"true"}`, false)
	f(`[["post_arg.max_tokens","<=",100]]`, json, `{"max_tokens":100}`, true)
	f(`[["post_arg.*","has",7]]`, json, `[1,7]`, true)
	f(`[["post_arg.x","==",null]]`, json, `"text"`, true)
	f(`[["post_arg.tag","has","b"]]`, "application/x-www-form-urlencoded", "tag=a&tag=b", true)
}

// Nothing of a body is read unless a route that can still match asks for it.
func TestPostArgsAreLazy(t *testing.T) {
	r := newRig(t, Options{})
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/c","methods":["PUT"],"vars":[["post_arg.model","==","m"]],"upstream":{`+nodes(r.node(dump))+`}}`)
	r.src.put(conf.Routes, "2", `{"id":"2","uri":"/c","remote_addr":"10.0.0.1","vars":[["post_arg.model","==","m"]],"upstream":{`+nodes(r.node(dump))+`}}`)
	r.src.put(conf.Routes, "3", `{"id":"3","uri":"/c","vars":[["arg_a","==","b"],["post_arg.model","==","m"]],"upstream":{`+nodes(r.node(dump))+`}}`)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n{")
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, "404") {
		t.Errorf("%q, %v", line, err)
	}
}

// A body that does not arrive ends the request while its route is looked for.
func TestPostArgsBrokenBody(t *testing.T) {
	r := newRig(t, Options{HeaderTimeout: 200 * time.Millisecond, BodyTimeout: 200 * time.Millisecond, MaxBody: 100_000})
	r.byModel("", "gpt-4")
	f := func(name, text, want string) {
		t.Helper()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+text)
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		all, err := io.ReadAll(c)
		line, _, _ := strings.Cut(string(all), "\r\n")
		if err != nil || !strings.Contains(line, want) || strings.Count(string(all), "HTTP/1.1") != 1 {
			t.Errorf("%s: %q, %v, want %q", name, all, err, want)
		}
	}
	f("too slow", "Content-Length: 70000\r\n\r\n{", "408")
	f("too slow, short", "Content-Length: 100\r\n\r\n{", "408")
	f("too slow, chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\n{", "408")
	f("badly framed", "Transfer-Encoding: chunked\r\n\r\nzz\r\n{", "400")
	f("longer than any may be", "Connection: close\r\nContent-Length: 100001\r\n\r\n"+strings.Repeat("x", 100_001), "413")
	f("longer than any may be, chunked", "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n"+strings.Repeat("x", 100_001)+"\r\n0\r\n\r\n", "413")

	// The client leaves in the middle.
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n{")
	c.Close()
	poll(t, "the connection is gone", func() bool { return r.e.conns.len() == 0 })
}

// A connection goes on behind a body that a condition has read.
func TestPostArgsKeepAlive(t *testing.T) {
	r := newRig(t, Options{})
	r.byModel(`,"max_req_body_size":1000`, "gpt-4")
	const json = "Content-Type: application/json\r\n"
	good := post("/c", json, modelBody("gpt-4", 0))
	f := func(name, text string, want int) {
		t.Helper()
		st, _ := r.raw(text + good)
		if len(st) != 2 || st[0] != want || st[1] != 200 {
			t.Errorf("%s: statuses %v, want %d and 200", name, st, want)
		}
	}
	f("found", good, 200)
	f("not found", post("/c", json, modelBody("third", 100_000)), 404)
	f("no JSON", post("/c", json, "{nope"), 404)
	f("too large", post("/c", json, modelBody("gpt-4", 100_000)), 413)
	f("an empty body", post("/c", json, ""), 404)
	body := modelBody("third", 100_000)
	f("chunked", fmt.Sprintf("POST /c HTTP/1.1\r\nHost: x\r\n"+json+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), 404)
}

// Whether to answer 100 is known only when no body can change the route.
func TestPostArgsExpect(t *testing.T) {
	f := func(o Options, body string, want ...string) {
		t.Helper()
		r := newRig(t, o)
		r.byModel("", "gpt-4")
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(3 * time.Second))
		fmt.Fprintf(c, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
		br := bufio.NewReader(c)
		for i, w := range want {
			resp, err := http.ReadResponse(br, nil)
			if err != nil || fmt.Sprint(resp.StatusCode) != w {
				t.Errorf("%d bytes: answer %d is %v, %v, want %s", len(body), i, resp, err, w)
				return
			}
			if w == "100" {
				io.WriteString(c, body)
			}
		}
	}
	limited := Options{MaxPostArgs: 50_000, MaxBody: 100_000}
	f(limited, modelBody("gpt-4", 0), "100", "200")
	f(limited, modelBody("third", 0), "100", "404")
	f(limited, modelBody("gpt-4", 60_000), "404") // no condition looks at it
	f(Options{MaxBody: 100_000}, modelBody("gpt-4", 90_000), "100", "200")
	f(Options{MaxBody: 100_000}, modelBody("gpt-4", 110_000), "413")
}

// One line says why a body has no values, and nothing of the body.
func TestPostArgsLog(t *testing.T) {
	f := func(contentType, body, want string) {
		t.Helper()
		var log syncBuffer
		r := newRig(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.byModel("", "a", "b", "c")
		r.do("POST", "/c", body, "Content-Type", contentType)
		text := log.String()
		if strings.Count(text, "failed to fetch post args") != 1 || !strings.Contains(text, want) || strings.Contains(text, "s3cret") {
			t.Errorf("%s: the log says %s, want %s", contentType, text, want)
		}
	}
	f("text/plain", "s3cret", "unsupported content-type: ")
	f("application/json", `{"s3cret"`, "could not parse JSON request body: Expected colon but found T_END at character")
	f("application/json", "", "request body is empty")
	f(strings.Repeat("x", 1000), "", "unsupported content-type: ")
}
