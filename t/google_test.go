package t

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
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokenServer stands in for Google's token endpoint. It believes no assertion
// that it cannot verify.
type tokenServer struct {
	server *http.Server
	addr   string

	mu     sync.Mutex
	status int    // not 0: what it answers instead of a token
	code   string // the error beside it
	mints  int
}

// serviceKey is made once: RSA keys take their time.
var serviceKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

const (
	serviceEmail = "headrace@project.iam.gserviceaccount.com"
	cloudScope   = "https://www.googleapis.com/auth/cloud-platform"
)

// cmdGoogle runs a token endpoint on $TOKENS:
//
//	google start              sets $SERVICE_ACCOUNT, JSON whose token_uri leads there
//	google fail STATUS CODE   answers that from now on
//	google ok                 answers tokens again: ya29.1, ya29.2, ...
//
// A request whose assertion is not signed by that account gets 400.
func (s *state) cmdGoogle(args []string) (string, error) {
	switch {
	case len(args) == 1 && args[0] == "start" && s.google == nil:
		return "", s.startGoogle()
	case len(args) == 3 && args[0] == "fail" && s.google != nil:
		status, err := strconv.Atoi(args[1])
		if err == nil {
			s.google.answer(status, args[2])
		}
		return "", err
	case len(args) == 1 && args[0] == "ok" && s.google != nil:
		s.google.answer(0, "")
		return "", nil
	}
	return "", errors.New("usage: google start | fail STATUS CODE | ok")
}

func (s *state) startGoogle() error {
	g := &tokenServer{addr: s.getenv("TOKENS")}
	ln, err := net.Listen("tcp", g.addr)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(serviceKey())
	if err != nil {
		return err
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": serviceEmail, "token_uri": "http://" + g.addr + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		return err
	}
	s.setenv("SERVICE_ACCOUNT", string(account))
	g.server = &http.Server{Handler: g}
	go g.server.Serve(ln)
	s.google = g
	return nil
}

func (g *tokenServer) answer(status int, code string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.code = status, code
}

// ServeHTTP implements http.Handler.
func (g *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fail := func(status int, code string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "the answer's own words"})
	}
	if err := g.verify(r); err != nil {
		fail(http.StatusBadRequest, "invalid_grant")
		return
	}
	if g.status != 0 {
		fail(g.status, g.code)
		return
	}
	g.mints++
	fmt.Fprintf(w, `{"access_token":"ya29.%d","expires_in":3600,"token_type":"Bearer"}`, g.mints)
}

// verify judges an assertion by RFC 7523, as Google does.
func (g *tokenServer) verify(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/token" || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return errors.New("not a request for a token")
	}
	parts := strings.Split(r.PostFormValue("assertion"), ".")
	if len(parts) != 3 {
		return errors.New("not a JWT")
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return err
		}
	}
	var header struct{ Alg, Typ string }
	if err := json.Unmarshal(raw[0], &header); err != nil || header.Alg != "RS256" {
		return errors.New("not RS256")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&serviceKey().PublicKey, crypto.SHA256, sum[:], raw[2]); err != nil {
		return err
	}
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	if err := json.Unmarshal(raw[1], &claims); err != nil {
		return err
	}
	now := time.Now().Unix()
	if claims.Iss != serviceEmail || claims.Scope != cloudScope || claims.Aud != "http://"+g.addr+"/token" ||
		claims.Iat > now+1 || claims.Exp <= now || claims.Exp > claims.Iat+3600 {
		return fmt.Errorf("wrong claims: %s", raw[1])
	}
	return nil
}
