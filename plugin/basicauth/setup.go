// Package basicauth is the basic-auth plugin: a caller is known by a name and
// a password as browsers send them (gateway.md 5.3).
package basicauth

import (
	"crypto/sha256"
	"encoding/json"
	"errors"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/auth"
)

const name = "basic-auth"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 2520, Kind: plugin.Auth,
	Schema: auth.Schema(name, "basic", ""),
	Credential: &plugin.CredentialSpec{
		Schema: schema.MustCompile(name+" consumer", `{
  "type": "object",
  "title": "work with consumer object",
  "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
  "required": ["username", "password"]
}`),
		Key: "username", Secrets: []string{"password"}, New: newCredential,
	},
	New: newBasicAuth,
}

// credential is the digest of a password: digests are compared in a time that
// does not depend on the length of what they stand for.
type credential [sha256.Size]byte

func newCredential(raw []byte) (any, error) {
	var c struct {
		Password string `json:"password"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.Password == "" {
		return nil, errors.New("the password is empty")
	}
	d := credential(sha256.Sum256([]byte(c.Password)))
	return &d, nil
}

func newBasicAuth(raw []byte, env *plugin.Env) (any, error) {
	var c auth.Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return &basicAuth{gate: auth.NewGate(name, "Basic", &c, env), hide: c.HideCredentials}, nil
}
