package hmacauth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/plugin"
	"headrace/plugin/auth/authtest"
)

const secret = "my-secret-key"

func gateway(t testing.TB) *authtest.Gateway {
	g := authtest.New(t, &Spec)
	g.Consumer("jack", `{"key_id":"my-access-key","secret_key":"`+secret+`"}`)
	g.Consumer("anonymous", "")
	return g
}

// now is a date as clients send it.
func now() string { return time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }

// sign is the slow way: the lines of a signing string, joined and signed.
func sign(algorithm string, lines ...string) string {
	mac := hmac.New(map[string]func() hash.Hash{"hmac-sha1": sha1.New, "hmac-sha256": sha256.New, "hmac-sha512": sha512.New}[algorithm], []byte(secret))
	mac.Write([]byte(strings.Join(lines, "\n") + "\n"))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func authorization(algorithm, headers, signature string) string {
	return fmt.Sprintf("Authorization: Signature keyId=\"my-access-key\",algorithm=%q,headers=%q,signature=%q\r\n", algorithm, headers, signature)
}

const challenge = ` hmac realm="hmac"`

func TestSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateway(t)
		date := now()
		f := func(config, headers, want, reason string) {
			t.Helper()
			g.Log.Reset()
			c := g.Request("", headers)
			if got := authtest.Outcome(c, g.Bind(config).Rewrite(c)); got != want {
				t.Errorf("%s %q: %s, want %s", config, headers, got, want)
			}
			if got := g.Log.String(); !strings.Contains(got, reason) || (reason == "") != (got == "") || strings.Contains(got, secret) {
				t.Errorf("the log has %q", got)
			}
		}
		refuse := func(config, headers, reason string) {
			t.Helper()
			f(config, headers, `401 {"message":"client request can't be validated"}`+challenge, reason)
		}
		pass := func(config, headers string) { t.Helper(); f(config, headers, "jack", "") }
		dated := "Date: " + date + "\r\n"
		const asdf = `",headers="@request-target date",signature="asdf"` + "\r\n"

		// hmac-auth.t 7-13.
		f(`{}`, "", `401 {"message":"client request can't be validated: missing Authorization header"}`+challenge, "")
		f(`{}`, "Authorization: Basic YTpi\r\n", `401 {"message":"client request can't be validated: Authorization header does not start with 'Signature'"}`+challenge, "")
		refuse(`{}`, dated+`Authorization: Signature keyId="my-access-key",headers="@request-target date" ,signature="asdf"`+"\r\n", "algorithm missing")
		refuse(`{}`, dated+`Authorization: Signature keyId="sdf",algorithm="hmac-sha256`+asdf, "Invalid key_id")
		refuse(`{}`, dated+`Authorization: Signature keyId="my-access-key",algorithm="ljlj`+asdf, "Invalid algorithm")
		refuse(`{}`, dated+`Authorization: Signature algorithm="hmac-sha256`+asdf, "keyId or signature missing")
		refuse(`{}`, dated+`Authorization: Signature keyId="my-access-key",algorithm="hmac-sha256"`+"\r\n", "keyId or signature missing")
		refuse(`{}`, dated+"Authorization: Signature\r\n", "keyId or signature missing")
		sha256Asdf := `Authorization: Signature keyId="my-access-key",algorithm="hmac-sha256` + asdf
		refuse(`{}`, "Date: Thu, 24 Sep 1998 06:39:52 GMT\r\n"+sha256Asdf, "Clock skew exceeded")
		refuse(`{}`, sha256Asdf, "Date header missing")
		refuse(`{}`, "Date: adfsdf\r\n"+sha256Asdf, "Invalid GMT format time")
		refuse(`{"clock_skew":1000000000000}`, dated+sha256Asdf, "Invalid signature") // 16, 17

		// 14, 23-25, 31-34: what was signed is what came.
		const names = "@request-target date x-custom-header-a x-custom-header-b"
		custom := "x-custom-header-a: asld$%dfasf\r\nX-Custom-Header-B:  23879fmsldfk \r\n"
		lines := []string{"my-access-key", "GET /hello", "date: " + date, "x-custom-header-a: asld$%dfasf", "x-custom-header-b: 23879fmsldfk"}
		for _, a := range []string{"hmac-sha1", "hmac-sha256", "hmac-sha512"} {
			good := dated + authorization(a, names, sign(a, lines...)) + custom
			pass(`{}`, good)
			pass(`{"signed_headers":["date","x-custom-header-a","x-custom-header-b"]}`, good)
			refuse(`{"signed_headers":["date","x-custom-header-c"]}`, good, "expected header missing in signing")
			refuse(`{"signed_headers":["Date"]}`, good, "expected header missing in signing")
			refuse(`{}`, strings.Replace(good, "asld", "ASLD", 1), "Invalid signature")
			refuse(`{}`, strings.Replace(good, "X-Custom-Header-B:  23879fmsldfk \r\n", "", 1), "Invalid signature")
			refuse(`{}`, dated+authorization(a, names, sign(a, lines[:4]...))+custom, "Invalid signature")
			refuse(`{}`, dated+authorization(a, names, sign(a, lines...)[:20])+custom, "Invalid signature")
			refuse(`{}`, dated+authorization(a, names, "%")+custom, "Invalid signature")
			refuse(`{}`, dated+authorization(a, names, "")+custom, "Invalid signature")
		}
		refuse(`{"allowed_algorithms":["hmac-sha256"]}`, dated+authorization("hmac-sha1", names, sign("hmac-sha1", lines...))+custom, "Invalid algorithm")
		// Headers that were signed and did not come are no lines.
		pass(`{}`, dated+authorization("hmac-sha256", "date x-none", sign("hmac-sha256", "my-access-key", "date: "+date)))
		// The request's own target counts, not a header that pretends to be it.
		target := authorization("hmac-sha256", "date @request-target", sign("hmac-sha256", "my-access-key", "date: "+date, "GET /hello"))
		pass(`{}`, dated+target+"@request-target: evil\r\n")

		// 36-40: the date must be signed unless the route says otherwise.
		refuse(`{}`, dated+`Authorization: Signature keyId="my-access-key",algorithm="hmac-sha256",signature="`+sign("hmac-sha256", "my-access-key")+"\"\r\n", "expected header missing in signing")
		onlyDate := authorization("hmac-sha256", "date", sign("hmac-sha256", "my-access-key", "date: "+date))
		pass(`{}`, dated+onlyDate)
		pass(`{}`, dated+strings.ReplaceAll(onlyDate, ",", " , "))
		pass(`{"signed_headers":[]}`, dated+authorization("hmac-sha256", "@request-target", sign("hmac-sha256", "my-access-key", "GET /hello")))
		time.Sleep(60 * time.Second)
		pass(`{}`, dated+onlyDate)
		refuse(`{}`, "Date: "+now()+"\r\n"+onlyDate, "Invalid signature") // 38: replayed with another date
		time.Sleep(241 * time.Second)
		refuse(`{}`, dated+onlyDate, "Clock skew exceeded")

		// hmac-auth-anonymous-consumer.t 3-6; hmac-auth-realm.t.
		f(`{"anonymous_consumer":"anonymous"}`, "", "anonymous", "")
		f(`{"anonymous_consumer":"anonymous"}`, dated+onlyDate, "anonymous", "Clock skew exceeded")
		f(`{"anonymous_consumer":"nobody"}`, "", `401 {"message":"Invalid user authorization"}`+challenge, "failed to get anonymous consumer")
		f(`{"realm":"mine"}`, "", `401 {"message":"client request can't be validated: missing Authorization header"} hmac realm="mine"`, "")
	})
}

