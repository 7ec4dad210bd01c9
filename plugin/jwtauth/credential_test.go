package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/golang-jwt/jwt/v5"

	"headrace/plugin/auth/authtest"
)

func public(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func curve(t *testing.T, c elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestAlgorithms has one consumer for each algorithm and offers each a token
// of every algorithm: only its own is good.
func TestAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{
		"ES256": curve(t, elliptic.P256()), "ES384": curve(t, elliptic.P384()), "ES512": curve(t, elliptic.P521()), "EdDSA": edKey,
	}
	for _, a := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[a] = rsaKey
	}
	algorithms := []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}
	g := authtest.New(t, &Spec)
	for _, a := range algorithms {
		c := map[string]string{"key": a, "algorithm": a, "secret": "s"}
		if keys[a] != nil {
			c["public_key"] = public(t, keys[a])
		}
		raw, _ := json.Marshal(c)
		g.Consumer(a, string(raw))
	}
	for _, a := range algorithms {
		for _, of := range algorithms {
			var key any = []byte("s")
			if keys[of] != nil {
				key = keys[of]
			}
			token, err := jwt.NewWithClaims(jwt.GetSigningMethod(of), jwt.MapClaims{"key": a}).SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			if a == of {
				ask(t, g, `{}`, token, a, "")
			} else {
				ask(t, g, `{}`, token, notVerified, "algorithm mismatch")
			}
		}
		if keys[a] == nil {
			continue
		}
		// jwt-auth.t 52: the public key as a secret.
		forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"key": a}).SignedString([]byte(public(t, keys[a])))
		if err != nil {
			t.Fatal(err)
		}
		ask(t, g, `{}`, forged, notVerified, "algorithm mismatch")
	}
}

