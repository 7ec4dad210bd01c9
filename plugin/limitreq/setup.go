// Package limitreq is the limit-req plugin: how fast requests may follow each
// other, by a leaky bucket (gateway.md 8.3).
package limitreq

import (
	"encoding/json"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/limit"
	"headrace/plugin/redis"
)

const name = "limit-req"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 1001,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "rate": {"type": "number", "exclusiveMinimum": 0},
    "burst": {"type": "number", "minimum": 0},
    "key": {"type": "string"},
    "key_type": {"type": "string", "enum": ["var", "var_combination"], "default": "var"},
    "policy": {"type": "string", "enum": ["redis", "redis-cluster", "local"], "default": "local"},
    "rejected_code": {"type": "integer", "minimum": 200, "maximum": 599, "default": 503},
    "rejected_msg": {"type": "string", "minLength": 1},
    "nodelay": {"type": "boolean", "default": false},
    "allow_degradation": {"type": "boolean", "default": false}
  },
  "required": ["rate", "burst", "key"],
  `+redis.Clauses("", false)+`
}`),
	Secrets: redis.Secrets,
	New:     newPacer,
}

type config struct {
	redis.Config
	limit.Answers
	Rate    float64 `json:"rate"`
	Burst   float64 `json:"burst"`
	Key     string  `json:"key"`
	KeyType string  `json:"key_type"`
	NoDelay bool    `json:"nodelay"`
}

func newPacer(raw []byte, env *plugin.Env) (any, error) {
	owner := limit.Owner(env, raw)
	resolved, broken := limit.Resolve(env, raw)
	if broken != nil {
		env.Log.Error("limit-req cannot count", "owner", env.Source, "err", broken)
		resolved = raw
	}
	c := new(config)
	if err := json.Unmarshal(resolved, c); err != nil {
		return nil, err
	}
	p := &pacer{
		answers: c.Answers, key: limit.CompileKey(c.Key, c.KeyType),
		rate: c.Rate, burst: c.Burst, delays: !c.NoDelay, broken: broken,
	}
	p.answers.Prepare(env, "")
	var err error
	if broken == nil {
		p.buckets, err = limit.OpenBuckets(env, limit.Options{Plugin: name, Owner: owner, Redis: c.Config})
	}
	return p, err
}
