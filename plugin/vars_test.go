package plugin

import (
	"encoding/base64"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/conf/expr"
	"headrace/driver"
)

// full is a request in which every variable has a value.
func full() *Ctx {
	c := &Ctx{
		Req: Request{
			Method: []byte("POST"), URI: []byte("/v1//chat?model=x%20y&Model=z&e&bad=%zz%41"), Path: []byte("/v1/chat"),
			Query: []byte("model=x%20y&Model=z&e&bad=%zz%41&%6bey=1+2&model=second"), Host: []byte("AI.Example.com:9080"),
			Protocol: []byte("HTTP/1.1"),
			Headers: []byte("Host: AI.Example.com:9080\r\nAuthorization: bAsIc " + base64.StdEncoding.EncodeToString([]byte("jack:pa:ss")) +
				"\r\nX-Tenant-Id:  a b \r\nX-Empty:\r\nx_tenant_id: c\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" +
				"Cookie: a=1; b=x=y;c\r\nCookie: d=2\r\nUser-Agent: curl/8\r\n"),
			Remote: netip.MustParseAddrPort("[::ffff:192.0.2.7]:5123"), Local: netip.MustParseAddrPort("[2001:db8::1]:9080"),
			Length: 321, TLS: true,
		},
		Info: &Info{RouteID: "r1", RouteName: "chat", ServiceID: "s1", ServiceName: "svc", MatchedURI: "/v1/*", MatchedHost: "*.example.com"},
		AI:   true, Proto: driver.OpenAIChat, Stream: true, RequestModel: []byte("gpt"), Model: []byte("gpt-4o"),
		EndUser: []byte("u1"), EndReason: "complete", UpstreamID: []byte("req_1"), ToolCount: 3, Status: 200, Sent: 77, Source: "upstream", Consumer: &Consumer{Name: "jill", Group: "g1"}, Scheme: "https",
		Attempts: []Attempt{
			{Instance: "one", Addr: "a:443", Connect: 2 * time.Millisecond},
			{Instance: "two", Addr: "b:443", Status: 200, Connect: 15 * time.Millisecond, Header: time.Second, Total: 61*time.Second + 7*time.Millisecond, Length: 99},
		},
		Upstream: UpstreamRef{Host: []byte("api.openai.com"), URI: []byte("/v1/chat/completions")},
		Times:    Times{FirstToken: 250*time.Millisecond + 900*time.Microsecond, Upstream: 1234 * time.Millisecond, Total: 2 * time.Second},
	}
	copy(c.ID[:], "0123456789abcdef0123456789abcdef")
	c.Capture.Usage = driver.Usage{Prompt: 1, Completion: 2, Total: 3, CacheRead: 4, CacheCreation: 5, Reasoning: 6}
	c.Capture.ToolCalls = true
	return c
}

const absent = "(absent)"

func valueOf(t *testing.T, c *Ctx, name string) string {
	t.Helper()
	v, _ := LookupVar(name)
	out, ok := v(c, []byte("before"))
	if ok && !strings.HasPrefix(string(out), "before") {
		t.Errorf("%s lost what stood in dst: %q", name, out)
	}
	e := c.Var([]byte("before"), name)
	same := (e.Kind == expr.String) == ok && (!ok || string(e.Bytes) == string(out[len("before"):]))
	if !same && name != "request_uri" && name != "arg_e" { // TestVarOfExpressions
		t.Errorf("%s: Var gives %v %q, the variable %q %v", name, e.Kind, e.Bytes, out, ok)
	}
	if !ok {
		return absent
	}
	return string(out[len("before"):])
}

