package logentry

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

// shown returns what an entry shows of both bodies, "-" for nothing.
func shown(t testing.TB, c *plugin.Ctx, cfg *Config) (request, answer string) {
	t.Helper()
	var e struct {
		Request, Response struct{ Body *string }
	}
	if err := json.Unmarshal([]byte(entryOf(t, c, cfg)), &e); err != nil {
		t.Fatal(err)
	}
	text := func(p *string) string {
		if p == nil {
			return "-"
		}
		return *p
	}
	return text(e.Request.Body), text(e.Response.Body)
}

func TestBodies(t *testing.T) {
	f := func(config, wantReq, wantResp string, keepReq, keepResp int, wants bool) {
		t.Helper()
		cfg := &Config{MaxReq: 100, MaxResp: 100}
		if err := json.Unmarshal([]byte(config), cfg); err != nil {
			t.Fatal(err)
		}
		c := request(t, "")
		c.ReqBody, c.RespBody = []byte("question"), []byte("answer")
		if req, resp := shown(t, c, cfg); req != wantReq || resp != wantResp {
			t.Errorf("%s: %q and %q", config, req, resp)
		}
		fm, _ := cfg.Compile()
		more := func(n int) int { return n + utf8.UTFMax*min(n, 1) }
		if req, resp := fm.Bodies(); req != more(keepReq) || resp != more(keepResp) || fm.WantsAnswer(c) != wants {
			t.Errorf("%s keeps %d and %d, %v", config, req, resp, fm.WantsAnswer(c))
		}
	}
	f(`{}`, "-", "-", 0, 0, false)
	f(`{"include_req_body":true}`, "question", "-", 100, 0, false)
	f(`{"include_resp_body":true}`, "-", "answer", 0, 100, true)
	f(`{"include_req_body":true,"max_req_body_bytes":4,"include_resp_body":true,"max_resp_body_bytes":3}`, "ques", "ans", 4, 3, true)
	f(`{"include_req_body":true,"include_req_body_expr":[["arg_a","==","1"]]}`, "question", "-", 100, 0, false)
	f(`{"include_req_body":true,"include_req_body_expr":[["arg_a","==","2"]]}`, "-", "-", 100, 0, false)
	f(`{"include_resp_body":true,"include_resp_body_expr":[["status","<",300]]}`, "-", "answer", 0, 100, true)
	f(`{"include_resp_body":true,"include_resp_body_expr":[["status",">=",400]]}`, "-", "-", 0, 100, false)
	// Only the default entry has bodies, a custom one has a variable.
	f(`{"include_req_body":true,"include_resp_body":true,"log_format":{"a":"b"}}`, "-", "-", 0, 0, false)
	f(`{"log_format":{"request":{"body":"$request_body"}},"max_req_body_bytes":5}`, "quest", "-", 5, 0, false)
	f(`{"log_format_extra":{"x":"$request_body"}}`, "-", "-", 100, 0, false)
	f(`{"log_format_extra":{"request":{"body":"mine"}},"include_req_body":true}`, "question", "-", 100, 0, false)
}

func TestBodyTexts(t *testing.T) {
	f := func(body string, max int, want string) {
		t.Helper()
		c := request(t, "")
		c.ReqBody, c.RespBody = []byte(body), []byte(body)
		req, resp := shown(t, c, &Config{IncludeReq: true, IncludeResp: true, MaxReq: max, MaxResp: max})
		if req != want || resp != want {
			t.Errorf("%q, %d: %q, %q", body, max, req, resp)
		}
	}
	f("", 9, "-")
	f("a\"\\\n\x00b", 9, "a\"\\\n\x00b")
	f("a\xff\xfeb", 9, "a\uFFFD\uFFFDb")
	f("\x80\x80\x80\x80\x80\x80", 5, "\uFFFD") // these are no ends of characters
	f("a\u00e9b", 2, "a")                      // not half a character
	f("a\u00e9b", 3, "a\u00e9")
	f("\u00e9", 1, "")
}

