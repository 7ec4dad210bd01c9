package responserewrite

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// answer lets a plugin change an answer that comes in the given pieces, and
// returns its status and headers, and its body.
func answer(g *plugintest.Gateway, v any, status int, headers string, pieces ...string) (head, body string) {
	c := g.Request("GET", "/hello?a=1", "")
	c.Status = status
	c.HTTP.Response.SetStatusCode(status)
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		c.HTTP.Response.Header.Add(name, value)
	}
	v.(plugin.HeaderFilter).FilterHeader(c)
	head = string(fasthttp.AppendUint(nil, c.HTTP.Response.StatusCode())) + "\n" + plugintest.Head(c)
	if c.Status != c.HTTP.Response.StatusCode() {
		head = "two statuses"
	}
	out := []byte("+")
	for i, piece := range pieces {
		if f, ok := v.(plugin.ChunkFilter); ok {
			out = f.FilterChunk(c, out, []byte(piece), i == len(pieces)-1)
		} else {
			out = append(out, piece...)
		}
	}
	return head, string(out[1:])
}

// TestHeaders has the cases of response-rewrite.t and, behind a 2,
// response-rewrite2.t by their numbers.
func TestHeaders(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, headers, want string) {
		t.Helper()
		v := g.Bind(config)
		if _, ok := v.(plugin.ChunkFilter); ok {
			t.Errorf("%s has a body filter", config)
		}
		if got, body := answer(g, v, 200, headers, "a", "b"); got != want || body != "ab" {
			t.Errorf("%s %q: %q %q", config, headers, got, body)
		}
	}
	f(`{"headers":{"X-Server-id":3,"X-Server-status":"on","Content-Type":""}}`, "Content-Type: text/html\nX-Server-Id: 1\nx-server-id: 2\n",
		"200\nX-Server-Id: 3\nX-Server-Status: on\n") // 5
	f(`{"headers":{"Location":"https://www.iresty.com"},"status_code":302}`, "", "302\nLocation: https://www.iresty.com\n")            // 9
	f(`{"headers":{"X-A":"$remote_addr","X-B":"from $remote_addr to $arg_a"}}`, "", "200\nX-A: 127.0.0.1\nX-B: from 127.0.0.1 to 1\n") // 24
	f(`{"headers":{"add":["X-Server-test:a"]}}`, "", "200\nX-Server-Test: a\n")                                                        // 27
	f(`{"headers":{"add":["Cache-Control: no-cache","Cache-Control : max-age=0, must-revalidate"]}}`, "Cache-Control: x\n",
		"200\nCache-Control: x\nCache-Control: no-cache\nCache-Control: max-age=0, must-revalidate\n") // 2-21
	f(`{"headers":{"add":["Cache-Control: no-cache"],"set":{"Cache-Control":"max-age=0, must-revalidate"}}}`, "", "200\nCache-Control: max-age=0, must-revalidate\n")
	f(`{"headers":{"add":["Set-Cookie: <cookie-name>=<cookie-value>; Max-Age=<number>"],"set":{"Cache-Control":"max-age=0, must-revalidate"},"remove":["Set-Cookie","Cache-Control"]}}`,
		"Set-Cookie: a=b\n", "200\n")
	f(`{"headers":{"set":{"Content-Length":"9","Connection":"close","Transfer-Encoding":"x"},"remove":["Content-Length"]}}`, "Content-Length: 2\n", "200\nContent-Length: 2\n")
	f(`{"headers":{"set":{"X":"$http_x"}},"vars":[["status","==",500]],"status_code":403}`, "", "200\n")
	f(`{"headers":{"add":"x"}}`, "", "200\nAdd: x\n")
	if got, _ := answer(g, g.Bind(`{"status_code":403,"headers":{"X":1}}`), 101, ""); got != "101\nX: 1\n" {
		t.Errorf("a change of protocol: %q", got)
	}
	if got, _ := answer(g, g.Bind(`{"status_code":200}`), 503, ""); got != "200\n" {
		t.Errorf("got %q", got)
	}
}