func TestQuery(t *testing.T) {
	g := gateway(t)
	date := now()
	headers := "Date: " + date + "\r\n" + authorization("hmac-sha256", "date @request-target", sign("hmac-sha256", "my-access-key", "date: "+date, "GET /hello?a=%20b"))
	for query, want := range map[string]plugin.Verdict{"a=%20b": 0, "a=+b": 401, "": 401} {
		c := g.Request(query, headers)
		if got := g.Bind(`{}`).Rewrite(c); got != want {
			t.Errorf("?%s: %d", query, got)
		}
	}
}

// TestDigest is hmac-auth3.t.
func TestDigest(t *testing.T) {
	g := gateway(t)
	date := now()
	signed := "Date: " + date + "\r\n" + authorization("hmac-sha256", "date", sign("hmac-sha256", "my-access-key", "date: "+date))
	const body = `{"name": "world"}`
	sum := sha256.Sum256([]byte(body))
	digest := "Digest: SHA-256=" + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	f := func(config, headers string, body authtest.Body, want plugin.Verdict) {
		t.Helper()
		c := g.Request("", headers)
		c.Owner = body
		if got := g.Bind(config).Rewrite(c); got != want {
			t.Errorf("%s %q: %s", config, headers, authtest.Outcome(c, got))
		}
	}
	const check = `{"validate_request_body":true}`
	f(check, signed, body, 401)                     // 3
	f(check, signed+"Digest: hello\r\n", body, 401) // 4
	f(check, signed+digest, body, 0)                // 5
	f(check, signed+digest, body+" ", 401)
	f(check, signed+digest, "", 401)
	f(`{}`, signed, body, 0)
	const small = `{"validate_request_body":true,"anonymous_consumer":"anonymous","max_req_body_size":`
	f(small+`10}`, signed+digest, body, 413) // 7, which the anonymous consumer may not send either
	f(small+`1024}`, signed+digest, body, 0) // 8
	f(small+`10}`, "Date: x\r\n", body, 0)   // nobody reads it
}

