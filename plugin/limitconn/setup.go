// Package limitconn is the limit-conn plugin: how many requests may be under
// way at a time (gateway.md 8.3).
package limitconn

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/limit"
	"headrace/plugin/redis"
)

const name = "limit-conn"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 1003,
	Schema: schema.MustCompile(name, strings.NewReplacer(
		"@CONN@", `{"oneOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string"}]}`,
		"@BURST@", `{"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}`,
	).Replace(`{
  "type": "object",
  "properties": {
    "conn": @CONN@,
    "burst": @BURST@,
    "default_conn_delay": {"type": "number", "exclusiveMinimum": 0},
    "only_use_default_delay": {"type": "boolean", "default": false},
    "key": {"type": "string"},
    "key_type": {"type": "string", "enum": ["var", "var_combination"], "default": "var"},
    "policy": {"type": "string", "enum": ["redis", "redis-cluster", "local"], "default": "local"},
    "rejected_code": {"type": "integer", "minimum": 200, "maximum": 599, "default": 503},
    "rejected_msg": {"type": "string", "minLength": 1},
    "allow_degradation": {"type": "boolean", "default": false},
    "rules": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {"conn": @CONN@, "burst": @BURST@, "key": {"type": "string"}},
        "required": ["conn", "burst", "key"]
      }
    }
  },
  "oneOf": [
    {"required": ["conn", "burst", "default_conn_delay", "key"]},
    {"required": ["default_conn_delay", "rules"]}
  ],
  `+redis.Clauses(`"key_ttl": {"type": "integer", "minimum": 1, "default": 3600},`, false)+`
}`)),
	Secrets: redis.Secrets,
	Warn:    warn,
	New:     newBouncer,
}

type config struct {
	redis.Config
	limit.Answers
	Conn    limit.Number `json:"conn"`
	Burst   limit.Number `json:"burst"`
	Delay   float64      `json:"default_conn_delay"`
	Key     string       `json:"key"`
	KeyType string       `json:"key_type"`
	Rules   []ruleConfig `json:"rules"`
	TTL     int64        `json:"key_ttl"`
}

type ruleConfig struct {
	Conn  limit.Number `json:"conn"`
	Burst limit.Number `json:"burst"`
	Key   string       `json:"key"`
}

func warn(raw []byte) (warnings []string) {
	var c config
	if json.Unmarshal(raw, &c) != nil {
		return nil
	}
	for i, r := range c.Rules {
		if !strings.Contains(r.Key, "$") {
			warnings = append(warnings, fmt.Sprintf("rule %d never applies: its key has no variable", i+1))
		}
	}
	return warnings
}

func newBouncer(raw []byte, env *plugin.Env) (any, error) {
	owner := limit.Owner(env, raw)
	resolved, broken := limit.Resolve(env, raw)
	if broken != nil {
		env.Log.Error("limit-conn cannot count", "owner", env.Source, "err", broken)
		resolved = raw
	}
	c := new(config)
	if err := json.Unmarshal(resolved, c); err != nil {
		return nil, err
	}
	b := &bouncer{answers: c.Answers, delay: plugin.Seconds(c.Delay), broken: broken}
	b.answers.Prepare(env, "")
	if c.Rules == nil {
		b.rules = []rule{{key: limit.CompileKey(c.Key, c.KeyType), conn: c.Conn, burst: c.Burst}}
	}
	for i, r := range c.Rules {
		b.rules = append(b.rules, rule{name: fmt.Sprint(i+1, ":"), key: limit.CompileRuleKey(r.Key), conn: r.Conn, burst: r.Burst})
	}
	var err error
	if broken == nil {
		o := limit.Options{Plugin: name, Owner: owner, Redis: c.Config, Together: len(c.Rules) > 1}
		b.slots, err = limit.OpenSlots(env, o, plugin.Seconds(float64(c.TTL)))
	}
	return b, err
}

// delayOf is how long a request waits that is the n-th under way where conn
// may be: the longer the more there are.
func (b *bouncer) delayOf(n, conn int64) time.Duration {
	if n <= conn {
		return 0
	}
	return plugin.Seconds(b.delay.Seconds() * float64((n-1)/conn))
}
