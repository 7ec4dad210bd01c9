// Package iprestriction is the ip-restriction plugin: it lets in or keeps out
// by the client's address (gateway.md 8.4).
package iprestriction

import (
	"encoding/json"

	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "ip-restriction"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 3000,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "message": {"type": "string", "minLength": 1, "maxLength": 1024, "default": "Your IP address is not allowed"},
    "response_code": {"type": "integer", "minimum": 403, "maximum": 404, "default": 403},
    "whitelist": `+plugin.NetsSchema+`,
    "blacklist": `+plugin.NetsSchema+`
  },
  "oneOf": [
    {"required": ["whitelist"]},
    {"required": ["blacklist"]}
  ]
}`),
	Check: check,
	New:   newRestriction,
}

type config struct {
	Message   string   `json:"message"`
	Code      int      `json:"response_code"`
	Whitelist []string `json:"whitelist"`
	Blacklist []string `json:"blacklist"`
}

func check(raw []byte) error {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if err := plugin.CheckNets(c.Whitelist); err != nil {
		return err
	}
	return plugin.CheckNets(c.Blacklist)
}

func newRestriction(raw []byte, _ *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	r := &restriction{status: c.Code, body: plugin.Message(c.Message), allow: c.Whitelist != nil}
	list := c.Blacklist
	if r.allow {
		list = c.Whitelist
	}
	var err error
	r.nets, err = plugin.ParseNets(list)
	return r, err
}
