package proxyrewrite

import (
	"strings"
	"testing"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

func rewritten(g *plugintest.Gateway, v any, target, headers string) *plugin.Ctx {
	c := g.Request("GET", target, headers)
	if v.(plugin.Rewriter).Rewrite(c) != 0 {
		return nil
	}
	return c
}

// TestTarget has the cases of proxy-rewrite.t and, behind a 3, those of
// proxy-rewrite3.t by their numbers.
func TestTarget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, target, want, path string) {
		t.Helper()
		c := rewritten(g, g.Bind(config), target, "")
		if c == nil {
			t.Errorf("%s: the request ends", config)
			return
		}
		got := string(c.Req.Target)
		if c.Req.Target == nil {
			got = "as sent"
		}
		if got != want || string(c.Req.Path) != path || string(c.Req.URI) != target {
			t.Errorf("%s %s: %s, path %s", config, target, got, c.Req.Path)
		}
	}
	f(`{"uri":"/test/add","host":"apisix.iresty.com"}`, "/hello", "/test/add", "/test/add") // 2
	f(`{"uri":"/args"}`, "/hello?q=apisix&a=iresty", "/args?q=apisix&a=iresty", "/args")    // 16
	f(`{"regex_uri":["^/test/(.*)/(.*)/(.*)","/$1_$2_$3"]}`, "/test/plugin/proxy/rewrite", "/plugin_proxy_rewrite", "/plugin_proxy_rewrite")
	f(`{"regex_uri":["^/test/(.*)/(.*)/(.*)","/$1_$2_$3"]}`, "/test/not/found", "/test/not/found", "/test/not/found")
	f(`{"uri":"/hello","regex_uri":["^/test/(.*)","/${1}1"]}`, "/test/hello", "/hello", "/hello") // 25
	f(`{"regex_uri":["^/test/(.*)","/${1}1"]}`, "/test/hello", "/hello1", "/hello1")
	f(`{"uri":"/args?q=apisix"}`, "/hello?a=iresty", "/args?q=apisix&a=iresty", "/args") // 34
	f(`{"uri":"/args?q=apisix"}`, "/hello", "/args?q=apisix", "/args")
	f(`{"uri":"/$arg_new_uri"}`, "/test?new_uri=hello", "/hello?new_uri=hello", "/hello") // 41
	f(`{"uri":"/a?b=${arg_none ?? c?d}&e=$arg_x"}`, "/test?x=1%20%0d%0a2", "/a?b=c?d&e=1%20%0D%0A2&x=1%20%0d%0a2", "/a")
	f(`{"uri":"/${arg_none ?? c?d}/x?y"}`, "/test", "/c%3Fd/x?y", "/c?d/x")
	f(`{"method":"POST"}`, "/print%5Furi%5Fdetailed", "/print_uri_detailed", "/print_uri_detailed") // 3-43
	f(`{"uri":"/print"}`, "/hello?name=a%20b&x=%E4%B8%AD", "/print?name=a%20b&x=%E4%B8%AD", "/print")
	f(`{"regex_uri":["^(/reflect.*)","/print?orig=$1"]}`, "/reflect%0d%0aX-Injected:pwn", "/print?orig=/reflect%0D%0AX-Injected:pwn", "/print") // 66
	const crlf = "/hello%3f0z=700%26a=c%20HTTP/1.1%0D%0AHost:google.com%0d%0a%0d%0a"
	const decoded = "/hello?0z=700&a=c HTTP/1.1\r\nHost:google.com\r\n\r\n"
	f(`{"host":"test.xxxx.com"}`, crlf, "/hello%3F0z=700&a=c%20HTTP/1.1%0D%0AHost:google.com%0D%0A%0D%0A", decoded)                     // 3-22
	f(`{"uri":"/$uri/remain"}`, crlf, "//hello%3F0z=700&a=c%20HTTP/1.1%0D%0AHost:google.com%0D%0A%0D%0A/remain", "/"+decoded+"/remain") // 3-24, escaped once
	f(`{"regex_uri":["^/hello(.*)","/x$1?y=1"]}`, "/hello%3fa", "/x%3Fa%3Fy=1", "/x?a?y=1")
	f(`{"regex_uri":["^/test/(.*)/(.*)/(.*)","/$1_$2_$3?a=c"]}`, "/test/plugin/proxy/rewrite", "/plugin_proxy_rewrite?a=c", "/plugin_proxy_rewrite") // 3-26
	f(`{"regex_uri":["^/test/(.*)","/$1?a=c"]}`, "/test/x?b=d", "/x?a=c&b=d", "/x")
	const several = `{"regex_uri":["^/test/(.*)/(.*)/(.*)/hello","/hello/$1_$2_$3","^/test/(.*)/(.*)/(.*)/world","/world/$1_$2_$3"]}`
	f(several, "/test/plugin/proxy/rewrite/hello", "/hello/plugin_proxy_rewrite", "/hello/plugin_proxy_rewrite") // 3-38
	f(several, "/test/plugin/proxy/rewrite/world", "/world/plugin_proxy_rewrite", "/world/plugin_proxy_rewrite")
	f(`{"regex_uri":["^/api/(?!v1/)(.*)","/v1/$1"]}`, "/api/messages", "/v1/messages", "/v1/messages")
	f(`{"regex_uri":["^/(.*)","$1"]}`, "/x", "/x", "/x")
	f(`{"regex_uri":["^/x",""]}`, "/x", "/", "/")

	const unsafe = `,"use_real_request_uri_unsafe":true}`
	f(`{"uri":"/args"`+unsafe, "/hello?q=apisix&a=iresty", "/args?q=apisix&a=iresty", "/hello") // 46
	f(`{"uri":"/args"`+unsafe, "/hello", "/args", "/hello")
	f(`{"uri":"/args?x=1"`+unsafe, "/hello?q=apisix", "/args?x=1&q=apisix", "/hello") // 50
	f(`{"use_real_request_uri_unsafe":true}`, "/args?q=apisix", "as sent", "/args")
	f(`{"uri":"/print"`+unsafe, "/hello?name=a%20b&x=%E4%B8%AD", "/print?name=a%20b&x=%E4%B8%AD", "/hello") // 54
	f(`{"uri":"/print"`+unsafe, "/hello?a=1?b=2", "/print?a=1?b=2", "/hello")
	f(`{"use_real_request_uri_unsafe":true}`, "/print%5Furi%5Fdetailed", "as sent", "/print_uri_detailed")                                                                                        // 3-9
	f(`{"regex_uri":["/hello/(.+)","/hello?unsafe_variable=$1"]`+unsafe, "/hello/%ED%85%8C%EC%8A%A4%ED%8A%B8", "/hello?unsafe_variable=%ED%85%8C%EC%8A%A4%ED%8A%B8", "/hello/\ud14c\uc2a4\ud2b8") // 3-41
	f(`{"uri":"/x/$arg_a"`+unsafe, "/hello?a=%0d%0aX:%201%3f", "/x/%0D%0AX:%201%3F?a=%0d%0aX:%201%3f", "/hello")
	f(`{"regex_uri":["^/x",""]`+unsafe, "/x", "/", "/x")
}

