// Package keyauth is the key-auth plugin: a caller is known by a key in a
// header or in the query (gateway.md 5.2).
package keyauth

import (
	"encoding/json"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/auth"
)

const name = "key-auth"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 2500, Kind: plugin.Auth,
	Schema: auth.Schema(name, "key", `
    "header": {"type": "string", "default": "apikey"},
    "query": {"type": "string", "default": "apikey"},`),
	Credential: &plugin.CredentialSpec{
		Schema: schema.MustCompile(name+" consumer", `{
  "type": "object",
  "properties": {"key": {"type": "string"}},
  "required": ["key"]
}`),
		Key: "key", Secrets: []string{"key"},
	},
	New: newKeyAuth,
}

type config struct {
	auth.Config
	Header string `json:"header"`
	Query  string `json:"query"`
}

func newKeyAuth(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return &keyAuth{
		gate:   auth.NewGate(name, "apikey", &c.Config, env),
		header: c.Header, query: c.Query, hide: c.HideCredentials,
	}, nil
}
