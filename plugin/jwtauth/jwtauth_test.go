package jwtauth

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"headrace/plugin"
	"headrace/plugin/auth/authtest"
)

const challenge = ` Bearer realm="jwt"`

const (
	missingToken = `401 {"message":"Missing JWT token in request"}` + challenge
	invalidToken = `401 {"message":"JWT token invalid"}` + challenge
	noKey        = `401 {"message":"missing user key in JWT token"}` + challenge
	otherKey     = `401 {"message":"Invalid user key in JWT token"}` + challenge
	notVerified  = `401 {"message":"failed to verify jwt"}` + challenge
)

func gateway(t testing.TB) *authtest.Gateway {
	g := authtest.New(t, &Spec)
	g.Consumer("jack", `{"key":"user-key","secret":"my-secret-key"}`)
	g.Consumer("anonymous", "")
	return g
}

// ask sends a token in the header.
func ask(t *testing.T, g *authtest.Gateway, config, token, want, reason string) {
	t.Helper()
	g.Log.Reset()
	c := g.Request("", "Authorization: Bearer "+token+"\r\n")
	if got := authtest.Outcome(c, g.Bind(config).Rewrite(c)); got != want {
		t.Errorf("%s %.60s: %s, want %s", config, token, got, want)
	}
	if got := g.Log.String(); !strings.Contains(got, reason) || (reason == "") != (got == "") {
		t.Errorf("%s %.60s: the log has %q, want %q", config, token, got, reason)
	}
}

