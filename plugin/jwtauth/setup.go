// Package jwtauth is the jwt-auth plugin: a caller is known by a signed token
// that names a consumer's key (gateway.md 5.3).
package jwtauth

import (
	"encoding/json"

	"headrace/plugin"
	"headrace/plugin/auth"
)

const name = "jwt-auth"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 2510, Kind: plugin.Auth,
	Schema: auth.Schema(name, "jwt", `
    "header": {"type": "string", "default": "authorization"},
    "query": {"type": "string", "default": "jwt"},
    "cookie": {"type": "string", "default": "jwt"},
    "key_claim_name": {"type": "string", "default": "key", "minLength": 1},
    "store_in_ctx": {"type": "boolean", "default": false},
    "claims_to_verify": {"type": "array", "items": {"type": "string", "enum": ["exp", "nbf"]}, "uniqueItems": true},`),
	Credential: &plugin.CredentialSpec{
		Schema: credentialSchema, Key: "key", Secrets: []string{"secret"},
		Check: checkCredential, New: newCredential,
	},
	Warn: warn,
	New:  newJWTAuth,
}

type config struct {
	auth.Config
	Header     string   `json:"header"`
	Query      string   `json:"query"`
	Cookie     string   `json:"cookie"`
	Claim      string   `json:"key_claim_name"`
	StoreInCtx bool     `json:"store_in_ctx"`
	Verify     []string `json:"claims_to_verify"`
}

func newJWTAuth(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	j := &jwtAuth{
		gate:   auth.NewGate(name, "Bearer", &c.Config, env),
		header: c.Header, query: c.Query, cookie: c.Cookie, hide: c.HideCredentials, claim: c.Claim,
		checks: []check{{claim: "nbf"}, {claim: "exp"}},
	}
	if len(c.Verify) > 0 { // only these, but they must be there
		j.checks = nil
		for _, claim := range c.Verify {
			j.checks = append(j.checks, check{claim, true})
		}
	}
	return j, nil
}

func warn(raw []byte) []string {
	var c config
	if json.Unmarshal(raw, &c) == nil && c.StoreInCtx {
		return []string{"store_in_ctx has no effect: there are no plugins in Lua that could read the token's payload"}
	}
	return nil
}
