package cors

import (
	"strings"
	"testing"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// head is what the plugin makes of an answer that has the header upstream.
func head(g *plugintest.Gateway, v any, headers, upstream string) string {
	c := g.Request("GET", "/hello", headers)
	if name, value, ok := strings.Cut(upstream, ": "); ok {
		c.HTTP.Response.Header.Set(name, value)
	}
	if v.(plugin.Rewriter).Rewrite(c) != 0 {
		return "the request ends"
	}
	c.SetHeader("Origin", "http://example.com") // cors.t 34: what another plugin does has no effect
	v.(plugin.HeaderFilter).FilterHeader(c)
	return strings.ReplaceAll(plugintest.Head(c), "Access-Control-", "")
}

// TestHeaders has the cases of cors.t and cors2.t by their numbers.
func TestHeaders(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, headers, want string) {
		t.Helper()
		if got := head(g, g.Bind(config), headers, ""); got != want {
			t.Errorf("%s %q:\n%s", config, headers, got)
		}
	}
	const all = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE"
	f(`{}`, "", "Allow-Origin: *\nAllow-Methods: *\nMax-Age: 5\nAllow-Headers: *\n") // 7
	f(`{}`, "Origin: https://a.b\n", "Allow-Origin: *\nAllow-Methods: *\nMax-Age: 5\nAllow-Headers: *\n")
	const rest = `"allow_methods":"GET,POST","allow_headers":"headr1,headr2","expose_headers":"ex-headr1,ex-headr2","max_age":50,"allow_credential":true`
	specified := func(origin string) string {
		return "Vary: Origin\nAllow-Origin: " + origin + "\nAllow-Methods: GET,POST\nMax-Age: 50\nExpose-Headers: ex-headr1,ex-headr2\nAllow-Headers: headr1,headr2\nAllow-Credentials: true\n"
	}
	const two = `{"allow_origins":"http://sub.domain.com,http://sub2.domain.com",` + rest
	f(two+`}`, "Origin: http://sub2.domain.com\n", specified("http://sub2.domain.com")) // 9
	f(two+`}`, "Origin: http://sub3.domain.com\n", "Vary: Origin\n")
	f(two+`}`, "Origin: http://sub.domain.com,http://sub2.domain.com\n", "Vary: Origin\n")
	f(two+`}`, "Origin:\n", "Vary: Origin\n")
	f(two+`}`, "", "Vary: Origin\n")
	const one = `{"allow_origins":"http://sub.domain.com",` + rest
	f(one+`}`, "Origin: http://sub.domain.com\n", specified("http://sub.domain.com")) // 35
	f(one+`}`, "Origin: http://other\n", "Vary: Origin\n")
	f(one+`}`, "", "Vary: Origin\n")
	f(`{"allow_origins":"null"}`, "Origin: null\n", "Vary: Origin\nAllow-Origin: null\nAllow-Methods: *\nMax-Age: 5\nAllow-Headers: *\n")
	const force = `{"allow_origins":"**","allow_methods":"**","allow_headers":"**","expose_headers":"*"}`
	f(force, "Origin: https://sub.domain.com\nAccess-Control-Request-Headers: req-header1,req-header2\n", // 12
		"Vary: Origin\nAllow-Origin: https://sub.domain.com\nAllow-Methods: "+all+"\nMax-Age: 5\nExpose-Headers: *\nAllow-Headers: req-header1,req-header2\n")
	f(force, "", "Vary: Origin\nAllow-Origin: *\nAllow-Methods: "+all+"\nMax-Age: 5\nExpose-Headers: *\n")
	f(`{"allow_credential":true,"allow_headers":"**","allow_methods":"**","allow_origins":"**","expose_headers":"","max_age":3500}`, // cors4.t 27
		"Origin: http://sub.domain.com\n", "Vary: Origin\nAllow-Origin: http://sub.domain.com\nAllow-Methods: "+all+"\nMax-Age: 3500\nAllow-Credentials: true\n")
	f(`{"allow_methods":"","max_age":-1}`, "", "Allow-Origin: *\nMax-Age: -1\nAllow-Headers: *\n")

	const regex = two + `,"allow_origins_by_regex":[".*\\.test.com$",".*\\.example.org$"]}`
	f(regex, "Origin: http://a.test.com\n", specified("http://a.test.com")) // 29
	f(regex, "Origin: http://foo.example.org\n", specified("http://foo.example.org"))
	f(regex, "Origin: http://a.test2.com\n", "Vary: Origin\n")
	f(regex, "Origin: http://a.test.com.evil\n", "Vary: Origin\n")
	f(regex, "Origin: http://sub.domain.com\n", "Vary: Origin\n")
	f(regex, "", "Vary: Origin\n")
	const open = `{"allow_origins":"*","allow_methods":"GET,POST","allow_origins_by_regex":[".*\\.domain.com$"]}`
	f(open, "Origin: http://sub.test.com\n", "") // cors2.t 3
	f(open, "", "")
	f(open, "Origin: http://sub.domain.com\n", "Allow-Origin: http://sub.domain.com\nAllow-Methods: GET,POST\nMax-Age: 5\nAllow-Headers: *\n")
}