func TestBody(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config string, status int, headers, body, want string) {
		t.Helper()
		v := g.Bind(config)
		half := len(body) / 2
		for _, pieces := range [][]string{{body}, {body[:half], body[half:]}, {"", body, ""}} {
			head, got := answer(g, v, status, headers, pieces...)
			if head+"\n"+got != want {
				t.Errorf("%s %q: %q", config, pieces, head+"\n"+got)
			}
		}
	}
	const meta = "Content-Type: application/xml\nContent-Encoding: gzip\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\nETag: \"33a6\"\nX-Server-Id: 100\n"
	f(`{"body":"new body2\n"}`, 200, meta, "hello", "200\nContent-Type: application/xml\nX-Server-Id: 100\n\nnew body2\n") // 7
	f(`{"body":"SGVsbG8K","body_base64":true}`, 200, "", "hello", "200\n\nHello\n")                                        // 13
	f(`{"body":"SGVsbG8","body_base64":true}`, 200, "", "hello", "200\n\nHello")
	f(`{"body":"new body3\n","status_code":403,"vars":[["status","==",500]]}`, 500, "", "x", "403\n\nnew body3\n") // 19
	f(`{"body":"new body3\n","status_code":403,"vars":[["status","==",500]]}`, 200, "ETag: a\n", "hello world\n", "200\nEtag: a\n\nhello world\n")
	f(`{"body":""}`, 200, "", "hello", "200\n\n") // 26
	f(`{"body":"$env://body"}`, 200, "", "hello", "200\n\nbody")
	f(`{"max_resp_body_size":5,"filters":[{"regex":"hello","replace":"HELLO"}]}`, 200, "", "hello world\n", "200\n\nHELLO") // 29

	filters := func(list string) string { return `{"vars":[["status","==",200]],"filters":[` + list + `]}` }
	const hello = "hello world\n"
	f(filters(`{"regex":"hello","replace":"test"}`), 200, "ETag: a\n", hello, "200\n\ntest world\n") // 2-8
	f(filters(`{"regex":"hello","replace":"test"}`), 404, "ETag: a\n", hello, "404\nEtag: a\n\nhello world\n")
	f(filters(`{"regex":"l","replace":"t","scope":"global"}`), 200, "", hello, "200\n\nhetto wortd\n")
	f(filters(`{"regex":"hello","replace":""}`), 200, "", hello, "200\n\n world\n")
	f(filters(`{"regex":"\\w\\S+$","replace":"*"}`), 200, "", hello, "200\n\nhello *\n") // 2-14
	f(filters(`{"regex":"hello","replace":"HELLO"},{"regex":"L","replace":"T"}`), 200, "", hello, "200\n\nHETLO world\n")
	f(filters(`{"regex":"test","replace":"TEST"}`), 200, "", hello, "200\n\nhello world\n")
	f(filters(`{"regex":"HELLO (\\w+)","replace":"$1 $0 $$","options":"ijo"}`), 200, "", hello, "200\n\nworld hello world $\n")
	f(filters(`{"regex":"((?=a)a+)+$","replace":""},{"regex":"^a","replace":"x"}`), 200, "", strings.Repeat("a", 50)+"b", "200\n\nx"+strings.Repeat("a", 49)+"b")
	if !strings.Contains(g.Log.String(), "substitutes failed") {
		t.Errorf("log: %s", &g.Log)
	}

	// response-rewrite3.t 6, 10, 20.
	packed := string(fasthttp.AppendGzipBytes(nil, []byte(hello)))
	f(filters(`{"regex":"hello","replace":"test"}`), 200, "Content-Encoding: gzip\n", packed, "200\n\ntest world\n")
	f(filters(`{"regex":"hello","replace":"test"}`), 200, "Content-Encoding: br\n", string(fasthttp.AppendBrotliBytes(nil, []byte(hello))), "200\n\ntest world\n")
	f(filters(`{"regex":"hello","replace":"test"}`), 200, "Content-Encoding: deflate\n", hello, "200\nContent-Encoding: deflate\n\nhello world\n")
	if !strings.Contains(g.Log.String(), "unsupported compression encoding type: deflate") {
		t.Errorf("log: %s", &g.Log)
	}
	f(`{"body":"x"}`, 200, "Content-Encoding: deflate\n", hello, "200\n\nx")
	bomb := string(fasthttp.AppendGzipBytes(nil, []byte(strings.Repeat("a", 1<<20))))
	f(`{"max_resp_body_size":2000,"filters":[{"regex":"a","replace":"b","scope":"global"}]}`, 200, "Content-Encoding: gzip\n", bomb, "200\n\n"+strings.Repeat("b", 2000))
	f(filters(`{"regex":"a","replace":"b"}`), 200, "Content-Encoding: gzip\n", "no gzip", "200\n\n")
}

