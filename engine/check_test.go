package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	bigint "math/big"
	"strings"
	"testing"
	"time"

	"headrace/conf"
)

// firstText is the text of the first finding that keeps an item out, "" if none does.
func firstText(r *Registry, it conf.Item) string {
	if bad := worst(r.CheckItem(it), Refused); bad != nil {
		return bad.Text
	}
	return ""
}

// certPair makes a certificate and its key in PEM form.
func certPair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: bigint.NewInt(1), Subject: pkix.Name{CommonName: "a.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}))
}

// T: admin/ssl.t, ssl2.t, ssl4.t.
func TestCheckSSL(t *testing.T) {
	r := NewRegistry(nil, nil)
	cert, key := certPair(t)
	cert2, key2 := certPair(t)
	long := strings.Repeat("x", 200)
	f := func(want string, members map[string]any) {
		t.Helper()
		raw, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		got := firstText(r, conf.Item{Kind: conf.SSLs, ID: "1", Raw: raw})
		if got != want && (want == "" || !strings.HasPrefix(got, want)) || strings.Contains(got, "xxx") {
			t.Errorf("%.80s: %q, want %q", raw, got, want)
		}
	}
	type m = map[string]any
	f("", m{"id": "1", "sni": "a.test", "cert": cert, "key": key})
	f("", m{"snis": []string{"a.test", "*.b.test"}, "cert": cert, "key": key, "certs": []string{cert2}, "keys": []string{key2}, "status": 0, "ssl_protocols": []string{"TLSv1.3"}})
	f("", m{"type": "client", "cert": cert, "key": key})
	f("", m{"sni": "a.test", "cert": cert, "key": key, "client": m{"ca": cert2, "depth": 2, "skip_mtls_uri_regex": []string{"/x.*"}}})
	f("", m{"sni": "a.test", "cert": "$secret://vault/1/a/cert", "key": "$env://KEY"})

	f(`invalid configuration: then clause did not match`, m{"sni": "a.test", "cert": cert})
	f(`invalid configuration: property "cert" validation failed: string too short`, m{"sni": "a.test", "cert": "short", "key": key})
	f(`invalid configuration: additional properties forbidden, found uri`, m{"sni": "a.test", "cert": cert, "key": key, "uri": "/"})
	f(`failed to parse cert: it has no PEM block CERTIFICATE`, m{"sni": "a.test", "cert": long, "key": key})
	f(`failed to parse key: failed to find any PEM data`, m{"sni": "a.test", "cert": cert, "key": long})
	f(`failed to parse key: private key does not match public key`, m{"sni": "a.test", "cert": cert, "key": key2})
	f(`mismatched number of certs and keys`, m{"sni": "a.test", "cert": cert, "key": key, "certs": []string{cert2}})
	f(`failed to handle cert-key pair[1]: failed to parse cert: `, m{"sni": "a.test", "cert": cert, "key": key, "certs": []string{long}, "keys": []string{key2}})
	f(`invalid configuration: client.skip_mtls_uri_regex: error parsing regexp`,
		m{"sni": "a.test", "cert": cert, "key": key, "client": m{"ca": cert2, "skip_mtls_uri_regex": []string{"("}}})
	f(`failed to validate client_cert: failed to parse cert: `, m{"sni": "a.test", "cert": cert, "key": key, "client": m{"ca": long}})
}

// T: admin/secrets.t 8.
func TestCheckSecret(t *testing.T) {
	r := NewRegistry(nil, nil)
	f := func(id, raw, want string) {
		t.Helper()
		got := firstText(r, conf.Item{Kind: conf.Secrets, ID: id, Raw: []byte(raw)})
		if got != want && (want == "" || !strings.HasPrefix(got, want)) {
			t.Errorf("%s %s: %q, want %q", id, raw, got, want)
		}
	}
	f("vault/1", `{"uri":"http://127.0.0.1:8200","prefix":"kv/apisix","token":"$env://TOKEN","namespace":"ns"}`, "")
	f("vault/1", `{"id":"vault/1","uri":"https://[::1]:8200/x","prefix":"kv","token":"t","create_time":1,"update_time":1}`, "")
	f("vault/1", `{"uri":"/get","prefix":"kv","token":"t"}`, `invalid configuration: property "uri" validation failed: failed to match pattern`)
	f("vault/1", `{"uri":"http://a","token":"t"}`, `invalid configuration: property "prefix" is required`)
	f("vault/1", `{"uri":"http://a","prefix":"kv","token":7}`, `invalid configuration: property "token" validation failed: wrong type: expected string, got number`)
	f("aws/1", `{"access_key_id":"$env://A","secret_access_key":"b","session_token":"c","region":"eu-west-1","endpoint_url":"http://127.0.0.1:4566"}`, "")
	f("aws/1", `{"access_key_id":"a"}`, `invalid configuration: property "secret_access_key" is required`)
	f("gcp/1", `{"auth_config":{"client_email":"a@b","private_key":"k","project_id":"p","scope":["s"]},"ssl_verify":true}`, "")
	f("gcp/1", `{"auth_file":"/etc/key.json","ssl_verify":false}`, `invalid configuration: ssl_verify: false is not supported`)
	f("gcp/1", `{"auth_file":"/etc/key.json"}`, "")
	f("gcp/1", `{}`, `invalid configuration: value should match only one schema, but matches none`)
	f("gcp/1", `{"auth_file":"a","auth_config":{"client_email":"a@b","private_key":"k","project_id":"p"}}`,
		`invalid configuration: value should match only one schema, but matches both schemas 1 and 2`)
	f("foo/1", `{}`, "invalid secret manager: foo")
	f("1", `{}`, "invalid secret manager: 1")
}
