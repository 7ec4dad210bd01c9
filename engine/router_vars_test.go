package engine

import (
	"net/netip"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/plugin"
)

// routed serves one route with the given fields by an upstream that shows what
// it gets, and says whether a request reaches it.
func routed(t *testing.T, o Options, fields string) (hit func(method, path, body string, headers ...string) bool) {
	t.Helper()
	r := newRig(t, o)
	r.src.put(conf.Routes, "1", `{"id":"1","uris":["/hello","/u/:id"],"upstream":{`+nodes(r.node(dump))+`},`+fields+`}`)
	if r.e.Snapshot().Routes() != 1 {
		t.Fatalf("%s: the route was not taken", fields)
	}
	return func(method, path, body string, headers ...string) bool {
		t.Helper()
		resp, text := r.do(method, path, body, headers...)
		if resp.StatusCode == 404 && text != "{\"error_msg\":\"404 Route Not Found\"}\n" {
			t.Errorf("%s %s: %s", method, path, text)
		}
		return resp.StatusCode == 200
	}
}

// T: router/radixtree-uri-vars.t 1-20.
func TestVarsOfRoutes(t *testing.T) {
	f := func(vars string, want bool, headers ...string) {
		t.Helper()
		hit := routed(t, Options{RouterByURI: true}, `"vars":`+vars)
		if got := hit("GET", "/hello", "", headers...); got != want {
			t.Errorf("%s with %v: %v", vars, headers, got)
		}
	}
	const ua = "User-Agent"
	f(`[["http_user_agent","~*","android"]]`, false, ua, "ios") // 2
	f(`[["http_user_agent","~*","android"]]`, true, ua, "Android")
	f(`[["http_user_agent","!","~*","android"]]`, false, ua, "android") // 6
	f(`[["http_user_agent","!","~*","android"]]`, true, ua, "ios")
	f(`[["http_user_agent","IN",["android","ios"]]]`, true, ua, "ios") // 9
	f(`[["http_x_none","==",null]]`, false, "X-None", "android")       // 12
	f(`[["http_x_none","==",null]]`, true)
	f(`[["http_user_agent","ios"]]`, true, ua, "ios")                                                       // 15
	f(`["!OR",["http_user_agent","==","ios"],["http_demo","==","test"]]`, true, ua, "android", "Demo", "x") // 17
	f(`["!OR",["http_user_agent","==","ios"],["http_demo","==","test"]]`, false, ua, "ios", "Demo", "x")
	f(`[]`, true) // 20
}

// T: node/vars.t: arguments, headers, cookies, and forms.
func TestVariablesOfRequests(t *testing.T) {
	hit := routed(t, Options{}, `"vars":[["arg_k","==","v"],["http_k","==","h"],["cookie_k","==","c"]]`)
	f := func(want bool, path string, headers ...string) {
		t.Helper()
		if got := hit("GET", path, "", headers...); got != want {
			t.Errorf("%s %v: %v", path, headers, got)
		}
	}
	f(true, "/hello?k=v", "K", "h", "Cookie", "a=b; k=c")
	f(true, "/hello?k=v&k=w", "K", "h", "Cookie", "k=c")
	f(false, "/hello?K=v", "K", "h", "Cookie", "k=c")
	f(false, "/hello?k=v", "K", "H", "Cookie", "k=c")
	f(false, "/hello?k=v", "K", "h", "Cookie", "K=c")
	f(false, "/hello")

	hit = routed(t, Options{}, `"vars":[["post_arg_k","==","post_form"]]`)
	post := func(want bool, method, body, contentType string) {
		t.Helper()
		if got := hit(method, "/hello", body, "Content-Type", contentType); got != want {
			t.Errorf("%s %q as %s: %v", method, body, contentType, got)
		}
	}
	const form = "application/x-www-form-urlencoded"
	post(false, "GET", "", form)                              // 18
	post(false, "POST", "123", form)                          // 19
	post(false, "POST", "k=post_form", "multipart/form-data") // 20
	post(true, "POST", "k=post_form", form)                   // 21
	post(true, "POST", "a=b&k=post%5fform", form+"; charset=utf-8")
	post(false, "POST", "k&k=post_form", form)
}

// What is not known yet has no value while routes are matched, and parameters
// of the path neither.
func TestVariablesUnsetWhileMatching(t *testing.T) {
	for _, name := range []string{"consumer_name", "consumer_group_id", "route_id", "route_name", "service_id", "balancer_ip", "matched_uri", "uri_param_id"} {
		hit := routed(t, Options{RouterParams: true}, `"vars":[["`+name+`","==",null]],"name":"n"`)
		if !hit("GET", "/u/7", "") {
			t.Errorf("%s has a value", name)
		}
	}
}

