package secret

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"
)

// gcpSecrets reads the latest versions of Google Secret Manager. A name is
// that of a secret, with a field of its JSON behind it or not.
type gcpSecrets struct {
	Auth      *gcpAuth `json:"auth_config"`
	AuthFile  string   `json:"auth_file"`
	SSLVerify *bool    `json:"ssl_verify"`

	env    Env
	client *http.Client
	mu     sync.Mutex
	tokens oauth2.TokenSource
}

type gcpAuth struct {
	ClientEmail string   `json:"client_email"`
	PrivateKey  string   `json:"private_key"`
	ProjectID   string   `json:"project_id"`
	TokenURI    string   `json:"token_uri"`
	Scope       []string `json:"scope"`
	EntriesURI  string   `json:"entries_uri"`
}

func openGCP(raw []byte, env Env, client *http.Client) (backend, error) {
	g := &gcpSecrets{env: env, client: client}
	if err := json.Unmarshal(raw, g); err != nil {
		return nil, err
	}
	switch {
	case (g.Auth == nil) == (g.AuthFile == ""):
		return nil, errors.New("value should match only one schema: auth_config or auth_file")
	case g.SSLVerify != nil && !*g.SSLVerify:
		return nil, errors.New("ssl_verify: false is not supported: credentials go over this connection")
	case g.Auth == nil:
		return g, nil // read when it is used: the file may come later
	}
	return g, g.Auth.check()
}

func (a *gcpAuth) check() error {
	for _, f := range []struct{ name, value string }{{"client_email", a.ClientEmail}, {"private_key", a.PrivateKey}, {"project_id", a.ProjectID}} {
		if f.value == "" {
			return fmt.Errorf("property %q is required", f.name)
		}
	}
	a.TokenURI = cmp.Or(a.TokenURI, "https://oauth2.googleapis.com/token")
	a.EntriesURI = cmp.Or(a.EntriesURI, "https://secretmanager.googleapis.com/v1")
	if len(a.Scope) == 0 {
		a.Scope = []string{"https://www.googleapis.com/auth/cloud-platform"}
	}
	if err := httpURL("token_uri", a.TokenURI); err != nil {
		return err
	}
	return httpURL("entries_uri", a.EntriesURI)
}

func (g *gcpSecrets) fetch(ctx context.Context, name string) (string, error) {
	name, field, hasField := strings.Cut(name, "/")
	auth, err := g.auth()
	if err != nil {
		return "", err
	}
	token, err := g.token(auth)
	if err != nil {
		return "", err
	}
	address, err := url.JoinPath(auth.EntriesURI, "projects", auth.ProjectID, "secrets", name, "versions/latest:access")
	if err != nil {
		return "", errors.New("the reference makes no address")
	}
	rq, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", errors.New("the reference makes no address")
	}
	rq.Header.Set("Authorization", "Bearer "+token)
	status, body, err := call(ctx, g.client, rq)
	switch {
	case err != nil:
		return "", err
	case status != http.StatusOK:
		return "", fmt.Errorf("google answered %d", status)
	}
	var answer struct {
		Payload struct{ Data string }
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", errors.New("google's answer is no JSON object")
	}
	text, err := base64.StdEncoding.DecodeString(answer.Payload.Data)
	if err != nil || len(text) == 0 {
		return "", errors.New("google's answer has no payload")
	}
	if hasField {
		return member(string(text), field)
	}
	return string(text), nil
}

func (g *gcpSecrets) auth() (*gcpAuth, error) {
	if g.Auth != nil {
		return g.Auth, nil
	}
	text, err := os.ReadFile(g.AuthFile)
	if err != nil {
		return nil, fmt.Errorf("auth_file: %w", err)
	}
	a := new(gcpAuth)
	if json.Unmarshal(text, a) != nil {
		return nil, errors.New("auth_file holds no JSON object")
	}
	return a, a.check()
}

// token returns an access token, minted anew when the last one is about to end.
func (g *gcpSecrets) token(a *gcpAuth) (string, error) {
	key, err := g.env.field("private_key", a.PrivateKey)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tokens == nil {
		cfg := &jwt.Config{Email: a.ClientEmail, PrivateKey: []byte(key), TokenURL: a.TokenURI, Scopes: a.Scope}
		g.tokens = cfg.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, g.client))
	}
	t, err := g.tokens.Token()
	if err != nil {
		g.tokens = nil
		return "", errors.New("google's token server gave no token") // the library quotes the whole answer
	}
	return t.AccessToken, nil
}