// TestPackedAnswer holds that gzip and brotli are unpacked, as far as there is
// something, and that nothing small becomes something large.
func TestPackedAnswer(t *testing.T) {
	f := func(encoding string, body []byte, max int, want string) {
		t.Helper()
		c := request(t, "")
		c.Head = []byte("HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + "\r\n\r\n")
		c.RespBody = body
		if _, got := shown(t, c, &Config{IncludeResp: true, MaxResp: max}); got != want {
			t.Errorf("%s, %d bytes: %d bytes %.40q", encoding, len(body), len(got), got)
		}
	}
	const text = "hello hello hello hello hello"
	gz, br := fasthttp.AppendGzipBytes(nil, []byte(text)), fasthttp.AppendBrotliBytes(nil, []byte(text))
	f("gzip", gz, 100, text)
	f("br", br, 100, text)
	f("gzip", gz, 7, "hello h")
	f("br", br, 7, "hello h")
	f("identity", []byte(text), 100, text)
	f("gzip", []byte(text), 100, text)
	f("br", []byte(text), 100, text)
	f("gzip", nil, 100, "-")

	bomb := fasthttp.AppendGzipBytes(nil, make([]byte, 16<<20))
	f("gzip", bomb, 10, strings.Repeat("\x00", 10))
	long := strings.Repeat("All work and no play makes Jack a dull boy. ", 5000)
	packed := fasthttp.AppendGzipBytes(nil, []byte(long))
	c := request(t, "")
	c.Head = []byte("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
	c.RespBody = packed[:len(packed)/2]
	if _, got := shown(t, c, &Config{IncludeResp: true, MaxResp: 1 << 20}); !strings.HasPrefix(long, got) || len(got) < 1000 {
		t.Errorf("of the beginning of a body %d bytes are unpacked: %.40q", len(got), got)
	}
}

func TestOriginal(t *testing.T) {
	c := request(t, "")
	c.ReqBody = []byte("abc\xffdef")
	f := func(cfg *Config, want string) {
		t.Helper()
		fm, err := cfg.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(fm.AppendOriginal([]byte("before "), c)); got != "before "+want {
			t.Errorf("%q", got)
		}
	}
	const head = "POST /v1/chat?a=1&api_key=*** HTTP/1.1\r\nhost: ai.example.com:8080\r\nx-a: 1\r\nx-a: 2\r\nx-empty: \r\nauthorization: ***\r\n\r\n"
	f(&Config{}, head)
	f(&Config{IncludeReq: true, MaxReq: 100}, head+"abc\xffdef")
	f(&Config{IncludeReq: true, MaxReq: 2}, head+"ab")
	f(&Config{IncludeReq: true, MaxReq: 2, ReqExpr: json.RawMessage(`[["arg_a","==","2"]]`)}, head)
}

func TestNoRoute(t *testing.T) {
	f := func(format string, info *plugin.Info, want string) {
		t.Helper()
		c := request(t, "")
		c.Info = info
		var e struct {
			ID string `json:"route_id"`
		}
		line := entryOf(t, c, &Config{Format: json.RawMessage(format), NoRoute: "no-matched"})
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID != want {
			t.Errorf("%s: %s, %v", format, line, err)
		}
	}
	for _, format := range []string{"", `{"a":"b"}`} {
		f(format, &plugin.Info{}, "no-matched")
		f(format, nil, "no-matched")
		f(format, &plugin.Info{RouteID: "r"}, "r")
	}
	f(`{"route_id":"mine"}`, nil, "mine")
}

func TestInherit(t *testing.T) {
	f := func(config, metadata, want string) {
		t.Helper()
		var c Config
		if err := json.Unmarshal([]byte(config), &c); err != nil {
			t.Fatal(err)
		}
		err := c.Inherit([]byte(metadata))
		got := string(c.Format) + " " + string(c.Extra)
		if err != nil {
			got += " " + err.Error()
		}
		if got != want {
			t.Errorf("%s, %s: %s", config, metadata, got)
		}
	}
	f(`{}`, `{}`, " ")
	f(`{}`, `{"log_format":{"a":1},"log_format_extra":{"b":1}}`, `{"a":1} {"b":1}`)
	f(`{"log_format":{"c":1}}`, `{"log_format":{"a":1},"log_format_extra":{"b":1}}`, `{"c":1} {"b":1}`)
	f(`{"log_format_extra":{}}`, `{"log_format_extra":{"b":1}}`, ` {}`)
	f(`{"log_format":{"c":1}}`, `{"log_format":3}`, `{"c":1}  log_format: wrong type: expected object`)
}

func TestConditionFault(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		var c Config
		if err := json.Unmarshal([]byte(config), &c); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Compile(); err == nil || err.Error() != want {
			t.Errorf("%s: %v", config, err)
		}
	}
	f(`{"include_req_body_expr":[["a","<>",1]]}`, "failed to validate the 'include_req_body_expr' expression: invalid operator '<>'")
	f(`{"include_resp_body_expr":[["a","<!>",1]]}`, "failed to validate the 'include_resp_body_expr' expression: invalid operator '<!>'")
}

// FuzzPacked holds that no answer breaks a line or its bound.
func FuzzPacked(f *testing.F) {
	f.Add([]byte("x"), fasthttp.AppendGzipBytes(nil, []byte("hello")), false, uint8(9))
	f.Add([]byte("\xff"), fasthttp.AppendBrotliBytes(nil, []byte("hello")), true, uint8(3))
	f.Fuzz(func(t *testing.T, sent, got []byte, brotli bool, max uint8) {
		c := request(t, "")
		c.ReqBody, c.RespBody = sent, got
		encoding := "gzip"
		if brotli {
			encoding = "br"
		}
		c.Head = []byte("HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + "\r\n\r\n")
		n := int(max)
		if out := plain(c, n); len(out) > n {
			t.Fatalf("%d bytes of %d", len(out), n)
		}
		entryOf(t, c, &Config{IncludeReq: true, IncludeResp: true, MaxReq: n + 1, MaxResp: n + 1})
	})
}