// TestHost also changes the method.
func TestHost(t *testing.T) {
	g := plugintest.New(t, &Spec)
	c := rewritten(g, g.Bind(`{"host":"test.com:6443","method":"POST"}`), "/hello", "")
	if string(c.Req.AskHost) != "test.com:6443" || string(c.Req.Host) != "gateway" || string(c.Req.Method) != "POST" {
		t.Errorf("%s %s, asks %s", c.Req.Method, c.Req.Host, c.Req.AskHost)
	}
	if c = rewritten(g, g.Bind(`{"uri":"/"}`), "/hello", ""); c.Req.AskHost != nil || string(c.Req.Method) != "GET" {
		t.Errorf("%s, asks %s", c.Req.Method, c.Req.AskHost)
	}
}

func TestHeaders(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, target, headers, want string) {
		t.Helper()
		c := rewritten(g, g.Bind(config), target, headers)
		if got := strings.ReplaceAll(string(c.Req.Headers), "\r\n", "\n"); got != want {
			t.Errorf("%s %q: %q", config, headers, got)
		}
	}
	f(`{"headers":{"X-Api-Version":"v2"}}`, "/hello", "A: 1\nX-Api-Version:v1\n", "A: 1\nX-Api-Version: v2\n") // 10
	f(`{"headers":{"X-Api-Engine":"apisix"}}`, "/hello", "", "X-Api-Engine: apisix\n")
	f(`{"headers":{"X-Api-Test":"hello"}}`, "/hello", "X-Api-Test:\n", "X-Api-Test: hello\n")
	f(`{"headers":{"X-Api-Engine":"APISIX","X-Api-Test":""}}`, "/hello", "X-Api-Test: foo\nX-Api-Engine: bar\n", "X-Api-Engine: APISIX\n") // 20
	f(`{"headers":{"x-api":"$remote_addr","name":"$arg_name","x-key":"$http_key","n":7}}`, "/hello?name=Bill", "key: X-APISIX\n",
		"key: X-APISIX\nn: 7\nname: Bill\nx-api: 127.0.0.1\nx-key: X-APISIX\n") // 37
	f(`{"headers":{"x-api":"$helle","name":"$arg_world","x-key":"$http_key","Version":"nginx_var_does_not_exist"}}`, "/hello", "", "Version: nginx_var_does_not_exist\n")
	f(`{"headers":{"set":{"x-multi":["val1","val2"]}}}`, "/hello", "x-multi: origin\n", "x-multi: val1\nx-multi: val2\n") // 59
	f(`{"headers":{"add":{"x-multi":["val1","val2"]}}}`, "/hello", "x-multi: origin\n", "x-multi: origin\nx-multi: val1\nx-multi: val2\n")
	for _, verb := range []string{"set", "add"} { // 63, 65
		f(`{"regex_uri":["^/test/(.*)","/x"],"headers":{"`+verb+`":{"x-multi":["cap-$1","$http_x_src"]}}}`, "/test/echo", "x-src: from-src\n", "x-src: from-src\nx-multi: cap-echo\nx-multi: from-src\n")
	}
	const three = `{"headers":{"add":{"test":"123"},"set":{"test2":"2233"},"remove":["hello"]}}`
	f(three, "/echo", "test: sssss\ntest: bbb\nhello: word\n", "test: sssss\ntest: bbb\ntest: 123\ntest2: 2233\n")   // 3-15
	f(`{"headers":{"add":{"test":"test_in_add"},"set":{"test":"test_in_set"}}}`, "/echo", "", "test: test_in_set\n") // 3-20
	const captures = `{"regex_uri":["^/test/(.*)/(.*)/(.*)","/echo"],"headers":{"add":{"X-Request-ID":"$1/$2/$3"}}}`
	f(captures, "/test/plugin/proxy/rewrite", "", "X-Request-ID: plugin/proxy/rewrite\n") // 3-28
	f(captures, "/echo", "X-Foo: Foo\n", "X-Foo: Foo\nX-Request-ID: //\n")
	f(`{"regex_uri":["^/test/(not_matched)?.*","/echo"],"headers":{"add":{"X-Request-ID":"test1/$1/$2/test2"}}}`, "/test/plugin", "", "X-Request-ID: test1///test2\n")
	// What a client puts into a group is no variable.
	f(`{"regex_uri":["^/test/(.*)","/echo"],"headers":{"set":{"X":"${1}0-${0}-\\$1-$arg_x-${arg_y ?? z}-$"}}}`, "/test/$http_key?x=%0d%0aY:1", "Key: k\n",
		"Key: k\nX: $http_key0-/test/$http_key-$1-  Y:1-z-$\n")
	f(`{"headers":{"add":"x","remove":"y"}}`, "/", "", "add: x\nremove: y\n")
}