// TestMetadata is cors3.t.
func TestMetadata(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, headers, want string) {
		t.Helper()
		if want != "" {
			want = "Allow-Origin: " + want + "\nAllow-Methods: *\nMax-Age: 5\nAllow-Headers: *\n"
		}
		if !strings.Contains(config, `"*"`) {
			want = "Vary: Origin\n" + want
		}
		if got := head(g, g.Bind(config), headers, ""); got != want {
			t.Errorf("%s %q:\n%s", config, headers, got)
		}
	}
	const two = `{"allow_origins":"https://test.com","allow_origins_by_metadata":["key_0","key_1","key_2"]}`
	f(two, "Origin: https://domain.com\n", "")
	g.Metadata = `{"allow_origins":{"key_1":"https://domain.com","key_2":"https://sub.domain.com,https://sub2.domain.com","key_3":"*","key_4":"**"}}`
	f(two, "Origin: https://domain.com\n", "https://domain.com")
	f(two, "Origin: https://sub.domain.com\n", "https://sub.domain.com")
	f(two, "Origin: https://test.com\n", "https://test.com")
	f(two, "Origin: http://foo.example.org\n", "")
	f(two, "", "")
	const foo = "Origin: http://foo.example.org\n"
	f(`{"allow_origins":"https://test.com","allow_origins_by_metadata":["key_3"]}`, foo, "http://foo.example.org") // 12
	f(`{"allow_origins":"https://test.com","allow_origins_by_metadata":["key_4"]}`, foo, "http://foo.example.org")
	f(`{"allow_origins":"*","allow_origins_by_metadata":["key_1"]}`, foo, "")
	f(`{"allow_origins":"*","allow_origins_by_metadata":["key_1"]}`, "Origin: https://domain.com\n", "https://domain.com")
	f(`{"allow_origins":"**","allow_origins_by_metadata":["key_1"]}`, foo, "http://foo.example.org")
	g.Metadata = `{"allow_origins":3}`
	f(two, "Origin: https://test.com\n", "https://test.com")
	if !strings.Contains(g.Log.String(), "cors goes without its metadata") {
		t.Errorf("log: %s", &g.Log)
	}
}

// TestTiming is cors4.t 2 to 25.
func TestTiming(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, origin string, acao, tao bool) {
		t.Helper()
		got := head(g, g.Bind(config), "Origin: "+origin+"\n", "")
		if (strings.Contains(got, "Timing-Allow-Origin: "+origin+"\n") != tao) || tao != strings.Contains(got, "Timing") ||
			strings.Contains(got, "\nAllow-Origin: "+origin+"\n") != acao && !strings.Contains(config, `"*"`) {
			t.Errorf("%s %s:\n%s", config, origin, got)
		}
	}
	f(`{"allow_origins":"*","timing_allow_origins":"http://sub.domain.com"}`, "http://sub.domain.com", false, true)
	f(`{"allow_origins":"*","timing_allow_origins":"http://sub.domain.com"}`, "http://other.domain.com", false, false)
	const differs = `{"allow_origins":"http://one.domain.com","timing_allow_origins":"http://another.domain.com"}`
	f(differs, "http://one.domain.com", true, false)
	f(differs, "http://another.domain.com", false, true)
	f(differs, "http://notexistent.domain.com", false, false)
	const sets = `{"allow_origins":"http://one.domain.com,http://two.domain.com","timing_allow_origins":"http://one.domain.com,http://three.domain.com"}`
	f(sets, "http://one.domain.com", true, true)
	f(sets, "http://two.domain.com", true, false)
	f(sets, "http://three.domain.com", false, true)
	const regex = `{"allow_origins":"http://a","allow_origins_by_regex":["http://.*?\\.domain\\.com"],"timing_allow_origins_by_regex":["http://test.*?\\.domain\\.com"],"timing_allow_origins":"http://nonexistent.newdomain.com"}`
	f(regex, "http://testurl.domain.com", true, true)
	f(regex, "http://nonexistent.newdomain.com", false, false)
	if got := head(g, g.Bind(`{"timing_allow_origins":"*"}`), "", ""); !strings.Contains(got, "Timing-Allow-Origin: *\n") {
		t.Error(got)
	}
}

