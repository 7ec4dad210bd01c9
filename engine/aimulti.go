package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"headrace/conf/schema"
	"headrace/driver"
	"headrace/driver/wire"
	"headrace/lb"
	"headrace/plugin"
	"headrace/sse"
)

// multi is what ai-proxy-multi adds to a route: the choice between instances
// and what happens when one fails. It is immutable; what changes while it is in
// use, rotation and health, lives in routeBalance.
type multi struct {
	balancer *lb.Balancer // nil: one instance, or semantic
	balance  *routeBalance
	semantic *semantic // nil: another algorithm
	key      hashKey   // of chash; nil otherwise

	strategy   fallbackStrategy
	statuses   statusSet
	maxRetries int           // -1: no cap
	within     time.Duration // 0: no cap
	old        *oldForm      // the first release's configuration
}

// statusSet holds statuses from 400 to 599.
type statusSet [4]uint64

func (s *statusSet) add(code int) {
	if i := code - 400; i >= 0 && i < 200 {
		s[i>>6] |= 1 << (i & 63)
	}
}

func (s *statusSet) has(code int) bool {
	i := code - 400
	return i >= 0 && i < 200 && s[i>>6]&(1<<(i&63)) != 0
}

var aiMultiSpec = plugin.Spec{
	Name: aiProxyMultiName, Priority: 1041, Kind: plugin.Builtin,
	Schema: schema.MustCompile(aiProxyMultiName, aiMultiSchema),
	Secrets: []string{
		"instances.auth.header", "instances.auth.query", "instances.auth.gcp.service_account_json",
		"instances.auth.aws.secret_access_key", "instances.auth.aws.session_token",
		"semantic_opts.embeddings.auth.header", "semantic_opts.embeddings.auth.query",
		"providers.auth.header", "providers.auth.query",
	},
	Upgrade: upgradeMulti,
	Check: func(raw []byte) error {
		c := new(multiConfig)
		if err := json.Unmarshal(raw, c); err != nil {
			return err
		}
		return c.check()
	},
	Warn: multiWarnings,
	New:  newAIMulti,
}

func newAIMulti(raw []byte, env *plugin.Env) (any, error) {
	c := new(multiConfig)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	e := env.Owner.(*owned).e
	a := c.route()
	m := &multi{strategy: c.FallbackStrategy, maxRetries: -1, within: time.Duration(c.RetryWithin) * time.Millisecond, old: c.Old}
	a.multi = m
	if c.MaxRetries != nil {
		m.maxRetries = *c.MaxRetries
	}
	for _, code := range c.FallbackStatuses {
		m.statuses.add(code)
	}
	targets := make([]lb.Target, len(c.Instances))
	for i := range c.Instances {
		in := &c.Instances[i]
		in.cfg.Strict = e.opts.Strict
		compiled, err := driver.CompileInstance(in.Name, in.cfg, env.Resolve)
		if err != nil {
			return nil, fmt.Errorf("instance '%s': %w", in.Name, err)
		}
		inst := e.connect(compiled, &c.aiConfig, env.RouteID)
		inst.index = i
		a.instances = append(a.instances, inst)
		targets[i] = lb.Target{Name: in.Name, Weight: in.Weight, Priority: in.Priority}
	}
	if c.Old != nil {
		a.timeouts.Connect = time.Duration(c.Old.Connect) * time.Millisecond
	}
	if c.Balancer.Algorithm == "semantic" {
		opts, ins := c.semantic()
		var err error
		m.semantic, err = newSemantic(opts, ins, env.Resolve, e.wire, e.vectors, e.log.With("route_id", env.RouteID))
		return a, err
	}
	if len(targets) < 2 {
		return a, nil // never balanced, never checked, never retried (6.1)
	}
	algo := lb.RoundRobin
	if c.Balancer.Algorithm == "chash" {
		algo = lb.CHash
		m.key = newHashKey(&c.Balancer)
	}
	key := balanceKey(env.RouteID)
	if strings.HasPrefix(env.Source, "consumer") { // or a group of them: not what others of the route rotate through
		key += " " + env.Source
	}
	held, err := env.State(key, func() (any, error) { return newRouteBalance(e, env.RouteID), nil })
	if err != nil {
		return nil, err
	}
	m.balance = held.(*routeBalance)
	m.balancer = m.balance.configure(algo, targets, a.instances, c.Instances)
	return a, nil
}

// route makes the parts that both proxies share.
func (c *aiConfig) route() *aiRoute {
	d := time.Duration(c.Timeout) * time.Millisecond
	return &aiRoute{
		maxBody:   c.MaxReqBodySize,
		timeouts:  wire.Timeouts{Connect: d, Send: d, Read: d},
		limits:    sse.Limits{MaxDuration: time.Duration(c.MaxStreamDuration) * time.Millisecond, MaxBytes: c.MaxResponseBytes},
		summaries: c.Logging.Summaries,
		payloads:  c.Logging.Payloads,
		hideUsage: c.StreamUsage == "hide",
	}
}

// hashKey appends the key that consistent hashing places a request by; ok is
// false when the request has no value for it (ai-proxy.md 6.4).
type hashKey func(c *plugin.Ctx, dst []byte) (key []byte, ok bool)

func newHashKey(b *balancerConfig) hashKey {
	name := b.Key
	switch b.HashOn {
	case "header":
		name = "http_" + strings.ReplaceAll(strings.ToLower(b.Key), "-", "_")
	case "cookie":
		name = "cookie_" + b.Key
	case "consumer":
		name = "consumer_name"
	case "vars_combinations":
		return plugin.CompileCombination(b.Key).Key
	}
	v, _ := plugin.LookupVar(name)
	return hashKey(v)
}

// multiWarnings lists what is valid but will not do what its author meant.
func multiWarnings(raw []byte) (warnings []string) {
	config, _, err := plugin.Split(raw)
	if err != nil {
		return nil
	}
	var top struct{ Providers, Instances json.RawMessage }
	if json.Unmarshal(config, &top) == nil && top.Providers != nil && top.Instances != nil {
		warnings = append(warnings, "providers has no effect beside instances")
	}
	up, err := upgradeMulti(config)
	if err != nil {
		return warnings
	}
	c := new(multiConfig)
	if json.Unmarshal(up, c) != nil {
		return warnings
	}
	for i := range c.Instances {
		in := &c.Instances[i]
		ws, _ := in.cfg.Validate()
		for _, w := range ws {
			warnings = append(warnings, "instance '"+in.Name+"': "+w)
		}
		if in.Checks != nil && len(c.Instances) < 2 {
			warnings = append(warnings, "instance '"+in.Name+"': checks have no effect with a single instance")
		}
		warnings = append(warnings, checkWarnings(in)...)
	}
	return warnings
}
