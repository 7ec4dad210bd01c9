package basicauth

import (
	"encoding/base64"
	"strings"
	"testing"

	"headrace/plugin/auth/authtest"
)

func gateway(t testing.TB) *authtest.Gateway {
	g := authtest.New(t, &Spec)
	g.Consumer("foo", `{"username":"foo","password":"bar"}`)
	g.Consumer("colon", `{"username":"colon","password":"a:b:"}`)
	g.Consumer("anonymous", "")
	return g
}

func basic(text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n"
}

func TestFind(t *testing.T) {
	g := gateway(t)
	f := func(config, headers, want string) {
		t.Helper()
		c := g.Request("", headers)
		if strings.HasPrefix(want, "401 ") && !strings.HasSuffix(want, `"`) {
			want += ` Basic realm="basic"`
		}
		if got := authtest.Outcome(c, g.Bind(config).Rewrite(c)); got != want {
			t.Errorf("%s %q: %s, want %s", config, headers, got, want)
		}
	}
	const (
		missing = `401 {"message":"Missing authorization in request"}`
		invalid = `401 {"message":"Invalid authorization in request"}`
		user    = `401 {"message":"Invalid user authorization"}`
	)
	f(`{}`, "", missing)                                           // basic-auth.t 5
	f(`{}`, "Authorization: Bad_header YmFyOmJhcgo=\r\n", invalid) // 6
	f(`{}`, "Authorization: Basic aca_a\r\n", invalid)             // 7
	f(`{}`, "Authorization: Basic YmFy\r\n", invalid)              // 8
	f(`{}`, "Authorization: Basic YmFyOmJhcgo=\r\n", user)         // 9
	f(`{}`, "Authorization: Basic Zm9vOmZvbwo=\r\n", user)         // 10
	f(`{}`, "Authorization: Basic Zm9vOmJhcg==\r\n", "foo")        // 11
	f(`{}`, "authorization: basic Zm9vOmJhcg==\r\n", "foo")        // 28
	f(`{}`, "Authorization: BASIC Zm9vOmJhcg==\r\n", "foo")        // 29
	f(`{}`, "Authorization: bASiC Zm9vOmJhcg==\r\n", "foo")        // 30
	f(`{}`, "Authorization: Basic Zm9vOmJhcg\r\n", "foo")          // no padding
	f(`{}`, "Authorization: Basic \t Zm9vOmJhcg==\r\n", "foo")
	f(`{}`, "Authorization: BasicZm9vOmJhcg==\r\n", invalid)
	f(`{}`, "Authorization: Basic\r\n", invalid)
	f(`{}`, "Authorization: Basic =\r\n", invalid)
	f(`{}`, "Authorization:\r\n", invalid)
	f(`{}`, "Authorization: X Basic Zm9vOmJhcg==\r\n", invalid)
	f(`{}`, basic(" f oo\t: b ar\n"), "foo") // blanks are stripped
	f(`{}`, basic("foo:bar:x"), user)
	f(`{}`, basic("colon:a:b:"), "colon")
	f(`{}`, basic("colon:a:b"), user)
	f(`{}`, basic("foo:"), user)
	f(`{}`, basic(":bar"), user)
	f(`{}`, basic("foo:ba"), user)
	f(`{"realm":"secure-zone"}`, "", missing+` Basic realm="secure-zone"`) // basic-auth-realm.t 4
	// basic-auth-anonymous-consumer.t 3-7.
	f(`{"anonymous_consumer":"anonymous"}`, "", "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, basic("foo:wrong"), "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, basic("foo:bar"), "foo")
	f(`{"anonymous_consumer":"nobody"}`, basic("foo:wrong"), user)
}

// TestHide is basic-auth.t 19 and 21.
func TestHide(t *testing.T) {
	g := gateway(t)
	f := func(config, headers, want string) {
		t.Helper()
		c := g.Request("", headers+"A: b\r\n")
		if v := g.Bind(config).Rewrite(c); v != 0 {
			t.Fatal(authtest.Outcome(c, v))
		}
		if got, _, _ := strings.Cut(string(c.Req.Headers), "X-Consumer-Username"); got != want+"A: b\r\n" {
			t.Errorf("%s: %q", config, got)
		}
	}
	f(`{}`, basic("foo:bar"), basic("foo:bar"))
	f(`{"hide_credentials":true}`, basic("foo:bar"), "")
	f(`{"hide_credentials":true,"anonymous_consumer":"anonymous"}`, basic("foo:wrong"), "")
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Credential.Bind([]byte(raw), func(string) (string, error) { return "", nil })
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	f(`{"username":"foo","password":"bar"}`, "")
	f(`{"username":123,"password":"bar"}`, `property "username" validation failed: wrong type: expected string, got number`) // basic-auth.t 2
	f(`{"username":"foo"}`, `property "password" is required`)                                                               // 12
	f(`{}`, `property "username" is required`)                                                                               // 13
	f(`"blah"`, `wrong type: expected object`)
	f(`{"username":"foo","password":"$env://EMPTY"}`, `the password is empty`)
	f(`{"username":"$env://EMPTY","password":"bar"}`, `it has no username`)
	// basic-auth-anonymous-consumer.t 8.
	for value, want := range map[string]string{
		`123`:  "wrong type: expected string, got number",
		`true`: "wrong type: expected string, got boolean",
		`{}`:   "wrong type: expected string, got table",
		`""`:   "string too short, expected at least 1, got 0",
	} {
		_, _, err := Spec.Validate([]byte(`{"anonymous_consumer":` + value + `}`))
		if want = `property "anonymous_consumer" validation failed: ` + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Basic Zm9vOmJhcg=="))
	f.Add([]byte("basic\t====:"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		user, password, ok := parse(sent)
		if ok && (strings.ContainsAny(string(user), " \t\r\n:") || strings.ContainsAny(string(password), " \t\r\n")) {
			t.Errorf("%q: %q and %q", sent, user, password)
		}
	})
}
