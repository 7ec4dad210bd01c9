// Package realip is the real-ip plugin: it takes the client's address out of a
// request, for the plugins that come later (gateway.md 8.11).
package realip

import (
	"encoding/json"
	"log/slog"

	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "real-ip"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 23000,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "trusted_addresses": `+plugin.NetsSchema+`,
    "source": {"type": "string", "minLength": 1},
    "recursive": {"type": "boolean", "default": false}
  },
  "required": ["source"]
}`),
	Check: check,
	New:   newRealIP,
}

type config struct {
	Trusted   []string `json:"trusted_addresses"`
	Source    string   `json:"source"`
	Recursive bool     `json:"recursive"`
}

func check(raw []byte) error {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	return plugin.CheckNets(c.Trusted)
}

func newRealIP(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	r := &realIP{recursive: c.Recursive, log: env.Log.With(slog.String("owner", env.RouteID))}
	if c.Source != "http_x_forwarded_for" {
		r.source, _ = plugin.LookupVar(c.Source)
	}
	if c.Trusted == nil {
		return r, nil
	}
	var err error
	r.trusted, err = plugin.ParseNets(c.Trusted)
	return r, err
}
