// Package limitcount is the limit-count plugin: how many requests may pass in
// a window of time (gateway.md 8.1).
package limitcount

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/limit"
	"headrace/plugin/redis"
)

const name = "limit-count"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 1002,
	Schema: schema.MustCompile(name, strings.ReplaceAll(`{
  "type": "object",
  "properties": {
    "count": @NUMBER@,
    "time_window": @NUMBER@,
    "window_type": {"type": "string", "enum": ["fixed", "sliding"], "default": "fixed"},
    "rules": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "count": @NUMBER@,
          "time_window": @NUMBER@,
          "key": {"type": "string"},
          "header_prefix": {"type": "string", "description": "prefix for rate limit headers"}
        },
        "required": ["count", "time_window", "key"]
      }
    },
    "group": {"type": "string"},
    "key": {"type": "string", "default": "remote_addr"},
    "key_type": {"type": "string", "enum": ["var", "var_combination", "constant"], "default": "var"},
    "rejected_code": {"type": "integer", "minimum": 200, "maximum": 599, "default": 503},
    "rejected_msg": {"type": "string", "minLength": 1},
    "policy": {"type": "string", "enum": ["local", "redis", "redis-cluster", "redis-sentinel"], "default": "local"},
    "allow_degradation": {"type": "boolean", "default": false},
    "show_limit_quota_header": {"type": "boolean", "default": true},
    "sync_interval": {"type": "number", "default": -1}
  },
  "oneOf": [
    {"required": ["count", "time_window"]},
    {"required": ["rules"]}
  ],
  `+redis.Clauses("", true)+`
}`, "@NUMBER@", `{"oneOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string"}]}`)),
	Metadata: schema.MustCompile(name+" metadata", `{
  "type": "object",
  "properties": {
    "limit_header": {"type": "string", "default": "X-RateLimit-Limit"},
    "remaining_header": {"type": "string", "default": "X-RateLimit-Remaining"},
    "reset_header": {"type": "string", "default": "X-RateLimit-Reset"}
  }
}`),
	Secrets: redis.Secrets,
	Upgrade: refuseBoth,
	Check:   check,
	Warn:    warn,
	Group:   group,
	New:     newLimiter,
}

type config struct {
	redis.Config
	limit.Answers
	Count    *limit.Number `json:"count"`
	Window   *limit.Number `json:"time_window"`
	Type     string        `json:"window_type"`
	Rules    []ruleConfig  `json:"rules"`
	Group    string        `json:"group"`
	Key      string        `json:"key"`
	KeyType  string        `json:"key_type"`
	Headers  bool          `json:"show_limit_quota_header"`
	Interval float64       `json:"sync_interval"`
}

type ruleConfig struct {
	Count  limit.Number `json:"count"`
	Window limit.Number `json:"time_window"`
	Key    string       `json:"key"`
	Prefix string       `json:"header_prefix"`
}

func parse(raw []byte) (*config, error) {
	c := new(config)
	return c, json.Unmarshal(raw, c)
}

// noSync is sync_interval when every request is counted at once.
const noSync = -1

var errBoth = errors.New("count/time_window and rules cannot be specified at the same time")

// refuseBoth says in APISIX's words what the schema would say in its own.
func refuseBoth(raw []byte) ([]byte, error) {
	var top struct {
		Count  json.RawMessage `json:"count"`
		Window json.RawMessage `json:"time_window"`
		Rules  json.RawMessage `json:"rules"`
	}
	if json.Unmarshal(raw, &top) == nil && top.Count != nil && top.Window != nil && top.Rules != nil {
		return nil, errBoth
	}
	return raw, nil
}

func check(raw []byte) error {
	c, err := parse(raw)
	if err != nil {
		return err
	}
	if c.Rules != nil {
		switch {
		case c.Count != nil || c.Window != nil:
			return errBoth
		case c.Group != "":
			return errors.New("group and rules cannot be specified at the same time")
		}
	}
	if c.shared() && c.Interval != noSync {
		if c.Interval < 0.1 {
			return errors.New("sync_interval should not be smaller than 0.1")
		}
		if c.Window != nil {
			if w, ok := c.Window.Fixed(); ok && c.Interval >= float64(w) {
				return errors.New("sync_interval should be smaller than time_window")
			}
		}
	}
	seen := map[string]bool{}
	for _, r := range c.Rules {
		if seen[r.Key] {
			return fmt.Errorf("duplicate key '%s' in rules", r.Key)
		}
		seen[r.Key] = true
	}
	return nil
}

// shared says whether the counters are on a Redis.
func (c *config) shared() bool { return c.Policy != "local" }

func warn(raw []byte) (warnings []string) {
	raw, _, err := plugin.Split(raw)
	if err != nil {
		return nil
	}
	c, err := parse(raw)
	if err != nil {
		return nil
	}
	for i, r := range c.Rules {
		if !strings.Contains(r.Key, "$") {
			warnings = append(warnings, fmt.Sprintf("rule %d never applies: its key has no variable", i+1))
		}
	}
	return append(warnings, c.Config.Warn()...)
}

// group is plugin.Spec.Group.
func group(raw []byte) string {
	c, err := parse(raw)
	if err != nil {
		return ""
	}
	return c.Group
}

// metadata are the names of the headers.
type metadata struct {
	Limit     string `json:"limit_header"`
	Remaining string `json:"remaining_header"`
	Reset     string `json:"reset_header"`
}

func headerNames(env *plugin.Env) metadata {
	m := metadata{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
	if raw := env.Metadata(name); raw != nil {
		if err := json.Unmarshal(raw, &m); err != nil {
			env.Log.Error("limit-count goes without its metadata", "owner", env.Source, "err", err)
		}
	}
	return m
}

func newLimiter(raw []byte, env *plugin.Env) (any, error) {
	owner := limit.Owner(env, raw)
	resolved, broken := limit.Resolve(env, raw)
	if broken != nil {
		env.Log.Error("limit-count cannot count", "owner", env.Source, "err", broken)
		resolved = raw
	}
	c, err := parse(resolved)
	if err != nil {
		return nil, err
	}
	l := &limiter{answers: c.Answers, headers: c.Headers, owner: owner, broken: broken}
	l.answers.Prepare(env, "failed to limit count")
	if c.Group != "" {
		l.owner = c.Group
		owner = "group/" + c.Group
	}
	names := headerNames(env)
	if c.Rules == nil {
		l.rules = []rule{{
			key: limit.CompileKey(c.Key, c.KeyType), count: *c.Count, window: *c.Window,
			headers: limit.NewHeaders(names.Limit, names.Remaining, names.Reset, ""),
		}}
	}
	for i, r := range c.Rules {
		number := fmt.Sprint(i + 1)
		prefix := r.Prefix
		if prefix == "" {
			prefix = number
		}
		l.rules = append(l.rules, rule{
			name: number + ":", key: limit.CompileRuleKey(r.Key), count: r.Count, window: r.Window,
			headers: limit.NewHeaders(names.Limit, names.Remaining, names.Reset, prefix),
		})
	}
	if broken == nil {
		o := limit.Options{Plugin: name, Owner: owner, Redis: c.Config, Together: len(c.Rules) > 1}
		l.windows, err = limit.OpenWindows(env, o, c.Type == "sliding", time.Duration(max(c.Interval, 0)*float64(time.Second)))
	}
	return l, err
}
