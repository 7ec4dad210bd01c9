package logentry

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/plugin"
)

func request(t testing.TB, body string) *plugin.Ctx {
	t.Helper()
	c := &plugin.Ctx{
		Req: plugin.Request{
			Method: []byte("POST"), URI: []byte("/v1/chat?a=1&api_key=sk-client"), Path: []byte("/v1/chat"),
			Query: []byte("a=1&api_key=sk-client"), Host: []byte("ai.example.com:8080"), Protocol: []byte("HTTP/1.1"),
			Headers: []byte("Host: ai.example.com:8080\r\nX-A: 1\r\nx-a: 2\r\nX-Empty:\r\nAuthorization: Bearer sk-client\r\n"),
			Remote:  netip.MustParseAddrPort("192.0.2.7:5"), Local: netip.MustParseAddrPort("10.0.0.1:9080"), Length: 300,
		},
		Info: &plugin.Info{RouteID: "r1", ServiceID: "s1"},
		AI:   true, Proto: driver.OpenAIChat, Stream: true, RequestModel: []byte("m"), Model: []byte("gpt"), EndUser: []byte("u"), ToolCount: 2,
		Status: 200, Sent: 55, Consumer: &plugin.Consumer{Name: "jill"},
		Attempts: []plugin.Attempt{{Addr: "a:443", Total: 100 * time.Millisecond}, {Addr: "b:443", Total: 1234567 * time.Microsecond}},
		Head:     []byte("HTTP/1.1 200 OK: fine\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=sk-server\r\n\r\n"),
		Times: plugin.Times{Start: time.UnixMilli(1700000000123), FirstToken: 250 * time.Millisecond,
			Upstream: 1234567 * time.Microsecond, Total: 1500 * time.Millisecond},
	}
	c.Capture.Usage = driver.Usage{Prompt: 1, Completion: 2, Total: 3, CacheRead: 4, CacheCreation: 5, Reasoning: 6}
	c.Capture.ToolCalls = true
	c.Capture.Text = []byte("hello \"you\"")
	if body != "" {
		if err := c.Body.Load([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func entry(t testing.TB, c *plugin.Ctx, format, extra string) string {
	t.Helper()
	return entryOf(t, c, &Config{Format: json.RawMessage(format), Extra: json.RawMessage(extra)})
}

func entryOf(t testing.TB, c *plugin.Ctx, cfg *Config) string {
	t.Helper()
	f, err := cfg.Compile()
	if err != nil {
		t.Fatal(err)
	}
	out := f.Append([]byte("before"), c)
	line, ok := bytes.CutPrefix(out, []byte("before"))
	if !ok {
		t.Errorf("what stood in dst is lost: %s", out)
	}
	check(t, line)
	return string(line)
}

// check holds what is true of every entry: it is an object in one line of
// UTF-8, and no member is there twice. What stands in arrays, and the
// client's own messages, may have what it likes.
func check(t testing.TB, line []byte) {
	t.Helper()
	if !json.Valid(line) || line[0] != '{' || !utf8.Valid(line) || bytes.ContainsAny(line, "\r\n") {
		t.Fatalf("not one line of JSON: %q", line)
	}
	unique(t, line)
}

func unique(t testing.TB, object []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token()
	for seen := map[string]bool{}; d.More(); {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		name := tok.(string)
		if seen[name] && !strings.ContainsRune(name, utf8.RuneError) {
			t.Fatalf("%q is there twice: %s", name, object)
		}
		seen[name] = true
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if v[0] == '{' && name != "messages" {
			unique(t, v)
		}
	}
}

func equal(t testing.TB, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestStandard holds the fields of APISIX's default entry (gateway.md 8.7).
func TestStandard(t *testing.T) {
	quoted, _ := json.Marshal(hostname)
	want := `{
		"request": {"url": "http://ai.example.com:9080/v1/chat?a=1&api_key=***", "uri": "/v1/chat?a=1&api_key=***", "method": "POST",
			"headers": {"host": "ai.example.com:8080", "x-a": ["1","2"], "x-empty": "", "authorization": "***"},
			"querystring": {"a": "1", "api_key": "***"}, "size": 300},
		"response": {"status": 200, "headers": {"content-type": "text/event-stream", "set-cookie": "***"}, "size": 55},
		"server": {"hostname": ` + string(quoted) + `, "version": "headrace"},
		"upstream": "a:443, b:443", "service_id": "s1", "route_id": "r1", "consumer": {"username": "jill"}, "client_ip": "192.0.2.7",
		"start_time": 1700000000123, "latency": 1500, "upstream_latency": 1334.567, "apisix_latency": 165.433}`
	c := request(t, "")
	equal(t, entry(t, c, "", ""), want)
	equal(t, entry(t, c, "null", "{}"), want)
	equal(t, entry(t, c, "{}", ""), want)
	equal(t, string((&Format{}).Append(nil, c)), want)

	// A request that met no route, no upstream and no consumer.
	c = &plugin.Ctx{Req: plugin.Request{Method: []byte("GET"), URI: []byte("/"), Path: []byte("/"), Host: []byte("h")},
		Status: 404, Times: plugin.Times{Start: time.UnixMilli(1), Total: time.Millisecond}}
	equal(t, entry(t, c, "", ""), `{
		"request": {"url": "http://h:0/", "uri": "/", "method": "GET", "headers": {}, "querystring": {}, "size": 0},
		"response": {"status": 404, "headers": {}, "size": 0}, "server": {"hostname": `+string(quoted)+`, "version": "headrace"},
		"service_id": "h", "start_time": 1, "latency": 1, "apisix_latency": 1}`)

	// While the server still has the answer, its headers come from there.
	c.HTTP = &fasthttp.RequestCtx{}
	c.HTTP.Response.Header.Set("X-Answer", "42")
	if got := entry(t, c, "", ""); !strings.Contains(got, `"x-answer":"42"`) {
		t.Error(got)
	}
}

func TestQuery(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		equal(t, string(appendQuery(nil, []byte(query))), want)
	}
	f("", `{}`)
	f("&&", `{}`)
	f("a=1&b=&c&=x", `{"a":"1","b":"","c":true}`)
	f("a=1&b=2&a=3&a", `{"a":["1","3",true],"b":"2"}`)
	f("a%20b=c+d%zz&%61=1&A=2", `{"a b":"c d%zz","a":"1","A":"2"}`)
	f("key=s&KEY=s&api%5fkey=s&keyword=1", `{"key":"***","KEY":"***","api_key":"***","keyword":"1"}`)
	f("token=a&token=b", `{"token":["***","***"]}`)
	f(strings.Repeat("a&", 1000), `{"a":[`+strings.Repeat("true,", maxPairs-1)+`true]}`)
}

func TestSecret(t *testing.T) {
	for _, name := range []string{
		"Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Api-Key", "api-key", "apikey", "api_key", "apiKey", "x-goog-api-key",
		"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-Credential", "Ocp-Apim-Subscription-Key", "access_token", "id_token", "token",
		"client_secret", "password", "key", "sig", "auth", "jwt", strings.Repeat("x", 100) + "-token",
	} {
		if !secret([]byte(name)) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{
		"", "model", "max_tokens", "Content-Type", "Idempotency-Key", "Sec-WebSocket-Key", "monkey", "author", "X-Request-Id", "design", "user-agent",
	} {
		if secret([]byte(name)) {
			t.Errorf("%s is masked", name)
		}
	}
}

// TestNoSecrets holds that neither the client's nor the provider's
// credentials are in a default entry.
func TestNoSecrets(t *testing.T) {
	cfg, err := driver.ParseConfig([]byte(`{"provider":"openai-compatible","auth":{"header":{"Authorization":"Bearer sk-provider","X-Own":"sk-provider"},
		"query":{"k":"sk-provider"}},"override":{"endpoint":"http://127.0.0.1:1/v1/chat?x=sk-provider"}}`))
	if err != nil {
		t.Fatal(err)
	}
	in, err := driver.CompileInstance("one", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := request(t, `{"model":"m","messages":[]}`)
	c.Instance, c.LogSummary, c.LogPayload = in, true, true
	c.Upstream = plugin.UpstreamRef{Host: []byte("127.0.0.1"), URI: []byte("/v1/chat")}
	c.Req.Query = []byte("api_key=sk-1&Api-Key=sk-2&access%5Ftoken=sk-3&key=sk-4&x=1")
	c.Req.URI = append([]byte("/v1?"), c.Req.Query...)
	c.Req.Headers = []byte("Authorization: sk-5\r\nAPIKEY: sk-6\r\nx-api-key:sk-7\r\ncookie: sk-8\r\nX-Goog-Api-Key: sk-9\r\n" +
		"Proxy-Authorization: sk-10\r\nX-Amz-Security-Token: sk-11\r\ncookie: sk-12\r\n")
	if got := entry(t, c, "", ""); strings.Contains(got, "sk-") {
		t.Error(got)
	}
}

func TestCustom(t *testing.T) {
	f := func(format, extra, want string) {
		t.Helper()
		equal(t, entry(t, request(t, ""), format, extra), want)
	}
	f(`{"a":"$status","b":"text","c":3.50,"d":null,"e":[1,"$status"],"f":true}`, ``,
		`{"a":"200","b":"text","c":3.5,"d":null,"e":[1,"$status"],"f":true,"route_id":"r1","service_id":"s1"}`)
	f(`{"a":"${status}","b":"$http_referer","c":{"d":"$no_such"},"e":{}}`, ``, `{"a":"200","c":{},"e":{},"route_id":"r1","service_id":"s1"}`)
	f(`{"route_id":"mine","service_id":"mine"}`, ``, `{"route_id":"r1","service_id":"s1"}`) // as in APISIX
	f(`{"a":"$http_authorization"}`, ``, `{"a":"Bearer sk-client","route_id":"r1","service_id":"s1"}`)
	f(`{"a":"1"}`, `{"b":"2"}`, `{"a":"1","route_id":"r1","service_id":"s1"}`) // extra is for the default entry only
	f(`{"a\n\"é":{"b":{"c":{"d":{"e":"$status"}}}}}`, ``, `{"a\n\"é":{"b":{"c":{"d":{"e":"200"}}}},"route_id":"r1","service_id":"s1"}`)

	c := &plugin.Ctx{}
	equal(t, entry(t, c, `{"a":"1"}`, ""), `{"a":"1"}`)
	equal(t, entry(t, c, `{"route_id":"mine"}`, ""), `{"route_id":"mine"}`)

	// What is added never hides what is there (3.18).
	if got := entry(t, request(t, ""), "", `{"tenant":"$http_x_a","server":"mine","upstream":"$no_such"}`); !strings.Contains(got, `"tenant":"1, 2"`) ||
		strings.Contains(got, `"server":"mine"`) || !strings.Contains(got, `"upstream":"a:443, b:443"`) || !strings.Contains(got, `"latency":1500`) {
		t.Error(got)
	}
}

func TestCompileFault(t *testing.T) {
	f := func(format, extra, want string) {
		t.Helper()
		if _, err := (&Config{Format: json.RawMessage(format), Extra: json.RawMessage(extra)}).Compile(); err == nil || err.Error() != want {
			t.Errorf("%s, %s: %v", format, extra, err)
		}
	}
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	if _, err := (&Config{Format: json.RawMessage(nested(5)), Extra: json.RawMessage(nested(5))}).Compile(); err != nil {
		t.Error(err)
	}
	f(nested(6), "", "log_format: a: a: a: a: a: nested deeper than 5")
	f("", nested(6), "log_format_extra: a: a: a: a: a: nested deeper than 5")
	f(nested(2000), "", "log_format: a: a: a: a: a: nested deeper than 5")
	f("[]", "", "log_format: wrong type: expected object")
	f("", `"x"`, "log_format_extra: wrong type: expected object")
	f("{", "", "log_format: wrong type: expected object")
}

const wantSummary = `{"request_model":"m","model":"gpt","duration":250,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,
	"upstream_response_time":1234,"stream":true,"tool_count":2,"has_tool_calls":true,"end_user_id":"u","cache_read_input_tokens":4,
	"cache_creation_input_tokens":5,"reasoning_tokens":6,"content_risk_level":""}`

// TestLLM holds names and conditions of ai-proxy.md 7.2.
func TestLLM(t *testing.T) {
	const format = `{"x":"1","llm_summary":"mine"}`
	f := func(want string, set func(c *plugin.Ctx)) {
		t.Helper()
		c := request(t, `{"model":"m","messages":[{"role":"user","content":"hi"}],"input":"in"}`)
		c.Info = nil
		set(c)
		equal(t, entry(t, c, format, ""), want)
		// The default entry gets the same.
		var custom, standard map[string]json.RawMessage
		json.Unmarshal([]byte(entry(t, c, format, "")), &custom)
		json.Unmarshal([]byte(entry(t, c, "", "")), &standard)
		for _, k := range []string{"llm_summary", "llm_request", "llm_response_text"} {
			if s := string(custom[k]); s != string(standard[k]) && s != `"mine"` {
				t.Errorf("%s: %s, in the default entry %s", k, s, standard[k])
			}
		}
	}
	f(`{"x":"1","llm_summary":"mine"}`, func(c *plugin.Ctx) {})
	f(`{"x":"1","llm_summary":`+wantSummary+`}`, func(c *plugin.Ctx) { c.LogSummary = true })
	f(`{"x":"1","llm_summary":"mine"}`, func(c *plugin.Ctx) { c.LogSummary, c.LogPayload, c.AI = true, true, false })

	payload := func(messages, stream string) string {
		return `{"x":"1","llm_summary":"mine","llm_request":{` + messages + `"stream":` + stream + `},"llm_response_text":{"content":"hello \"you\""}}`
	}
	for proto, want := range map[driver.Proto]string{
		driver.OpenAIChat:        `"messages":[{"role":"user","content":"hi"}],`,
		driver.AnthropicMessages: `"messages":[{"role":"user","content":"hi"}],`,
		driver.BedrockConverse:   `"messages":[{"role":"user","content":"hi"}],`,
		driver.OpenAIResponses:   `"messages":"in",`,
		driver.OpenAIEmbeddings:  `"messages":"in",`,
		driver.Passthrough:       ``,
	} {
		f(payload(want, "true"), func(c *plugin.Ctx) { c.LogPayload, c.Proto = true, proto })
	}
	f(payload("", "false"), func(c *plugin.Ctx) { c.LogPayload, c.Proto, c.Stream = true, driver.Passthrough, false })
}

// TestPayload holds that a body cannot break the line, nor make it huge.
func TestPayload(t *testing.T) {
	messages := func(body string) string {
		t.Helper()
		c := request(t, body)
		c.LogPayload = true
		var e struct {
			Request struct{ Messages json.RawMessage } `json:"llm_request"`
		}
		line := entry(t, c, `{"a":1}`, "")
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(line) > 4*maxPayload {
			t.Fatalf("%d bytes, %v", len(line), err)
		}
		return string(e.Request.Messages)
	}
	if got := messages("{\"messages\": [\r\n\t{\"content\": \"a\\nb\"}\n]}"); got != "[  \t{\"content\": \"a\\nb\"} ]" {
		t.Errorf("%q", got)
	}
	if got := messages("{\"messages\":[\"a\xffb\xc3\"]}"); got != "[\"a\uFFFDb\uFFFD\"]" {
		t.Errorf("%q", got)
	}
	long := `["` + strings.Repeat("é\\n", 1<<18) + `"]`
	got := messages(`{"messages":` + long + `}`)
	var cut string
	if err := json.Unmarshal([]byte(got), &cut); err != nil || !strings.HasPrefix(long, cut) || len(cut) < maxPayload-4 || len(cut) > maxPayload {
		t.Errorf("%d bytes of the long one: %v", len(cut), err)
	}
	exact := `"` + strings.Repeat("x", maxPayload-2) + `"`
	if got := messages(`{"messages":` + exact + `}`); got != exact {
		t.Errorf("%d bytes of %d", len(got), len(exact))
	}
}

func TestInvalidUTF8(t *testing.T) {
	bad := []byte("a\xff\xfe\n\"\x00")
	c := request(t, "")
	c.Req.URI, c.Req.Query, c.Req.Method, c.Req.Host = append([]byte("/?"), bad...), bad, bad, bad
	c.Req.Headers = append(append([]byte("X-\xff: "), "a\xff"...), "\r\nAuthorization\xff: x\r\n"...)
	c.Model, c.RequestModel, c.EndUser, c.Consumer, c.LogSummary, c.LogPayload = bad, bad, bad, &plugin.Consumer{Name: string(bad)}, true, true
	c.Capture.Text = bad
	got := entry(t, c, "", `{"m":"$llm_model"}`)
	if !strings.Contains(got, `"m":"a`+"\uFFFD\uFFFD"+`\n\"\u0000"`) {
		t.Error(got)
	}
	entry(t, c, "{\"a\xff\":[\"\xff\"],\"b\":\"\xff\",\"c\":[\n1]}", "")
}

func TestBudget(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	c := request(t, `{"messages":[{"role":"user","content":"hi"}]}`)
	c.LogSummary, c.LogPayload = true, true
	var dst []byte
	for _, format := range []string{"", `{"a":"$request","b":{"c":"$llm_model"},"d":"$http_x_a","e":5}`} {
		f, err := (&Config{Format: json.RawMessage(format)}).Compile()
		if err != nil {
			t.Fatal(err)
		}
		do := func() { dst = f.Append(dst[:0], c) }
		do()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%q: %v allocations", format, n)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("a=1&api_key=%zz&b", "A: b\r\nA: c\r\nAuthorization: x\r\n", `{"messages":[1,"\ud800"]}`, `{"a":"$args","b":{"c":[1]}}`, uint8(0))
	f.Add("\xff", "\xff: \xff\r\n", "{\"input\":\n\"\xff\"}", `{"llm_request":"$uri"}`, uint8(3))
	protos := []driver.Proto{driver.OpenAIChat, driver.OpenAIResponses, driver.AnthropicMessages, driver.Passthrough, driver.Unknown}
	f.Fuzz(func(t *testing.T, query, headers, body, format string, n uint8) {
		c := request(t, "")
		c.Req.Query, c.Req.URI, c.Req.Headers = []byte(query), []byte("/"+headers+"?"+query), []byte(headers)
		c.Head = []byte("HTTP/1.1 200 OK\r\n" + headers)
		c.RequestModel, c.Capture.Text = []byte(headers), []byte(query)
		c.LogSummary, c.LogPayload, c.Proto = true, true, protos[int(n)%len(protos)]
		if err := c.Body.Load([]byte(body)); err != nil {
			c.Body.Reset()
		}
		entry(t, c, "", "")
		for _, raw := range [][2]string{{format, ""}, {"", format}} {
			if fm, err := (&Config{Format: json.RawMessage(raw[0]), Extra: json.RawMessage(raw[1])}).Compile(); err == nil {
				check(t, fm.Append(nil, c))
				if out := fm.AppendOriginal(nil, c); bytes.Contains(out, []byte("sk-client")) && !strings.Contains(query+headers, "sk-client") {
					t.Fatalf("%q", out)
				}
			}
		}
	})
}
