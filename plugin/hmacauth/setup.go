// Package hmacauth is the hmac-auth plugin: a caller is known by a signature
// over parts of the request (gateway.md 5.3).
package hmacauth

import (
	"encoding/json"
	"errors"
	"time"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/auth"
)

const name = "hmac-auth"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 2530, Kind: plugin.Auth,
	Schema: auth.Schema(name, "hmac", `
    "allowed_algorithms": {
      "type": "array", "minItems": 1,
      "items": {"type": "string", "enum": ["hmac-sha1", "hmac-sha256", "hmac-sha512"]},
      "default": ["hmac-sha1", "hmac-sha256", "hmac-sha512"]
    },
    "clock_skew": {"type": "integer", "default": 300, "minimum": 1},
    "signed_headers": {"type": "array", "default": ["date"], "items": {"type": "string", "minLength": 1, "maxLength": 50}},
    "validate_request_body": {
      "type": "boolean", "default": false,
      "description": "A boolean value telling the plugin to enable body validation"
    },
    "max_req_body_size": {"type": "integer", "minimum": 1, "default": 67108864},`),
	Credential: &plugin.CredentialSpec{
		Schema: schema.MustCompile(name+" consumer", `{
  "type": "object",
  "title": "work with consumer object",
  "properties": {
    "key_id": {"type": "string", "minLength": 1, "maxLength": 256},
    "secret_key": {"type": "string", "minLength": 1, "maxLength": 256}
  },
  "required": ["key_id", "secret_key"]
}`),
		Key: "key_id", Secrets: []string{"secret_key"}, New: newCredential,
	},
	New: newHMACAuth,
}

type config struct {
	auth.Config
	Algorithms []string `json:"allowed_algorithms"`
	ClockSkew  int64    `json:"clock_skew"` // seconds
	Signed     []string `json:"signed_headers"`
	Body       bool     `json:"validate_request_body"`
	MaxBody    int64    `json:"max_req_body_size"`
}

// credential is a consumer's secret.
type credential struct{ secret []byte }

func newCredential(raw []byte) (any, error) {
	var c struct {
		Secret string `json:"secret_key"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.Secret == "" { // a reference to nothing
		return nil, errors.New("the secret_key is empty")
	}
	return &credential{[]byte(c.Secret)}, nil
}

func newHMACAuth(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	const most = 100 * 365 * 24 * time.Hour // more would overflow
	return &hmacAuth{
		gate: auth.NewGate(name, "hmac", &c.Config, env), hide: c.HideCredentials,
		algorithms: c.Algorithms, signed: c.Signed, body: c.Body, maxBody: c.MaxBody,
		skew: time.Duration(min(c.ClockSkew, int64(most/time.Second))) * time.Second,
	}, nil
}