func TestHide(t *testing.T) {
	g := gateway(t)
	date := now()
	signed := authorization("hmac-sha256", "date", sign("hmac-sha256", "my-access-key", "date: "+date)) + "Date: " + date + "\r\n"
	for config, want := range map[string]bool{`{}`: true, `{"hide_credentials":true}`: false} {
		c := g.Request("", signed)
		if v := g.Bind(config).Rewrite(c); v != 0 || (c.Header("Authorization") != nil) != want {
			t.Errorf("%s: %d, %q", config, v, c.Req.Headers)
		}
	}
}

func TestCheck(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	route := func(raw string) error { _, _, err := Spec.Validate([]byte(raw)); return err }
	consumer := func(raw string) error {
		_, _, err := Spec.Credential.Bind([]byte(raw), func(string) (string, error) { return "", nil })
		return err
	}
	f(consumer(`{"key_id":"a"}`), `property "secret_key" is required`)    // hmac-auth.t 2
	f(consumer(`{"secret_key":"skey"}`), `property "key_id" is required`) // 3
	f(consumer(`{"key_id":"`+strings.Repeat("akey", 80)+`","secret_key":"skey"}`), `property "key_id" validation failed: string too long, expected at most 256, got 320`)
	f(consumer(`{"key_id":"a","secret_key":"`+strings.Repeat("skey", 96)+`"}`), `property "secret_key" validation failed: string too long, expected at most 256, got 384`)
	f(consumer(`{"key_id":"a","secret_key":""}`), `property "secret_key" validation failed: string too short, expected at least 1, got 0`)
	f(consumer(`{"key_id":"a","secret_key":"$env://EMPTY"}`), `the secret_key is empty`)
	f(route(`{"clock_skew":0}`), `property "clock_skew" validation failed: expected 0 to be at least 1`)                            // 15
	f(route(`{"allowed_algorithms":[]}`), `property "allowed_algorithms" validation failed: expect array to have at least 1 items`) // 27
	f(route(`{"allowed_algorithms":["none"]}`), `property "allowed_algorithms" validation failed: failed to validate item 1: matches none of the enum values`)
	f(route(`{"signed_headers":[],"clock_skew":1000000000000}`), "")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(` keyId="a",algorithm="hmac-sha256",headers="@request-target date",signature="asdf"`))
	f.Add([]byte(`keyId="a,x=",=""",headers="`))
	f.Fuzz(func(t *testing.T, fields []byte) {
		s := parse(fields)
		r := plugin.Request{Method: []byte("GET"), URI: []byte("/"), Headers: []byte("Date: x\r\n")}
		if s.matches([]byte(secret), &r) {
			t.Errorf("%q is a valid signature", fields)
		}
		for _, part := range [][]byte{s.keyID, s.algorithm, s.value} {
			if strings.ContainsAny(string(part), `,"`) {
				t.Errorf("%q: part %q", fields, part)
			}
		}
	})
}