func TestVars(t *testing.T) {
	c := full()
	tested := map[string]bool{"time_local": true, "time_iso8601": true, "msec": true} // TestVarsOfTheClock
	f := func(name, want string) {
		t.Helper()
		tested[name] = true
		if got := valueOf(t, c, name); got != want {
			t.Errorf("$%s is %q, want %q", name, got, want)
		}
	}
	host, _ := os.Hostname()
	// The server's (gateway.md 1.4 and 7.2).
	f("remote_addr", "192.0.2.7")
	f("remote_port", "5123")
	f("server_addr", "2001:db8::1")
	f("server_port", "9080")
	f("remote_user", "jack")
	f("hostname", host)
	f("pid", strconv.Itoa(os.Getpid()))
	f("request_method", "POST")
	f("method", "POST")
	f("request", "POST /v1//chat?model=x%20y&Model=z&e&bad=%zz%41 HTTP/1.1")
	f("request_line", "POST /v1//chat?model=x%20y&Model=z&e&bad=%zz%41 HTTP/1.1")
	f("request_uri", "/v1//chat?model=x%20y&Model=z&e&bad=%zz%41")
	f("real_request_uri", "/v1//chat?model=x%20y&Model=z&e&bad=%zz%41")
	f("uri", "/v1/chat")
	f("document_uri", "/v1/chat")
	f("args", string(c.Req.Query))
	f("query_string", string(c.Req.Query))
	f("is_args", "?")
	f("scheme", "https")
	f("server_protocol", "HTTP/1.1")
	f("host", "ai.example.com")
	f("server_name", "ai.example.com")
	f("http_host", "AI.Example.com:9080")
	f("content_type", "application/json")
	f("content_length", "2")
	f("request_length", "321")
	f("status", "200")
	f("body_bytes_sent", "77")
	f("request_time", "2.000")
	f("request_id", "0123456789abcdef0123456789abcdef")
	f("apisix_request_id", "0123456789abcdef0123456789abcdef")
	f("route_id", "r1")
	f("route_name", "chat")
	f("service_id", "s1")
	f("service_name", "svc")
	f("matched_uri", "/v1/*")
	f("matched_host", "*.example.com")
	f("consumer_name", "jill")
	f("consumer_group_id", "g1")
	f("response_source", "upstream")
	// Upstream and AI (ai-proxy.md 7.1).
	f("upstream_addr", "a:443, b:443")
	f("upstream_status", "-, 200")
	f("upstream_response_time", "0.000, 61.007")
	f("upstream_connect_time", "0.002, 0.015")
	f("upstream_header_time", "0.000, 1.000")
	f("upstream_response_length", "0, 99")
	f("upstream_scheme", "https")
	f("upstream_host", "api.openai.com")
	f("upstream_uri", "/v1/chat/completions")
	f("balancer_ip", "two")
	f("request_type", "ai_stream")
	f("request_llm_model", "gpt")
	f("llm_model", "gpt-4o")
	f("llm_time_to_first_token", "250")
	f("apisix_upstream_response_time", "1234")
	f("llm_prompt_tokens", "1")
	f("llm_completion_tokens", "2")
	f("llm_total_tokens", "3")
	f("llm_cache_read_input_tokens", "4")
	f("llm_cache_creation_input_tokens", "5")
	f("llm_reasoning_tokens", "6")
	f("llm_tool_count", "3")
	f("llm_stream", "true")
	f("llm_has_tool_calls", "true")
	f("llm_end_user_id", "u1")
	f("llm_end_reason", "complete")
	f("upstream_request_id", "req_1")
	f("llm_content_risk_level", "")
	f("rate_limiting_info", "")
	for name := range vars {
		if !tested[name] {
			t.Errorf("$%s has no test", name)
		}
	}

	// The families.
	f("arg_model", "x y") // the first
	f("arg_Model", "z")
	f("arg_e", "")
	f("arg_bad", "%zzA")
	f("arg_key", "1 2") // the name may be escaped
	f("arg_none", absent)
	f("arg_", absent)
	f("http_x_tenant_id", "a b, c")
	f("http_X-Tenant-ID", "a b, c")
	f("http_x_empty", "")
	f("http_cookie", "a=1; b=x=y;c; d=2")
	f("http_user_agent", "curl/8")
	f("http_referer", absent)
	f("http_", absent)
	f("sent_http_x_answer", absent)
	c.Head = []byte("HTTP/1.1 200 OK: x\r\nX-Answer: a\r\nContent-Type: t\r\nx-answer: b\r\n\r\n")
	f("sent_http_X_Answer", "a, b")
	f("sent_http_content_type", "t")
	f("sent_http_ok", absent)
	c.Head = nil
	f("cookie_a", "1")
	f("cookie_b", "x=y")
	f("cookie_c", absent)
	f("cookie_d", "2")
	f("cookie_A", absent)
	c.Params = []Param{{"id", []byte("7")}, {":ext", []byte("a/b")}}
	f("uri_param_id", "7")
	f("uri_param_:ext", "a/b")
	f("uri_param_none", absent)
	f("post_arg_model", absent) // nobody reads a body here
	f("post_arg.model", absent)
	f("no_such_variable", absent)
	f("", absent)
	if _, ok := LookupVar("no_such_variable"); ok {
		t.Error("LookupVar knows no_such_variable")
	}
}

// TestVarsInitial holds the values of a request that nothing has happened to.
func TestVarsInitial(t *testing.T) {
	empty := map[string]string{
		"is_args": "", "scheme": "http", "request_length": "0", "status": "000", "body_bytes_sent": "0", "request_time": "0.000",
		"upstream_scheme": "http", "upstream_host": "", "upstream_uri": "",
		"request_type": "traditional_http", "request_llm_model": "", "llm_model": "", "llm_time_to_first_token": "0",
		"llm_prompt_tokens": "0", "llm_completion_tokens": "0", "llm_total_tokens": "0", "llm_cache_read_input_tokens": "0",
		"llm_cache_creation_input_tokens": "0", "llm_reasoning_tokens": "0", "llm_tool_count": "0",
		"llm_stream": "false", "llm_has_tool_calls": "false", "llm_end_user_id": "", "llm_content_risk_level": "", "rate_limiting_info": "",
	}
	for name := range vars {
		want, ok := empty[name]
		switch name {
		case "hostname", "pid", "time_local", "time_iso8601", "msec", "request_id", "apisix_request_id":
			continue
		}
		if !ok {
			want = absent
		}
		if got := valueOf(t, &Ctx{}, name); got != want {
			t.Errorf("$%s is %q, want %q", name, got, want)
		}
	}
}