// TestOverwrite is cors.t 9 and 18 to 23.
func TestOverwrite(t *testing.T) {
	g := plugintest.New(t, &Spec)
	v := g.Bind(`{"allow_origins":"**","allow_methods":"**","allow_headers":"request-h","expose_headers":"expose-h","allow_credential":true}`)
	f := func(upstream, want string) {
		t.Helper()
		got := head(g, v, "Origin: https://sub.domain.com\n", upstream)
		name, _, _ := strings.Cut(want, ":")
		if !strings.Contains(got, want) || strings.Count(got, name+":") != strings.Count(want, name+":") {
			t.Errorf("%s:\n%s", upstream, got)
		}
	}
	f("Access-Control-Allow-Origin: *", "Allow-Origin: https://sub.domain.com\n")
	f("Access-Control-Allow-Methods: methods", "Allow-Methods: GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE\n")
	f("Access-Control-Allow-Headers: a-headers", "Allow-Headers: request-h\n")
	f("Access-Control-Expose-Headers: e-headers", "Expose-Headers: expose-h\n")
	f("Access-Control-Max-Age: 10", "Max-Age: 5\n")
	f("Access-Control-Allow-Credentials: false", "Allow-Credentials: true\n")
	f("Vary: Via", "Vary: Via\nVary: Origin\n")
}

func TestPreflight(t *testing.T) {
	g := plugintest.New(t, &Spec)
	for _, origin := range []string{"", "Origin: http://evil\n", "Origin: http://good\n"} {
		v := g.Bind(`{"allow_origins":"http://good"}`)
		c := g.Request("OPTIONS", "/hello", origin)
		if got := plugintest.Answer(c, v.(plugin.Rewriter).Rewrite(c)); got != "200\n" {
			t.Errorf("%q: %q", origin, got)
		}
		v.(plugin.HeaderFilter).FilterHeader(c)
		if got := plugintest.Head(c); strings.Contains(got, "Allow-Methods") != strings.Contains(origin, "good") {
			t.Errorf("%q: %s", origin, got)
		}
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{"allow_origins":"http://test.com","allow_methods":"","allow_headers":"","expose_headers":"","max_age":600,"allow_credential":true}`, "") // cors.t 1
	g.Check(`{"max_age":"600"}`, `property "max_age" validation failed: wrong type: expected integer, got string`)
	g.Check(`{"allow_origins":"**","allow_methods":"**","allow_headers":"request-h","expose_headers":"expose-h","madx_age":5,"allow_credential":true}`, "")
	const credential = "you can not set '*' for other option when 'allow_credential' is true"
	for _, config := range []string{`"allow_origins":"*"`, `"allow_methods":"*"`, `"allow_headers":"*"`,
		`"allow_origins":"**","allow_methods":"**","allow_headers":"**","expose_headers":"*"`,
		`"allow_origins":"**","allow_methods":"**","allow_headers":"**","timing_allow_origins":"*"`} {
		g.Check(`{"allow_credential":true,`+config+`}`, credential)
	}
	g.Check(`{"allow_credential":true,"allow_origins":"**","allow_methods":"**","allow_headers":"**"}`, "")
	g.Check(`{"allow_origins_by_regex":["["]}`, "error parsing regexp: unterminated [] set in `[`")
	g.Check(`{"timing_allow_origins_by_regex":["["]}`, "error parsing regexp: unterminated [] set in `[`")
	g.Check(`{"allow_origins_by_regex":[]}`, `property "allow_origins_by_regex" validation failed: expect array to have at least 1 items`)
	pattern := func(got string) string { // cors2.t 1, cors3.t 1, cors4.t 1
		return `failed to match pattern "^(\\*|\\*\\*|null|\\w+://[^,]+(,\\w+://[^,]+)*)$" with "` + got + `"`
	}
	for _, good := range []string{"*", "**", "null", "http://y.com.uk", "https://x.com", "https://x.com,http://y.com.uk", "https://x.com,http://y.com.uk:12000,http://c.tv"} {
		g.Check(`{"allow_origins":"`+good+`","timing_allow_origins":"`+good+`"}`, "")
	}
	for _, bad := range []string{"", "*a", "*,http://y.com", "nulll", "http//y.com.uk", "x.com", "https://x.com,y.com.uk", "https://x.com,*,https://y.com.uk", "https://x.com,http://y.com.uk,http:c.tv"} {
		g.Check(`{"allow_origins":"`+bad+`"}`, `property "allow_origins" validation failed: `+pattern(bad))
		g.Check(`{"timing_allow_origins":"`+bad+`"}`, `property "timing_allow_origins" validation failed: `+pattern(bad))
		if _, err := Spec.Metadata.Check([]byte(`{"allow_origins":{"key":"` + bad + `"}}`)); err == nil {
			t.Errorf("%q is an origin in metadata", bad)
		}
	}
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	v := g.Bind(`{"allow_origins":"http://sub.domain.com,http://sub2.domain.com","allow_credential":true,"allow_methods":"**","allow_headers":"**","timing_allow_origins_by_regex":["domain"]}`)
	c := g.Request("GET", "/hello", "Origin: http://sub.domain.com\n")
	plugintest.Budget(t, "an answer", 0, func() {
		c.HTTP.Response.Header.Del("Vary")
		v.(plugin.Rewriter).Rewrite(c)
		v.(plugin.HeaderFilter).FilterHeader(c)
	})
}
