package vertex

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// google is a token server that takes nothing but a valid assertion. The zero
// value but for t answers at once, with tokens for an hour.
type google struct {
	t   testing.TB
	uri string // token_uri; "": Google's

	mu     sync.Mutex
	calls  int
	scope  string // wanted; "": Google's
	answer string // instead of a token; %d is the number of the call
	status int
	down   error         // the network's
	delay  time.Duration // before the answer
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

const testEmail = "gateway@project.iam.gserviceaccount.com"

// account is a service account of this server, more is further members.
func (g *google) account(more string) string {
	der, err := x509.MarshalPKCS8PrivateKey(testKey())
	if err != nil {
		g.t.Fatal(err)
	}
	text, _ := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	uri := ""
	if g.uri != "" {
		uri = `,"token_uri":"` + g.uri + `"`
	}
	return `{"type":"service_account","client_email":"` + testEmail + `","private_key":` + string(text) + uri + more + `}`
}

// script changes how the server answers from now on.
func (g *google) script(f func(g *google)) {
	g.mu.Lock()
	f(g)
	g.mu.Unlock()
}

func (g *google) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// RoundTrip lets the server stand in for the network, for tests with a clock
// of their own.
func (g *google) RoundTrip(rq *http.Request) (*http.Response, error) {
	g.mu.Lock()
	down, delay := g.down, g.delay
	if down != nil {
		g.calls++
	}
	g.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-rq.Context().Done():
		return nil, rq.Context().Err()
	}
	if down != nil {
		return nil, down
	}
	rec := httptest.NewRecorder()
	g.ServeHTTP(rec, rq)
	return rec.Result(), nil
}

// ServeHTTP implements http.Handler.
func (g *google) ServeHTTP(w http.ResponseWriter, rq *http.Request) {
	g.mu.Lock()
	g.calls++
	n, status, answer, scope := g.calls, g.status, g.answer, g.scope
	g.mu.Unlock()
	if err := g.verify(rq, scope); err != nil {
		g.t.Errorf("call %d: %v", n, err)
		w.WriteHeader(400)
		return
	}
	if answer == "" {
		answer = `{"access_token":"tok%d","expires_in":3600,"token_type":"Bearer"}`
	}
	if strings.Contains(answer, "%d") {
		answer = fmt.Sprintf(answer, n)
	}
	w.Header().Set("content-type", "application/json")
	if status != 0 {
		w.Header().Set("location", "http://elsewhere.example/")
		w.WriteHeader(status)
	}
	io.WriteString(w, answer)
}

func (g *google) verify(rq *http.Request, scope string) error {
	uri := g.uri
	if uri == "" {
		uri = "https://oauth2.googleapis.com/token"
		if got := rq.URL.String(); got != uri {
			return fmt.Errorf("address %s", got)
		}
	}
	if rq.Method != "POST" || rq.Header.Get("content-type") != "application/x-www-form-urlencoded" {
		return fmt.Errorf("%s %s", rq.Method, rq.Header)
	}
	if err := rq.ParseForm(); err != nil {
		return err
	}
	if got := rq.PostForm.Get("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(rq.PostForm) != 2 {
		return fmt.Errorf("form %s", rq.PostForm)
	}
	parts := strings.Split(rq.PostForm.Get("assertion"), ".")
	if len(parts) != 3 {
		return errors.New("not three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil {
			return err
		}
		raw[i] = b
	}
	if string(raw[0]) != `{"alg":"RS256","typ":"JWT"}` {
		return fmt.Errorf("header %s", raw[0])
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&testKey().PublicKey, crypto.SHA256, sum[:], raw[2]); err != nil {
		return err
	}
	var c struct {
		Iss, Aud, Scope string
		Iat, Exp        int64
	}
	if err := json.Unmarshal(raw[1], &c); err != nil {
		return err
	}
	if scope == "" {
		scope = "https://www.googleapis.com/auth/cloud-platform"
	}
	now := time.Now().Unix()
	if c.Iss != testEmail || c.Aud != uri || c.Scope != scope || c.Exp-c.Iat != 3600 || c.Iat > now || c.Iat < now-60 {
		return fmt.Errorf("claims %s at %d", raw[1], now)
	}
	return nil
}