func TestTimeout(t *testing.T) {
	g := plugintest.New(t, &Spec)
	c := g.Request("GET", "/"+strings.Repeat("a", 60)+"b", "")
	v := g.Bind(`{"regex_uri":["((?=a)a+)+$","/"]}`).(plugin.Rewriter).Rewrite(c)
	if got := plugintest.Answer(c, v); !strings.HasPrefix(got, "500 application/json\n{\"error_msg\":\"failed to match the uri") || !strings.Contains(g.Log.String(), "owner=r1") {
		t.Errorf("%q, log %s", got, &g.Log)
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{"uri":"/apisix/home","host":"apisix.iresty.com"}`, "")
	g.Check(`{"host":"apisix.iresty.com:6443"}`, "")
	g.Check(`{"regex_uri":["^/test/(.*)"]}`, `property "regex_uri" validation failed: expect array to have at least 2 items`)
	g.Check(`{"regex_uri":["a","b","c"]}`, "The length of regex_uri should be an even number") // 26
	g.Check(`{"regex_uri":["[^/test/(.*)","/$1"]}`, "invalid regex_uri([^/test/(.*), /$1): error parsing regexp: unterminated [] set in `[^/test/(.*)`")
	g.Check("{\"regex_uri\":[\"^/test/(.*)\",\"/$`1\"]}", "invalid regex_uri(^/test/(.*), /$`1): invalid capturing variable name found in \"/$`1\"")
	g.Check(`{"uri":"home"}`, `property "uri" validation failed: failed to match pattern "^\\/.*" with "home"`) // 30
	const field, char = "invalid field character in header", "invalid value character in header"
	g.Check(`{"headers":{"X-Api:Version":"v2"}}`, field)
	g.Check(`{"headers":{"X-Api-Version":"v2\r\n"}}`, char)
	g.Check(`{"headers":{"X-Api-Version":"\u00fc"}}`, char)
	g.Check(`{"headers":{"":"v2"}}`, "invalid field length in header")
	g.Check(`{"headers":{"a b":"v2"}}`, field)
	for _, verbs := range []string{`"set":{"a\r\nb":"c"}`, `"add":{"a:":"c"}`, `"remove":["a b"]`} {
		g.Check(`{"headers":{`+verbs+`}}`, field)
	}
	g.Check(`{"uri":"/apisix/home","method":"GET1"}`, `property "method" validation failed: matches none of the enum values`) // 3-5
	g.Check(`{"host":"a b"}`, `property "host" validation failed: failed to match pattern "^[0-9a-zA-Z-.]+(:\\d{1,5})?$" with "a b"`)
	g.Check(`{"regex_uri":["$env://PATTERN","$env://WITH"],"method":"$env://M"}`, "")
	for _, config := range []string{`{"method":"$env://A B"}`, `{"host":"$env://a\r\nX: 1"}`, `{"host":"$env://X"}`, `{"regex_uri":["$env://[","/"]}`} {
		if _, err := g.TryBind(config); err == nil {
			t.Errorf("%s is taken", config)
		}
	}
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	v := g.Bind(`{"uri":"/v1/messages","method":"POST","host":"a.b","headers":{"set":{"X-A":"1","X-B":"2"}}}`).(plugin.Rewriter)
	c := g.Request("GET", "/anything?a=1", "")
	headers, path := []byte("Host: a\r\nX-A: 0\r\n"), c.Req.Path
	plugintest.Budget(t, "texts: the target and the headers", 4, func() {
		c.Req.Headers, c.Req.Path = headers, path
		v.Rewrite(c)
	})
}

// FuzzRewrite holds that nothing a client sends ends the request line or adds
// a header line.
func FuzzRewrite(f *testing.F) {
	f.Add("/a/b?c=d%0d%0a", "X: 1\n")
	f.Add("/%3f%0d%0a$http_x?c", "X: \r\n")
	g := plugintest.New(f, &Spec)
	var all []any
	for _, config := range []string{
		`{"uri":"/$uri/$arg_c?q=$arg_c&h=$http_x","headers":{"set":{"A":"$arg_c"},"add":{"B":["$http_x","$uri"]}}}`,
		`{"regex_uri":["(.*)","$1?x=$1"],"headers":{"A":"$0-$1"}}`,
		`{"uri":"/$uri/$arg_c?q=$arg_c","use_real_request_uri_unsafe":true}`,
		`{"regex_uri":["(.*)","$1?x=$1"],"use_real_request_uri_unsafe":true}`,
	} {
		all = append(all, g.Bind(config))
	}
	f.Fuzz(func(t *testing.T, target, header string) {
		for i, v := range all {
			c := g.Request("GET", "/"+target, "X: "+strings.NewReplacer("\n", " ", "\r", " ").Replace(header)+"\n")
			if v.(plugin.Rewriter).Rewrite(c) != 0 {
				t.Fatal("the request ends")
			}
			if strings.ContainsAny(string(c.Req.Target), " \r\n\t\x00\x7f") || len(c.Req.Target) == 0 || c.Req.Target[0] != '/' {
				t.Errorf("%d: the target is %q", i, c.Req.Target)
			}
			if n := strings.Count(string(c.Req.Headers), "\n"); n > 4 || strings.Count(string(c.Req.Headers), "\r") != n {
				t.Errorf("%d: the headers are %q", i, c.Req.Headers)
			}
		}
	})
}
