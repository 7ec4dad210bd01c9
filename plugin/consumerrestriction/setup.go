// Package consumerrestriction is the consumer-restriction plugin: it lets in
// or keeps out by who the caller is, or by route or service (gateway.md 5.3).
package consumerrestriction

import (
	"encoding/json"
	"errors"

	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "consumer-restriction"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 2400,
	// The maximum of rejected_code is ours: what is more is no status.
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "type": {"type": "string", "enum": ["consumer_name", "service_id", "route_id", "consumer_group_id"], "default": "consumer_name"},
    "blacklist": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "whitelist": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "allowed_by_methods": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "user": {"type": "string"},
          "methods": {
            "type": "array", "minItems": 1,
            "items": {
              "description": "HTTP method", "type": "string",
              "enum": ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"]
            }
          }
        }
      }
    },
    "rejected_code": {"type": "integer", "minimum": 200, "maximum": 599, "default": 403},
    "rejected_msg": {"type": "string"}
  },
  "anyOf": [
    {"required": ["blacklist"]},
    {"required": ["whitelist"]},
    {"required": ["allowed_by_methods"]}
  ]
}`),
	New: newRestriction,
}

type config struct {
	Type      string   `json:"type"`
	Blacklist []string `json:"blacklist"`
	Whitelist []string `json:"whitelist"`
	Methods   []struct {
		User    *string  `json:"user"`
		Methods []string `json:"methods"`
	} `json:"allowed_by_methods"`
	Code int     `json:"rejected_code"`
	Msg  *string `json:"rejected_msg"`
}

func newRestriction(raw []byte, _ *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if subjects[c.Type] == nil { // a reference to something else
		return nil, errors.New("unknown type")
	}
	r := &restriction{
		subject: subjects[c.Type], black: setOf(c.Blacklist), white: setOf(c.Whitelist), status: c.Code,
		unknown: plugin.Message("The request is rejected, please check the " + c.Type + " for this request"),
	}
	text := "The " + c.Type + " is forbidden."
	if c.Msg != nil {
		text = *c.Msg
	}
	r.forbidden = plugin.Message(text)
	for _, m := range c.Methods {
		if m.User == nil {
			continue // speaks of nobody
		}
		if r.methods == nil {
			r.methods = map[string]map[string]bool{}
		}
		if r.methods[*m.User] == nil { // the first of several counts
			r.methods[*m.User] = setOf(m.Methods)
		}
	}
	return r, nil
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}