// TestStream holds that a stream of events is never held back or changed.
func TestStream(t *testing.T) {
	for _, contentType := range []string{"text/event-stream; charset=utf-8", "application/vnd.amazon.eventstream"} {
		g := plugintest.New(t, &Spec)
		for _, config := range []string{`{"body":"x","headers":{"X-A":1}}`, `{"filters":[{"regex":"a","replace":"b"}],"headers":{"X-A":1}}`} {
			v := g.Bind(config)
			for range 3 {
				head, body := answer(g, v, 200, "Content-Type: "+contentType+"\n", "data: a\n\n", "data: b\n\n", "")
				if head != "200\nContent-Type: "+contentType+"\nX-A: 1\n" || body != "data: a\n\ndata: b\n\n" {
					t.Errorf("%s: %q %q", config, head, body)
				}
			}
		}
		if n := strings.Count(g.Log.String(), "leaves the bodies of streams as they are"); n != 2 {
			t.Errorf("said %d times: %s", n, &g.Log)
		}
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{"body":"Hello world","headers":{"X-Server-id":3}}`, "")
	g.Check(`{"status_code":599}`, `property "status_code" validation failed: expected 599 to be at most 598`) // 2
	g.Check(`{"body":2,"headers":{"X-Server-id":"3"}}`, `property "body" validation failed: wrong type: expected string, got number`)
	g.Check(`{"status_code":200,"headers":{"":2}}`, "invalid field length in header") // 10
	g.Check(`{"status_code":200,"headers":{"X-Name":{}}}`, "invalid type as header value")
	g.Check(`{"body":"1","body_base64":true}`, "invalid base64 content") // 14
	g.Check(`{"body":"","body_base64":true}`, "invalid base64 content")
	g.Check(`{"body_base64":true}`, "invalid base64 content")
	g.Check(`{"body":"$env://BODY","body_base64":true}`, "")
	g.Check(`{"vars":[["status","==",200]]}`, "")
	g.Check(`{"vars":[{}]}`, "failed to validate the 'vars' expression: rule too short") // 17
	// response-rewrite2.t 1 to 6, 19.
	g.Check(`{"body":"test"}`, "")
	g.Check(`{"filters":[{"regex":"l","replace":"m"}]}`, "")
	g.Check(`{"body":"test","filters":[{"regex":"l","replace":"m"}]}`, `failed to validate dependent schema for "body": value wasn't supposed to match schema`)
	g.Check(`{"filters":[]}`, `property "filters" validation failed: expect array to have at least 1 items`)
	g.Check(`{"filters":[{"regex":"l"}]}`, `property "filters" validation failed: failed to validate item 1: property "replace" is required`)
	g.Check(`{"filters":[{"regex":"","replace":"m"}]}`, `property "filters" validation failed: failed to validate item 1: property "regex" validation failed: string too short, expected at least 1, got 0`)
	g.Check(`{"filters":[{"regex":"l","replace":"m","scope":"two"}]}`, `property "filters" validation failed: failed to validate item 1: property "scope" validation failed: matches none of the enum values`)
	g.Check(`{"filters":[{"regex":"hello","replace":"HELLO","options":"h"}]}`, `regex "hello" validation failed: unknown flag "h" (flags "h")`)
	g.Check(`{"filters":[{"regex":"[","replace":"HELLO"}]}`, "regex \"[\" validation failed: error parsing regexp: unterminated [] set in `[`")
	g.Check(`{"filters":[{"regex":"a","replace":"$x"}]}`, `replace "$x" validation failed: invalid capturing variable name found in "$x"`)
	g.Check(`{"filters":[{"regex":"$env://PATTERN","replace":"$env://WITH"}]}`, "")
	for _, headers := range []string{`{"add":[["headers:"]]}`, `{"remove":[["headers:"]]}`, `{"set":[["headers"]]}`, `{"set":[{"":1}]}`, `{"set":[{"a":true}]}`, `{"add":["a:b/"]}`} {
		g.Check(`{"headers":`+headers+`}`, `property "headers" validation failed: object matches none of the required`)
	}
	g.Check(`{"headers":{"add":["a b: c"]}}`, "invalid field character in header")
	for _, config := range []string{`{"body":"$env://1","body_base64":true}`, `{"filters":[{"regex":"$env://[","replace":""}]}`} {
		if _, err := g.TryBind(config); err == nil {
			t.Errorf("%s is taken", config)
		}
	}
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	v := g.Bind(`{"headers":{"set":{"X-A":"1","X-B":"$remote_addr"},"remove":["X-C"]},"vars":[["status","==",200]]}`).(plugin.HeaderFilter)
	c := g.Request("GET", "/", "")
	c.Status = 200
	plugintest.Budget(t, "headers", 0, func() { v.FilterHeader(c) })
}