// remote_addr and remote_addrs look at the client behind a trusted proxy.
func TestRemoteAddr(t *testing.T) {
	o := Options{RealIP: RealIP{Header: "X-Real-IP", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	f := func(fields, client string, want bool) {
		t.Helper()
		if got := routed(t, o, fields)("GET", "/hello", "", "X-Real-IP", client); got != want {
			t.Errorf("%s for %s: %v", fields, client, got)
		}
	}
	f(`"remote_addr":"10.1.2.3"`, "10.1.2.3", true)
	f(`"remote_addr":"10.1.2.3"`, "10.1.2.4", false)
	f(`"remote_addr":"10.1.2.99/24"`, "10.1.2.4", true)
	f(`"remote_addr":"0.0.0.0/0"`, "10.1.2.4", true)
	f(`"remote_addr":"0.0.0.0/0"`, "2001:db8::1", false)
	f(`"remote_addrs":["10.0.0.0/8","2001:db8::/32"]`, "2001:db8::1", true)
	f(`"remote_addrs":["10.0.0.0/8","2001:db8::1"]`, "2001:db8:0::1", true)
	f(`"remote_addrs":["::ffff:10.1.2.3"]`, "10.1.2.3", true)
	f(`"remote_addr":"127.0.0.1"`, "", true) // nobody says who it is
}

func TestParsePrefix(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if p, err := parsePrefix(text); want == "" && err == nil || want != "" && p.String() != want {
			t.Errorf("%s: %v, %v, want %q", text, p, err, want)
		}
	}
	f("10.1.2.3", "10.1.2.3/32")
	f("10.1.2.3/8", "10.0.0.0/8")
	f("::1", "::1/128")
	f("::ffff:10.1.2.3", "10.1.2.3/32")
	f("::ffff:10.1.2.3/104", "10.0.0.0/8")
	f("2001:db8::5/32", "2001:db8::/32")
	f("10.1.2.3/33", "")
	f("x", "")
	f("", "")
}

// The texts of gateway.md 1.4 and their place in the order of 3.5.
func TestConditionFindings(t *testing.T) {
	reg := NewRegistry(nil, nil)
	f := func(fields string, want ...string) {
		t.Helper()
		_, found := reg.CheckRoute([]byte(`{"uri":"/a",` + fields + `}`))
		var got []string
		for _, fd := range found {
			got = append(got, []string{"warned: ", "refused: ", ""}[fd.Level]+fd.Text)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, want %q", fields, got, want)
		}
	}
	const vars, up = "failed to validate the 'vars' expression: ", `"upstream_id":"1"`
	f(up + `,"vars":[["arg_a","==","b"]],"remote_addrs":["10.0.0.0/8","::1"]`)
	f(up+`,"vars":["http_user_agent","~*","android"]`, vars+"rule should be wrapped inside brackets") // T: radixtree-uri-vars.t 21
	f(up+`,"vars":[["arg_a","=","b"]]`, vars+"invalid operator '='")                                  // T: admin/routes2.t 4
	f(up+`,"vars":["OR",["arg_a","b"]]`, vars+"rule too short")
	f(up+`,"vars":[[]]`, vars+"rule too short")
	f(up+`,"vars":[["a","b","c","d"]]`, vars+"bad 'not' expression")
	f(up+`,"vars":[["a"]]`, vars+"invalid expression")
	f(up+`,"vars":[["remote_addr","ipmatch",[]]]`, vars+"invalid ip address")
	f(up+`,"vars":[["post_arg.messages[.content[*].type","has","image_url"]]`, vars+`invalid expression near "[.content[*].type"`) // T: admin/routes_request_body.t 10
	f(up+`,"vars":[["post_arg.tools[?(@.type=='x')]","~=",null]]`, vars+"filters and scripts in JSONPath are not supported")
	f(up+`,"vars":{"a":1}`, `invalid configuration: property "vars" validation failed: wrong type: expected array, got table`)
	f(up+`,"remote_addr":"::1/129"`, "invalid ip address: ::1/129")
	f(up+`,"vars":[["graphql_name","==","q"]]`, "the variable graphql_name is not supported")
	f(up+`,"vars":[["geoip_country","==","x"]]`, "warned: there is no variable geoip_country: it never has a value")
	f(`"plugins":{"serverless-pre-function":{"functions":["return function() end"]}}`, "plugin serverless-pre-function is not supported: it needs a Lua runtime")
	f(`"plugins":{"prometheus":{"_meta":{"pre_function":"return 1"}}}`,
		`failed to check the configuration of plugin prometheus err: property "_meta" validation failed: additional properties forbidden, found pre_function`)
	f(up+`,"script":"local _M = {} return _M"`, "script is not supported: it needs a Lua runtime")
	f(up+`,"script_id":"1"`, "script_id is not supported: it needs a Lua runtime")
	// plugins, then vars, then Lua
	f(`"plugins":{"no-such":{}},"vars":[["a"]],"filter_func":"function(vars) return true end"`,
		"unknown plugin [no-such]", vars+"invalid expression", "filter_func is not supported: it needs a Lua runtime; use vars instead")
}

// A condition whose text cannot be read any more holds back what it guards.
func TestBrokenConditions(t *testing.T) {
	c := &conditions{vars: []byte(`[["a"]]`)}
	if c.hold(&plugin.Ctx{}) {
		t.Error("a broken expression holds")
	}
	c = newConditions(&conf.Route{RemoteAddr: "nonsense"})
	if c == nil || c.allows(netip.MustParseAddr("10.0.0.1")) || c.allows(netip.Addr{}) {
		t.Error("a broken address allows")
	}
}

func TestAnyHost(t *testing.T) {
	f := func(configured, raw string, want bool) {
		t.Helper()
		if got := anyHost(strings.Fields(configured), []byte(raw)); got != want {
			t.Errorf("%s for %s: %v", raw, configured, got)
		}
	}
	f("foo.com", "Foo.com:80", true)
	f("foo.com", "foo.com.", true)
	f("foo.com:80", "Foo.com:80", true)
	f("foo.com:80", "foo.com", false)
	f("foo.com:80", "foo.com:81", false)
	f("*.foo.com", "a.foo.com:1", true)
	f("*.foo.com", "foo.com", false)
	f("*:80", "a.com:80", true)
	f("*:80", "a.com", false)
	f("a.com b.com", "b.com", true)
	f("*", "", true)
}