func TestVarsSpecial(t *testing.T) {
	f := func(name, want string, set func(c *Ctx)) {
		t.Helper()
		c := full()
		set(c)
		if got := valueOf(t, c, name); got != want {
			t.Errorf("$%s is %q, want %q", name, got, want)
		}
	}
	host := func(h string) func(*Ctx) { return func(c *Ctx) { c.Req.Host = []byte(h) } }
	f("host", "[::1]", host("[::1]:80"))
	f("host", "[::1]", host("[::1]"))
	f("host", "a.b", host("A.b."))
	f("upstream_host", "h:80", func(c *Ctx) { c.Req.Host, c.Upstream.Host = []byte("h:80"), nil })
	f("request_type", "ai_chat", func(c *Ctx) { c.Stream = false })
	f("llm_stream", "false", func(c *Ctx) { c.AI = false }) // true only for ai_stream
	f("apisix_upstream_response_time", "0.000, 61.007", func(c *Ctx) { c.AI = false })
	f("remote_addr", "2001:db8::7", func(c *Ctx) { c.Req.Remote = netip.MustParseAddrPort("[2001:db8::7]:1") })

	auth := func(v string) func(*Ctx) {
		return func(c *Ctx) { c.Req.Headers = []byte("authorization:" + v + "\r\n") }
	}
	f("remote_user", "a", auth(" Basic  YTo="))
	f("remote_user", "a", auth(" basic YTo")) // without padding
	f("remote_user", absent, auth(" Basic Ojo="))
	f("remote_user", absent, auth(" Basic YWE="))
	f("remote_user", absent, auth(" Basic %%"))
	f("remote_user", absent, auth(" Bearer YTo="))
	f("remote_user", absent, auth(""))
}

func TestVarsOfTheClock(t *testing.T) {
	f := func(name, layout string) {
		t.Helper()
		got, err := time.Parse(layout, valueOf(t, &Ctx{}, name))
		if d := time.Since(got); err != nil || d < -time.Second || d > time.Minute {
			t.Errorf("$%s: %v, %v ago", name, err, d)
		}
	}
	f("time_local", "02/Jan/2006:15:04:05 -0700")
	f("time_iso8601", time.RFC3339)
	msec, _ := LookupVar("msec")
	out, _ := msec(&Ctx{}, nil)
	if s, err := strconv.ParseFloat(string(out), 64); err != nil || time.Since(time.UnixMilli(int64(s*1000))).Abs() > time.Minute {
		t.Errorf("$msec is %s", out)
	}
}

func TestBudget(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	c := full()
	dst := make([]byte, 0, 1024) // which name comes first must not matter
	f := func(name string, do func()) {
		t.Helper()
		do()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	names := []string{"arg_bad", "arg_key", "http_x_tenant_id", "cookie_d", "no_such_variable"}
	for name := range vars {
		names = append(names, name)
	}
	for _, name := range names {
		for _, e := range []Escape{EscapeDefault, EscapeJSON, EscapeNone} {
			tpl := CompileTemplate("<$"+name+">", e)
			f("$"+name, func() { dst = tpl.Append(dst[:0], c) })
		}
		f("Var of "+name, func() { c.Var(dst[:0], name) })
	}
	f("Reset", func() { c.Reset() })
}

func FuzzAppendArg(f *testing.F) {
	f.Add("a=1&b=2", "b")
	f.Add("a=%41+%zz&&=x&%", "a")
	f.Fuzz(func(t *testing.T, query, name string) {
		// The slow twin: decode everything, then look.
		var want string
		found := false
		for kv := range strings.SplitSeq(query, "&") {
			k, v, _ := strings.Cut(kv, "=")
			if !found && kv != "" && slowUnescape(k) == name {
				want, found = slowUnescape(v), true
			}
		}
		got, ok := appendArg([]byte("x"), []byte(query), name)
		if name != "" && (ok != found || string(got) != "x"+want) {
			t.Errorf("%q in %q: %q %v, want %q %v", name, query, got, ok, want, found)
		}
	})
}

func slowUnescape(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+3 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				s = s[:i] + string([]byte{byte(n)}) + s[i+3:]
			}
		}
	}
	return s
}

func TestRequestID(t *testing.T) {
	c := full()
	c.RequestID = "mine"
	if got := valueOf(t, c, "apisix_request_id"); got != "mine" {
		t.Errorf("got %s", got)
	}
	if got := valueOf(t, c, "request_id"); got != "0123456789abcdef0123456789abcdef" {
		t.Errorf("got %s", got)
	}
	c.Req.Remote = netip.AddrPortFrom(c.Req.Remote.Addr(), 0)
	if got := valueOf(t, c, "remote_port"); got != absent {
		t.Errorf("a port that is unknown is %s", got)
	}
}