// vectors are tokens that others have signed, those of APISIX's own tests.
// The first are without an end, the others end in years to come.
var vectors = []struct{ config, token string }{
	{`"secret":"my-secret-key"`, // jwt-auth.t 56
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleSJ9._7aoTZdzQDT0r9swHTcHb3nsujexcGjSTU-LRzTRVyY"},
	{`"secret":"fo4XKdZ1xSrIZyms4q2BwPrW5lMpls9qqy5tiAk2esc=","base64_secret":true`, // 16
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleSIsIm5iZiI6MTcyNzI3NDk4M30._Z8b_Asb2ROvGX4R5sNMbgJNQXB6x7aQeuVjmjY21Nw"},
	{`"key":"user-key-HS512","algorithm":"HS512","secret":"my-secret-key"`, // 40
		"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleS1IUzUxMiIsIm5iZiI6MTcyNzI3NDk4M30.emzmjIbFqkRAr55YW5YobdXDxYWiMuUNLPooE5G_bbme1ul19p1dKW7ESrlqvr4BPJRKThm4PnkNC4h9xSJpBQ"},
	{`"key":"user-key-rs256","algorithm":"RS256","public_key":"-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDGxOfVe/seP5T/V8pkS5YNAPRC\n3Ffxxedi7v0pyZh/4d4p9Qx0P9wOmALwlOq4Ftgks311pxG0zL0LcTJY4ikbc3r0\nh8SM0yhj9UV1VGtuia4YakobvpM9U+kq3lyIMO9ZPRez0cP3AJIYCt5yf8E7bNYJ\njbJNjl8WxvM1tDHqVQIDAQAB\n-----END PUBLIC KEY-----"`, // 29
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleS1yczI1NiIsIm5iZiI6MTcyNzI3NDk4M30.FG-PAyscR-pFyw1a5ZiRxHLxzSI1jyVyZxm-fj3-u5igjacJY7UByCUKDnieV9-Ft81X15gdHAcrumUsTbu-77F50Bp5A1sxzdL_PXVLJ1cc8UP2ltvQwf1YWdutK7CI_uNLaeCYPZd9tWPhnfpsv4AdTdaCWeFyoaZSNOdw4oA"},
	{`"key":"user-key-es256","algorithm":"ES256","public_key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\nq9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n-----END PUBLIC KEY-----"`, // 48
		"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleS1lczI1NiIsIm5iZiI6MTcyNzI3NDk4M30.t-CZzJRSxIuVVjU3m8_zDtb7h9x2R2s3BJWmerh0hw-RMIklBqLJ3V9kYAWl7DIyXlp0jQCPDZ_M7mhr1Q3HPw"},
}

var endingVectors = []struct{ config, token string }{
	{`"secret":"my-secret-key"`, // jwt-auth.t 8
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleSIsImV4cCI6MTg3OTMxODU0MX0.fNtFJnNmJgzbiYmGB0Yjvm-l6A6M4jRV1l4mnVFSYjs"},
	{`"algorithm":"HS384","secret":"my-secret-key"`, // jwt-auth-more-algo.t 6
		"eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleSIsImV4cCI6MTg3OTMxODU0MX0.yM8L6f3cGZxKqflMJlf0DqfQVpHUxupqgM3JWETyRQ8Iag1HiRrHILEA-A2rhmEq"},
	{`"key":"user-key2","algorithm":"PS256","public_key":"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAiSpoCgu3GzeExroi2YQ+\nxcQlXqEO8D5/5DgrlGsEb3Y9kEX+lj3ayW/G93nAob1xrtpjzBLf4chDivcmMj1q\nOwggoAOOmC9D/EYzDNKAos/gNcgsxra1X7xdMje+jUYR8nQGLemkidD71XbOrrcy\nLTE886t/lcrauC3dxNl55DkZc22YZWSanmizGfedMIEVtZb08uXbTi+8KyP3d+QL\nKYQ2eSa8AQredrKmM0eREQHr6R+zz6xqgycJ/Pxp+C0UYFbV+LVnHom5u6ck2SNG\nuGI1sBQ3V763BArbGpWlpcetQT5JB8QDhywf1ihNdaJgWhswQJVSMpJ8ZmA8R1Av\nDQIDAQAB\n-----END PUBLIC KEY-----"`, // 10
		"eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6Ind3dy5iZWpzb24uY29tIiwic3ViIjoiZGVtbyIsImtleSI6InVzZXIta2V5MiIsImV4cCI6MjA4OTcyNDA1N30.cKaijeZ4ydKVKCC37UZObPFj_kVsdiScEuGwK_G9JBjg0dcRnL8Xvr6Ofp8kDJz16FO2vy8FHgA_9HVjVpzehNe-AbtYJ88Qopy2pAQHsottGuQe3jgAt-yBI5chf26GzpqTtyymteg-lt-cW6EoP4gVHfXEbzQaOZt0wmdNBX17jISKW70okdxrp7cJKbv4hXQXjhYwKY8h0jYnGb-RhuHXRwWFhp6TZVV57Lfpi1yUDm6GqXM42W7owOOwjUqS8-7KYv1iugQzTo7qcVjPic7X5Wug7N-4t8BRM9jZkUiNrAY2BoxxBMUUru4fd201KY23p4bZDwQFpg6MVck7XA"},
	{`"algorithm":"EdDSA","public_key":"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA9PdGVALrrBX4oX5t9DKb5JHYx7XRb0RXU42r0FVO2sA=\n-----END PUBLIC KEY-----"`, // 17
		"eyJ4NWMiOlsiLS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS1cbk1Db3dCUVlESzJWd0F5RUE5UGRHVkFMcnJCWDRvWDV0OURLYjVKSFl4N1hSYjBSWFU0MnIwRlZPMnNBPVxuLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tIl0sInR5cCI6IkpXVCIsImFsZyI6IkVkRFNBIn0.eyJleHAiOjIwODUwNzA2MDQsImtleSI6InVzZXIta2V5In0.FmPpxVDubPukcnW58DICZOYMqvkikn4TuUzIQX68-s9KOBUhOgH1_TZM3gUk5Wv0L86c4joVzU7hqstsJSs0Cw"},
}

func TestVectors(t *testing.T) {
	f := func(config, token string) {
		t.Helper()
		if !strings.Contains(config, `"key":`) {
			config += `,"key":"user-key"`
		}
		g := authtest.New(t, &Spec)
		g.Consumer("jack", "{"+config+"}")
		ask(t, g, `{}`, token, "jack", "")
		forged := []byte(token)
		forged[strings.LastIndexByte(token, '.')+1] ^= 1 << 5 // the other case, or another sign
		ask(t, g, `{}`, string(forged), notVerified, "signature")
	}
	for _, v := range vectors {
		f(v.config, v.token)
	}
	synctest.Test(t, func(*testing.T) { // in the year 2000
		for _, v := range endingVectors {
			f(v.config, v.token)
		}
	})
}

func TestCheck(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		_, err := Spec.Credential.Validate([]byte(config))
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
	const noPublic = `failed to validate dependent schema for "algorithm": value should match only one schema, but matches none`
	const noSecret = `property "secret" is required when using HS based algorithms`
	f(`{"key":"123","secret":"my-secret-key"}`, "")                                               // jwt-auth.t 1
	f(`{"key":123}`, `property "key" validation failed: wrong type: expected string, got number`) // 2
	f(`{}`, `property "key" is required`)                                                         // 20
	f(`{"key":"123","secret":"{^c0j4&]2!=J=","base64_secret":true}`, errNotBase64.Error())        // 42
	f(`{"key":"123","secret":"$env://S","base64_secret":true}`, "")
	f(`{"key":"user-key","algorithm":"RS256"}`, noPublic)              // 44, 49
	f(`{"key":"user-key","algorithm":"ES256"}`, noPublic)              // 50
	f(`{"key":"user-key","secret":"s","algorithm":"PS256"}`, noPublic) // jwt-auth-more-algo.t 7
	f(`{"key":"user-key","algorithm":"RS256","public_key":""}`, noPublic)
	f(`{"key":"user-key","algorithm":"RS256","public_key":"-----BEGIN RSA PRIVATE KEY-----"}`, "") // 45: said when it is loaded
	f(`{"key":"123"}`, noSecret)                                                                   // 51
	f(`{"key":"123","algorithm":"HS512"}`, noSecret)
	f(`{"key":"123","algorithm":"ES256","public_key":"x"}`, "")
	f(`{"key":"mike","secret":""}`, `property "secret" validation failed: string too short, expected at least 1, got 0`) // jwt-auth4.t 4
	f(`{"key":"","secret":"s"}`, `property "key" validation failed: string too short, expected at least 1, got 0`)       // 5
	f(`{"key":"a","secret":"s","algorithm":"none"}`, `property "algorithm" validation failed: matches none of the enum values`)
	_, _, err := Spec.Validate([]byte(`{"claims_to_verify":["iat"]}`))
	if err == nil || !strings.Contains(err.Error(), "matches none of the enum values") {
		t.Error(err)
	}
}

// TestUnusable has credentials that pass the check and cannot be used.
func TestUnusable(t *testing.T) {
	small := "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKebDxlvQMGyEesAL1r1nIJBkSdqu3Hr\n7noq/0ukiZqVQLSJPMOv0oxQSutvvK3hoibwGakDOza+xRITB7cs2cECAwEAAQ==\n-----END PUBLIC KEY-----"
	f := func(algorithm, secret, key, more, want string) {
		t.Helper()
		k, _ := json.Marshal(key)
		config := fmt.Sprintf(`{"key":"k","algorithm":%q,"secret":%q,"public_key":%s%s}`, algorithm, secret, k, more)
		_, _, err := Spec.Credential.Bind([]byte(config), func(string) (string, error) { return "", nil })
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
	f("RS256", "s", "somekey", "", "public_key is no PEM public key for RS256")
	f("RS256", "s", small, "", "public_key has the wrong size for RS256") // 512 bits
	f("ES256", "s", small, "", "public_key is no PEM public key for ES256")
	f("ES384", "s", public(t, curve(t, elliptic.P256())), "", "public_key has the wrong size for ES384")
	f("EdDSA", "s", small, "", "public_key is no PEM public key for EdDSA")
	f("EdDSA", "s", "$env://EMPTY", "", "public_key is no PEM public key for EdDSA")
	f("HS256", "$env://EMPTY", "", "", "the secret is empty")
	f("HS256", "==", "", `,"base64_secret":true`, "the secret is empty")
	f("HS256", "$env://EMPTY", "", `,"base64_secret":true`, "the secret is empty")
}
