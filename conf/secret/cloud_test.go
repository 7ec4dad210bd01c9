package secret

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAWS(t *testing.T) {
	var tried []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var rq struct{ SecretId, VersionStage string }
		json.Unmarshal(body, &rq)
		auth := r.Header.Get("Authorization")
		if !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/eu-west-1/secretsmanager/aws4_request") ||
			r.Header.Get("X-Amz-Security-Token") != "root" || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || rq.VersionStage != "AWSCURRENT" {
			w.WriteHeader(403)
			return
		}
		tried = append(tried, rq.SecretId)
		switch rq.SecretId {
		case "llm/openai":
			fmt.Fprint(w, `{"SecretString":"{\"key\":\"sk\",\"n\":1}"}`)
		case "plain":
			fmt.Fprint(w, `{"SecretString":"text"}`)
		case "binary":
			fmt.Fprint(w, `{"SecretBinary":"AA=="}`)
		case "broken":
			w.WriteHeader(500)
		default:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"__type":"ResourceNotFoundException"}`)
		}
	}))
	defer srv.Close()
	m, _, _ := newManager(t, nil)
	m.Configure(map[string][]byte{"aws/1": fmt.Appendf(nil,
		`{"access_key_id":"AKID","secret_access_key":"$env://TOKEN","session_token":"$env://TOKEN","region":"eu-west-1","endpoint_url":%q}`, srv.URL)})
	for _, tt := range []struct{ name, want, err string }{
		{"plain", "text", ""},
		{"llm/openai", `{"key":"sk","n":1}`, ""},
		{"llm/openai/key", "sk", ""},
		{"llm/openai/none", "", `the secret has no member "none"`},
		{"plain/x", "", "the secret is no JSON object"},
		{"none/x", "", "AWS knows no such secret"},
		{"binary", "", "AWS's answer has no SecretString"},
		{"broken", "", "AWS answered 500"},
	} {
		got, err := m.Resolve(Prefix + "aws/1/" + tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.HasSuffix(err.Error(), ": "+tt.err) {
			t.Errorf("%s: %q, %v; want %q, %s", tt.name, got, err, tt.want, tt.err)
		}
	}
	if got := strings.Join(tried[2:4], " "); got != "llm/openai/key llm/openai" {
		t.Errorf("tried %s", got)
	}
}

func TestGCP(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	var mints atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			mints.Add(1)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"at","token_type":"Bearer","expires_in":3600}`)
		case r.Header.Get("Authorization") != "Bearer at":
			w.WriteHeader(401)
		case r.URL.Path == "/v1/projects/p/secrets/llm/versions/latest:access":
			fmt.Fprintf(w, `{"payload":{"data":%q}}`, base64.StdEncoding.EncodeToString([]byte(`{"key":"sk"}`)))
		default:
			w.WriteHeader(404)
		}
	}))
	defer srv.Close()
	auth, err := json.Marshal(map[string]any{"client_email": "a@b", "private_key": private, "project_id": "p", "token_uri": srv.URL + "/token", "entries_uri": srv.URL + "/v1"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "gcp.json")
	if err := os.WriteFile(file, auth, 0o600); err != nil {
		t.Fatal(err)
	}
	m, _, _ := newManager(t, nil)
	m.Configure(map[string][]byte{"gcp/1": fmt.Appendf(nil, `{"auth_config":%s}`, auth), "gcp/2": fmt.Appendf(nil, `{"auth_file":%q}`, file),
		"gcp/3": []byte(`{"auth_file":"/nowhere"}`)})
	for _, tt := range []struct{ name, want, err string }{
		{"1/llm", `{"key":"sk"}`, ""},
		{"1/llm/key", "sk", ""},
		{"2/llm/key", "sk", ""},
		{"1/none", "", "google answered 404"},
		{"3/llm", "", "no such file or directory"},
	} {
		got, err := m.Resolve(Prefix + "gcp/" + tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.HasSuffix(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v; want %q, %s", tt.name, got, err, tt.want, tt.err)
		}
	}
	if n := mints.Load(); n != 2 {
		t.Errorf("%d tokens were minted for two entries", n)
	}
}