// signed is a token of HS256 with jack's secret.
func signed(t testing.TB, payload string) string {
	t.Helper()
	claims := jwt.MapClaims{}
	if err := json.Unmarshal([]byte(payload), &claims); err != nil {
		t.Fatal(err)
	}
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("my-secret-key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlaces(t *testing.T) {
	g := gateway(t)
	good, other := signed(t, `{"key":"user-key"}`), signed(t, `{"key":"other"}`)
	f := func(config, query, headers, want string) {
		t.Helper()
		c := g.Request(query, headers)
		if got := authtest.Outcome(c, g.Bind(config).Rewrite(c)); got != want {
			t.Errorf("%s ?%s %q: %s, want %s", config, query, headers, got, want)
		}
	}
	f(`{}`, "", "", missingToken)                             // jwt-auth.t 5
	f(`{}`, "", "Authorization: Bearer "+good+"\r\n", "jack") // 8
	f(`{}`, "", "Cookie: a=b; jwt="+good+"\r\n", "jack")      // 9
	f(`{}`, "", "Authorization: "+good+"\r\n", "jack")        // 10
	f(`{}`, "", "Authorization: bearer "+good+"\r\n", "jack")
	f(`{}`, "", "Authorization: BEARER "+good+"\r\n", invalidToken)
	f(`{}`, "", "Authorization: Bearer\r\n", invalidToken)
	f(`{}`, "", "Authorization:\r\n", invalidToken)
	f(`{}`, "jwt="+good, "", "jack")
	f(`{}`, "jwt=invalid-"+good, "", invalidToken) // 6
	f(`{}`, "jwt", "", invalidToken)
	f(`{}`, "jwt="+good, "Authorization: "+other+"\r\n", otherKey) // the header goes first
	f(`{}`, "jwt="+other, "Cookie: jwt="+good+"\r\n", otherKey)
	// jwt-auth2.t 2-7.
	const custom = `{"header":"jwt-header","query":"jwt-query","cookie":"jwt-cookie"}`
	f(custom, "", "jwt-header: Bearer "+good+"\r\n", "jack")
	f(custom, "jwt-query="+good, "", "jack")
	f(custom, "", "Cookie: jwt-cookie="+good+"\r\n", "jack")
	f(custom, "jwt="+good, "Authorization: "+good+"\r\nCookie: jwt="+good+"\r\n", missingToken)
	// jwt-auth-realm.t 4, jwt-auth-anonymous-consumer.t 3-7.
	f(`{"realm":"my-jwt-realm"}`, "", "", `401 {"message":"Missing JWT token in request"} Bearer realm="my-jwt-realm"`)
	f(`{"anonymous_consumer":"anonymous"}`, "", "", "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, "jwt="+other, "", "anonymous")
	f(`{"anonymous_consumer":"anonymous"}`, "jwt="+good, "", "jack")
	f(`{"anonymous_consumer":"nobody"}`, "jwt="+other, "", `401 {"message":"Invalid user authorization"}`+challenge)
}

// TestHide is jwt-auth3.t 3-12.
func TestHide(t *testing.T) {
	g := gateway(t)
	good := signed(t, `{"key":"user-key"}`)
	f := func(config, query, headers, wantQuery, wantHeaders string) {
		t.Helper()
		c := g.Request(query, headers)
		if v := g.Bind(config).Rewrite(c); v != 0 {
			t.Fatal(authtest.Outcome(c, v))
		}
		got, _, _ := strings.Cut(string(c.Req.Headers), "X-Consumer-Username")
		if got != wantHeaders || string(c.Req.Query) != wantQuery {
			t.Errorf("%s: headers %q, query %q", config, got, c.Req.Query)
		}
	}
	header, cookie := "Authorization: "+good+"\r\n", "Cookie: hello=world; jwt="+good+"; foo=bar\r\n"
	f(`{}`, "jwt="+good, header+cookie, "jwt="+good, header+cookie)
	f(`{"hide_credentials":true}`, "jwt="+good, header+cookie, "jwt="+good, cookie)
	f(`{"hide_credentials":true}`, "foo=bar&jwt="+good, cookie, "foo=bar", cookie)
	f(`{"hide_credentials":true}`, "", cookie, "", "Cookie: hello=world; foo=bar\r\n")
	f(`{"hide_credentials":true,"anonymous_consumer":"anonymous"}`, "", "Authorization: x\r\n", "", "")
	f(`{"hide_credentials":true,"anonymous_consumer":"anonymous"}`, "", "", "", "")
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(200 * time.Second) // 946684800 + 200
		g := gateway(t)
		g.Consumer("late", `{"key":"late","secret":"my-secret-key","lifetime_grace_period":5}`)
		f := func(config, payload, want, reason string) {
			t.Helper()
			ask(t, g, config, signed(t, payload), want, reason)
		}
		f(`{}`, `{"key":"user-key"}`, "jack", "") // jwt-auth.t 56
		f(`{}`, `{"key":"user-key","exp":946685001}`, "jack", "")
		f(`{}`, `{"key":"user-key","exp":946685000}`, notVerified, "'exp' claim expired")                      // 7, 55
		f(`{"claims_to_verify":[]}`, `{"key":"user-key","exp":946685000}`, notVerified, "'exp' claim expired") // 58
		f(`{}`, `{"key":"user-key","nbf":946685000}`, "jack", "")
		f(`{}`, `{"key":"user-key","nbf":946685001}`, notVerified, "'nbf' claim not valid yet")
		f(`{}`, `{"key":"late","exp":946684996}`, "late", "") // jwt-auth2.t 9
		f(`{}`, `{"key":"late","exp":946684995}`, notVerified, "'exp' claim expired")
		f(`{}`, `{"key":"late","nbf":946685005}`, "late", "")
		f(`{}`, `{"key":"late","nbf":946685006}`, notVerified, "'nbf' claim not valid yet")
		for _, odd := range []string{`"946685001"`, `null`, `true`, `[]`} {
			f(`{}`, `{"key":"user-key","exp":`+odd+`}`, notVerified, "claim exp is not a number")
		}
		// jwt-auth-more-algo.t 12-15: what is listed is needed, and nothing else looked at.
		const nbf, both = `{"claims_to_verify":["nbf"]}`, `{"claims_to_verify":["exp","nbf"]}`
		f(nbf, `{"key":"user-key","exp":1}`, notVerified, "claim nbf is missing")
		f(nbf, `{"key":"user-key","exp":1,"nbf":946685001}`, notVerified, "'nbf' claim not valid yet")
		f(nbf, `{"key":"user-key","exp":1,"nbf":1}`, "jack", "")
		f(both, `{"key":"user-key","exp":1,"nbf":1}`, notVerified, "'exp' claim expired")
		f(both, `{"key":"user-key","exp":946685001,"nbf":1}`, "jack", "")
		f(`{"anonymous_consumer":"anonymous"}`, `{"key":"user-key","exp":1}`, "anonymous", "'exp' claim expired")
	})
}

