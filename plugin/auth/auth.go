// Package auth is what the plugins that recognise a caller share: the members
// that all their configurations have, the answer for callers whom nobody
// knows, and the anonymous consumer (gateway.md 5.1).
package auth

import (
	"context"
	"log/slog"

	"headrace/conf/schema"
	"headrace/plugin"
)

// Config has the common members of a route's side.
type Config struct {
	HideCredentials bool   `json:"hide_credentials"`
	Realm           string `json:"realm"`
	Anonymous       string `json:"anonymous_consumer"`
}

// Schema compiles the schema of a route's side. properties are the plugin's
// own, each with a comma behind it; realm is the default of that name.
func Schema(name, realm, properties string) *schema.Schema {
	return schema.MustCompile(name, `{
  "type": "object",
  "title": "work with route or service object",
  "properties": {`+properties+`
    "hide_credentials": {"type": "boolean", "default": false},
    "realm": {"type": "string", "pattern": "^[ -!#-[\\]-~]+$", "default": "`+realm+`", "minLength": 1, "maxLength": 128},
    "anonymous_consumer": {"type": "string", "minLength": 1}
  }
}`)
}

// Gate lets callers in, on behalf of one plugin on one route. It is immutable.
type Gate struct {
	plugin    string
	challenge string
	anonymous string
	log       *slog.Logger
	owner     string
}

// NewGate makes the gate of a plugin; scheme is what its challenges begin with.
func NewGate(name, scheme string, c *Config, env *plugin.Env) *Gate {
	return &Gate{
		plugin: name, challenge: scheme + ` realm="` + c.Realm + `"`,
		anonymous: c.Anonymous, log: env.Log, owner: env.RouteID,
	}
}

var invalidUser = plugin.Message("Invalid user authorization")

// Pass makes who the request's consumer. If who is nil the anonymous consumer
// takes the place; without one the request ends with 401 and the body refusal.
func (g *Gate) Pass(c *plugin.Ctx, who *plugin.Consumer, refusal []byte) plugin.Verdict {
	if who == nil && g.anonymous != "" {
		if who = c.Directory.ByName(g.anonymous); who == nil {
			g.log.Error("failed to get anonymous consumer", "plugin", g.plugin, "owner", g.owner, "consumer", g.anonymous)
			refusal = invalidUser
		}
	}
	if who == nil {
		c.HTTP.Response.Header.Set("WWW-Authenticate", g.challenge)
		return c.Reply(401, plugin.JSON, refusal)
	}
	c.Identify(who)
	return 0
}

// Explain logs why a caller was not recognised, where the answer does not say
// it. reason is a fixed text: nothing of a credential.
func (g *Gate) Explain(reason string) {
	if g.log.Enabled(context.Background(), slog.LevelInfo) {
		g.log.Info("a caller was not recognised", "plugin", g.plugin, "owner", g.owner, "reason", reason)
	}
}
