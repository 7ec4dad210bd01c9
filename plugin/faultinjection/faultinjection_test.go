package faultinjection

import (
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// TestRewrite has the cases of fault-injection.t and fault-injection2.t by
// their numbers.
func TestRewrite(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, target, headers, answer string, slept time.Duration) {
		t.Helper()
		g.Slept = 0
		c := g.Request("GET", target, headers)
		got := plugintest.Answer(c, g.Bind(config).(plugin.Rewriter).Rewrite(c))
		if got != answer || g.Slept != slept {
			t.Errorf("%s %s: %q after %v", config, target, got, g.Slept)
		}
	}
	const text = " text/plain; charset=utf-8\n"
	f(`{"delay":{"duration":1}}`, "/hello", "", "", time.Second) // 11
	f(`{"delay":{"duration":0.25}}`, "/hello", "", "", time.Second/4)
	f(`{"abort":{"http_status":200,"body":"Fault Injection!\n"}}`, "/hello", "", "200"+text+"Fault Injection!\n", 0)
	f(`{"abort":{"http_status":405,"body":"Fault Injection!\n"}}`, "/hello", "", "405"+text+"Fault Injection!\n", 0)
	f(`{"abort":{"http_status":200,"body":"Fault Injection!\n","percentage":0}}`, "/hello", "", "", 0) // 19
	f(`{"abort":{"http_status":200,"body":"Fault Injection!\n","percentage":100}}`, "/hello", "", "200"+text+"Fault Injection!\n", 0)
	f(`{"delay":{"duration":1,"percentage":0}}`, "/hello", "", "", 0)
	f(`{"abort":{"http_status":200,"body":"client addr: $remote_addr\n"}}`, "/hello", "", "200"+text+"client addr: 127.0.0.1\n", 0)
	f(`{"abort":{"http_status":200}}`, "/hello", "", "200"+text, 0)
	const abort = `{"abort":{"http_status":403,"body":"Fault Injection!\n","vars":[[["arg_name","==","jack"],["arg_age","!","<",18]],[["http_apikey","==","api-key"]]]}}`
	const no = "403" + text + "Fault Injection!\n"
	f(abort, "/hello?name=jack&age=18", "apikey: api-key\n", no, 0) // 29
	f(abort, "/hello?name=jack&age=20", "", no, 0)
	f(abort, "/hello", "apikey:api-key\n", no, 0)
	f(abort, "/hello?name=allen", "", "", 0)
	f(abort, "/hello", "", "", 0)
	const both = `{"abort":{"http_status":403,"body":"Fault Injection!\n","vars":[[["arg_name","==","jack"],["arg_age","!","<",18]]]},"delay":{"duration":2,"vars":[[["http_apikey","==","api-key"]]]}}`
	f(both, "/hello?name=jack&age=18", "apikey: api-key\n", no, 2*time.Second) // 38
	f(both, "/hello?name=jack&age=16", "apikey: api-key\n", "", 2*time.Second)
	f(both, "/hello?name=jack&age=18", "", no, 0)
	const not = `{"abort":{"http_status":403,"body":"Fault Injection!\n","vars":[["!AND",["arg_name","==","jack"],["arg_age","!","<",18]]]}}`
	f(not, "/hello?name=jack&age=17", "", no, 0) // 2-2
	f(not, "/hello?name=jack&age=18", "", "", 0)
	f(`{"abort":{"http_status":200,"body":"{\"count\": $arg_count}"}}`, "/hello?count=2", "", "200"+text+`{"count": 2}`, 0) // 2-7
	f(`{"abort":{"http_status":200,"vars":[]}}`, "/hello", "", "", 0)
	f(`{"abort":{"http_status":200,"vars":[[]]}}`, "/hello", "", "200"+text, 0)
	f(`{"abort":{"http_status":499,"headers":{"content-type":"application/json"},"body":"{}"}}`, "/hello", "", "499\n{}", 0)
	g.Gone = true
	f(`{"abort":{"http_status":200},"delay":{"duration":2}}`, "/hello", "", "499\n", 2*time.Second)
}

func TestHeaders(t *testing.T) {
	g := plugintest.New(t, &Spec)
	c := g.Request("GET", "/hello", "")
	g.Bind(`{"abort":{"http_status":200,"headers":{"h1":"v1","h2":2,"h3":"$uri"}}}`).(plugin.Rewriter).Rewrite(c) // 2-5
	if got := plugintest.Head(c); got != "H1: v1\nH2: 2\nH3: /hello\n" {
		t.Errorf("got %q", got)
	}
}

func TestPercentage(t *testing.T) {
	g := plugintest.New(t, &Spec)
	r := g.Bind(`{"abort":{"http_status":200,"percentage":30}}`).(plugin.Rewriter)
	n := 0
	for range 10000 {
		if r.Rewrite(g.Request("GET", "/", "")) != 0 {
			n++
		}
	}
	if n < 2600 || n > 3400 {
		t.Errorf("%d of 10000", n)
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{"abort":{"http_status":100}}`, `property "abort" validation failed: property "http_status" validation failed: expected 100 to be at least 200`) // 1
	g.Check(`{"abort":{"http_status":600}}`, `property "abort" validation failed: property "http_status" validation failed: expected 600 to be at most 599`)
	g.Check(`{"abort":{}}`, `property "abort" validation failed: property "http_status" is required`)
	g.Check(`{}`, "expect object to have at least 1 properties")
	g.Check(`{"delay":{}}`, `property "delay" validation failed: property "duration" is required`)
	g.Check(`{"delay":{"duration":"test"}}`, `property "delay" validation failed: property "duration" validation failed: wrong type: expected number, got string`)
	g.Check(`{"delay":{"duration":1e300}}`, "")
	g.Check(`{"abort":{"http_status":403,"vars":[["arg_name","!=","jack"]]}}`, "rule should be wrapped inside brackets") // 27
	g.Check(`{"delay":{"duration":1,"vars":[["arg_name","!=","jack"]]}}`, "rule should be wrapped inside brackets")
	g.Check(`{"abort":{"http_status":403,"headers":{"a b":"c"}}}`, "invalid field character in header")
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	r := g.Bind(`{"abort":{"http_status":403,"vars":[[["arg_name","==","jack"]]]},"delay":{"duration":2,"percentage":0}}`).(plugin.Rewriter)
	c := g.Request("GET", "/?name=jill", "")
	plugintest.Budget(t, "no fault", 0, func() { r.Rewrite(c) })
}