func TestKeyClaim(t *testing.T) {
	g := gateway(t)
	f := func(config, payload, want string) {
		t.Helper()
		ask(t, g, config, signed(t, payload), want, "")
	}
	f(`{}`, `{"sub":"user-key"}`, noKey)
	f(`{}`, `{}`, noKey)
	f(`{}`, `{"key":false}`, noKey)
	for _, odd := range []string{`"nobody"`, `""`, `null`, `1`, `["user-key"]`, `{"user-key":1}`} {
		f(`{}`, `{"key":`+odd+`}`, otherKey)
	}
	f(`{"key_claim_name":"iss"}`, `{"iss":"user-key","exp":9916239022}`, "jack") // jwt-auth4.t 3
	f(`{"key_claim_name":"iss"}`, `{"key":"user-key"}`, noKey)
}

func TestMalformed(t *testing.T) {
	g := gateway(t)
	good := signed(t, `{"key":"user-key"}`)
	head, rest, _ := strings.Cut(good, ".")
	payload, mac, _ := strings.Cut(rest, ".")
	for _, token := range []string{"", ".", "..", "a", "a.b.c", head, head + "." + payload, good + ".x", "." + good, "e30." + "bnVsbA" + "x." + mac, head + ".W10." + mac, head + ".MQ." + mac, "bnVsbA x"} {
		ask(t, g, `{}`, token, invalidToken, "")
	}
	f := func(token, want, reason string) { t.Helper(); ask(t, g, `{}`, token, want, reason) }
	f(head+".bnVsbA."+mac, noKey, "")                               // null
	f(head+"."+payload+".YWJj", notVerified, "signature mismatch")  // jwt-auth.t 59
	f(head+"."+payload+".@@@@", notVerified, "malformed signature") // 59
	f(head+"."+payload+".", notVerified, "signature mismatch")
	f("e30."+payload+"."+mac, notVerified, "algorithm mismatch") // {}
	f("bnVsbA."+payload+"."+mac, notVerified, "algorithm mismatch")
	f("eyJhbGciOiJIUzI1NyJ9."+payload+"."+mac, notVerified, "algorithm mismatch") // HS257
	f("eyJhbGciOjF9."+payload+"."+mac, notVerified, "algorithm mismatch")         // 1
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"key": "user-key"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	f(none, notVerified, "algorithm mismatch")
	crit := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"key": "user-key"})
	crit.Header["crit"] = []string{"b64"}
	s, err := crit.SignedString([]byte("my-secret-key"))
	if err != nil {
		t.Fatal(err)
	}
	f(s, notVerified, "critical extensions")
}

func TestWarn(t *testing.T) {
	if got := Spec.Warn([]byte(`{"store_in_ctx":true}`)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := Spec.Warn([]byte(`{"store_in_ctx":false}`)); got != nil {
		t.Errorf("%q", got)
	}
}

func FuzzToken(f *testing.F) {
	g := gateway(f)
	j := g.Bind(`{}`)
	valid := signed(f, `{"key":"user-key"}`)
	f.Add(valid)
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJub25lIn0.eyJrZXkiOiJ1c2VyLWtleSJ9.")
	signing, _, _ := strings.Cut(valid, "."+valid[strings.LastIndexByte(valid, '.')+1:])
	f.Fuzz(func(t *testing.T, token string) {
		c := g.Request("", "")
		c.Req.Headers = append(append([]byte("Authorization: "), strings.NewReplacer("\r", "", "\n", "").Replace(token)...), "\r\n"...)
		if j.Rewrite(c) == 0 && !strings.Contains(token, signing) {
			t.Errorf("%q lets %s in", token, c.ConsumerName())
		}
	})
}

var _ plugin.Rewriter = (*jwtAuth)(nil)
