package keyauth

import (
	"strings"
	"testing"

	"headrace/plugin/auth/authtest"
)

const challenge = ` apikey realm="key"`

func gateway(t testing.TB) *authtest.Gateway {
	g := authtest.New(t, &Spec)
	g.Consumer("jack", `{"key":"auth-one"}`)
	g.Consumer("openai", `{"key":"Bearer sk-1"}`)
	g.Consumer("anonymous", "")
	return g
}

func TestLookup(t *testing.T) {
	g := gateway(t)
	f := func(config, query, headers, want string) {
		t.Helper()
		c := g.Request(query, headers)
		if got := authtest.Outcome(c, g.Bind(config).Rewrite(c)); got != want {
			t.Errorf("%s ?%s %q: %s, want %s", config, query, headers, got, want)
		}
	}
	const missing, invalid = `401 {"message":"Missing API key in request"}` + challenge, `401 {"message":"Invalid API key in request"}` + challenge
	f(`{}`, "", "apikey: auth-one\r\n", "jack") // key-auth.t 5
	f(`{}`, "", "APIKEY: auth-one\r\n", "jack")
	f(`{}`, "apikey=auth-one", "", "jack")
	f(`{}`, "apikey=auth%2Done", "", "jack")
	f(`{}`, "", "apikey: 123\r\n", invalid) // 6
	f(`{}`, "", "", missing)                // 7
	f(`{}`, "apikey=auth-one", "apikey: 123\r\n", invalid)
	f(`{}`, "", "apikey:\r\n", invalid)
	f(`{}`, "apikey", "", invalid)
	f(`{}`, "", "apikey: auth-one x\r\n", invalid)
	f(`{}`, "", "apikey: $env://NONE\r\n", invalid)
	f(`{"header":"Authorization"}`, "", "Authorization: auth-one\r\n", "jack") // 11
	f(`{"header":"Authorization"}`, "", "Authorization: Bearer sk-1\r\n", "openai")
	f(`{"header":"Authorization"}`, "", "Authorization: sk-1\r\n", invalid) // compared whole
	f(`{"query":"auth"}`, "auth=auth-one", "", "jack")                      // 13
	f(`{"query":"auth"}`, "apikey=auth-one", "", missing)
	// key-auth-realm.t 4; key-auth-anonymous-consumer.t 3-7.
	f(`{"realm":"my-custom-realm"}`, "", "", `401 {"message":"Missing API key in request"} apikey realm="my-custom-realm"`)
	f(`{"anonymous_consumer":"anonymous"}`, "", "", "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, "", "apikey: 123\r\n", "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, "", "apikey: auth-one\r\n", "jack")
	g.Log.Reset()
	f(`{"anonymous_consumer":"nobody"}`, "", "", `401 {"message":"Invalid user authorization"}`+challenge)
	if got := g.Log.String(); !strings.Contains(got, "failed to get anonymous consumer") || !strings.Contains(got, "nobody") {
		t.Errorf("the log has %q", got)
	}
}

// TestHide is key-auth.t 15-23 and key-auth-anonymous-consumer.t 9-11.
func TestHide(t *testing.T) {
	g := gateway(t)
	f := func(config, query, headers, wantQuery, wantHeaders string) {
		t.Helper()
		c := g.Request(query, headers)
		if v := g.Bind(config).Rewrite(c); v != 0 {
			t.Fatalf("%s: %s", config, authtest.Outcome(c, v))
		}
		got, _, _ := strings.Cut(string(c.Req.Headers), "X-Consumer-Username")
		if got != wantHeaders || string(c.Req.Query) != wantQuery {
			t.Errorf("%s: headers %q, query %q", config, got, c.Req.Query)
		}
	}
	const key, other = "apikey: auth-one\r\n", "test: auth-two\r\n"
	f(`{}`, "apikey=auth-one", key, "apikey=auth-one", key)
	f(`{"hide_credentials":true}`, "", key+other, "", other)
	f(`{"hide_credentials":true}`, "apikey=auth-one", key, "apikey=auth-one", "")
	f(`{"hide_credentials":true,"query":"auth"}`, "auth=auth-one&test=auth-two", "auth: auth-one\r\n", "test=auth-two", "auth: auth-one\r\n")
	const anonymous = `{"hide_credentials":true,"query":"auth","anonymous_consumer":"anonymous"}`
	f(anonymous, "", "apikey: wrong\r\n", "", "")
	f(anonymous, "auth=wrong", "", "", "")
	f(anonymous, "auth=wrong&a=1", "apikey: wrong\r\n"+other, "a=1", other)
	f(anonymous, "auth=wrong", key, "auth=wrong", "")
}

func TestCheck(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if got := text(err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	route := func(raw string) error { _, _, err := Spec.Validate([]byte(raw)); return err }
	consumer := func(raw string) error { _, err := Spec.Credential.Validate([]byte(raw)); return err }
	f(consumer(`{"key":"test-key"}`), "")                                                                   // key-auth.t 1
	f(consumer(`{"key":123}`), `property "key" validation failed: wrong type: expected string, got number`) // 2
	f(consumer(`{}`), `property "key" is required`)                                                         // 9
	f(route(`{"header":1}`), `property "header" validation failed: wrong type: expected string, got number`)
	f(route(`{"anonymous_consumer":""}`), `property "anonymous_consumer" validation failed: string too short, expected at least 1, got 0`)
	f(route(`{"realm":"a b![]~"}`), "")
	f(route(`{"realm":"a\"b"}`), `property "realm" validation failed: failed to match pattern "^[ -!#-[\\]-~]+$" with "a\"b"`)
	f(route(`{"realm":"a\\b"}`), `property "realm" validation failed: failed to match pattern "^[ -!#-[\\]-~]+$" with "a\\b"`)
	f(route(`{"realm":"a\r\nb"}`), `property "realm" validation failed: failed to match pattern "^[ -!#-[\\]-~]+$" with "a\r\`+"\n"+`b"`)
	f(route(`{"realm":"`+strings.Repeat("x", 129)+`"}`), `property "realm" validation failed: string too long, expected at most 128, got 129`)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestBudget holds that a known caller costs one copy of the headers.
func TestBudget(t *testing.T) {
	g := gateway(t)
	k := g.Bind(`{}`)
	c := g.Request("", "")
	f := func(query, headers string) {
		t.Helper()
		q, h := []byte(query), []byte(headers)
		run := func() {
			c.Req.Query, c.Req.Headers = q, h
			if k.Rewrite(c) != 0 {
				t.Fatal("refused")
			}
		}
		if n := testing.AllocsPerRun(100, run); n != 1 && !underRace {
			t.Errorf("?%s %q: %v allocations, want 1", query, headers, n)
		}
	}
	f("", "Host: a\r\napikey: auth-one\r\nX-Consumer-Username: root\r\n")
	f("a=1&apikey=auth-one", "Host: a\r\n")
}
