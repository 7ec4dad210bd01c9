package engine

import (
	"encoding/json"
	"fmt"
	"strings"

	"headrace/driver"
)

// multiConfig is ai-proxy-multi in today's form (ai-proxy.md 1.3).
type multiConfig struct {
	aiConfig
	Balancer         balancerConfig   `json:"balancer"`
	FallbackStrategy fallbackStrategy `json:"fallback_strategy"`
	FallbackStatuses []int            `json:"fallback_http_statuses"`
	MaxRetries       *int             `json:"max_retries"`
	RetryWithin      int64            `json:"retry_on_failure_within_ms"`
	SemanticOpts     *semanticConfig  `json:"semantic_opts"`
	Instances        []multiInstance  `json:"instances"`
	Old              *oldForm         `json:"_old"`
}

type balancerConfig struct {
	Algorithm string `json:"algorithm"`
	HashOn    string `json:"hash_on"`
	Key       string `json:"key"`
}

// multiInstance is one instance; what it says about its provider is decoded by
// driver.ParseConfig from raw.
type multiInstance struct {
	Name      string          `json:"name"`
	Weight    int             `json:"weight"`
	Priority  int             `json:"priority"`
	Checks    json.RawMessage `json:"checks"`
	Examples  []string        `json:"examples"`
	Threshold *float64        `json:"threshold"`

	cfg *driver.Config
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *multiInstance) UnmarshalJSON(raw []byte) error {
	type plain multiInstance
	if err := json.Unmarshal(raw, (*plain)(m)); err != nil {
		return err
	}
	var err error
	m.cfg, err = driver.ParseConfig(raw)
	return err
}

// fallbackStrategy is fallback_strategy, a name or a list of names.
type fallbackStrategy struct{ rateLimiting, http429, http5xx, set bool }

// UnmarshalJSON implements json.Unmarshaler.
func (s *fallbackStrategy) UnmarshalJSON(raw []byte) error {
	var names []string
	if len(raw) > 0 && raw[0] == '"' {
		names = make([]string, 1)
		if err := json.Unmarshal(raw, &names[0]); err != nil {
			return err
		}
	} else if err := json.Unmarshal(raw, &names); err != nil {
		return err
	}
	for _, name := range names {
		s.set = true
		switch name {
		case "http_429":
			s.http429 = true
		case "http_5xx":
			s.http5xx = true
		case "rate_limiting", "instance_health_and_rate_limiting":
			s.rateLimiting = true
		}
	}
	return nil
}

// oldForm is what the first release of ai-proxy-multi meant differently
// (ai-proxy.md 1.6.1). It only exists between Upgrade and New.
type oldForm struct {
	Connect     int64 `json:"connect"` // ms
	Passthrough bool  `json:"passthrough"`
}

// upgradeMulti translates the first release's providers into instances.
func upgradeMulti(raw []byte) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return raw, nil // the schema says it better
	}
	delete(top, "_old") // ours alone
	if top["providers"] == nil || top["instances"] != nil {
		delete(top, "providers")
		return json.Marshal(top)
	}
	var list []struct {
		Name     string          `json:"name"`
		Model    json.RawMessage `json:"model"`
		Weight   json.RawMessage `json:"weight"`
		Priority json.RawMessage `json:"priority"`
		Auth     json.RawMessage `json:"auth"`
		Options  json.RawMessage `json:"options"`
		Override json.RawMessage `json:"override"`
	}
	if err := json.Unmarshal(top["providers"], &list); err != nil {
		return nil, fmt.Errorf(`property "providers" validation failed: %s`, typeFault(err))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf(`property "providers" validation failed: expect array to have at least 1 items`)
	}
	uses := map[string]bool{}
	instances := make([]map[string]json.RawMessage, 0, len(list))
	for i, p := range list {
		for _, need := range []struct {
			name  string
			there bool
		}{{"name", p.Name != ""}, {"model", p.Model != nil}, {"auth", p.Auth != nil}} {
			if !need.there {
				return nil, fmt.Errorf(`property "providers" validation failed: failed to validate item %d: property %q is required`, i+1, need.name)
			}
		}
		if !driver.Known(p.Name) {
			return nil, driver.UnsupportedProvider(p.Name)
		}
		name := p.Name
		if uses[name] {
			name = fmt.Sprintf("%s#%d", p.Name, i+1)
		}
		uses[p.Name] = true
		options, err := oldOptions(p.Options, p.Model)
		if err != nil {
			return nil, err
		}
		in := map[string]json.RawMessage{
			"name": quoted(name), "provider": quoted(p.Name), "auth": p.Auth, "options": options, "weight": p.Weight,
		}
		if p.Weight == nil {
			in["weight"] = json.RawMessage("1")
		}
		if p.Priority != nil {
			in["priority"] = p.Priority
		}
		if p.Override != nil {
			in["override"] = p.Override
		}
		instances = append(instances, in)
	}
	old := oldForm{Connect: 3000}
	if err := oldTimeouts(top, &old); err != nil {
		return nil, err
	}
	delete(top, "providers")
	delete(top, "passthrough")
	top["instances"], top["_old"] = mustMarshal(instances), mustMarshal(old)
	return json.Marshal(top)
}

// oldOptions are the options of one old provider: the model is added unless
// they name one, and costs, which are no model options, are left out.
func oldOptions(raw, model json.RawMessage) (json.RawMessage, error) {
	options := map[string]json.RawMessage{}
	if raw != nil {
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fmt.Errorf(`property "options" validation failed: %s`, typeFault(err))
		}
	}
	delete(options, "input_cost")
	delete(options, "output_cost")
	if options["model"] == nil {
		options["model"] = model
	}
	return mustMarshal(options), nil
}

// oldTimeouts splits the one old timeout, which covered connecting only, from
// the time that reads and writes had, keepalive_timeout.
func oldTimeouts(top map[string]json.RawMessage, old *oldForm) error {
	if raw := top["timeout"]; raw != nil {
		if err := json.Unmarshal(raw, &old.Connect); err != nil {
			return fmt.Errorf(`property "timeout" validation failed: wrong type: expected integer`)
		}
		if old.Connect < 1 || old.Connect > 60000 {
			bound := "at least 1"
			if old.Connect > 60000 {
				bound = "at most 60000"
			}
			return fmt.Errorf(`property "timeout" validation failed: expected %d to be %s`, old.Connect, bound)
		}
	}
	read := int64(60000)
	if raw := top["keepalive_timeout"]; raw != nil {
		if json.Unmarshal(raw, &read) != nil {
			return nil // the schema says it
		}
	}
	top["timeout"] = mustMarshal(min(max(read, old.Connect), 600000))
	if raw := top["passthrough"]; raw != nil {
		if json.Unmarshal(raw, &old.Passthrough) != nil {
			return fmt.Errorf(`property "passthrough" validation failed: wrong type: expected boolean`)
		}
	}
	return nil
}

func typeFault(err error) string {
	if te, ok := err.(*json.UnmarshalTypeError); ok && te.Value != "" {
		return "wrong type: got " + te.Value
	}
	return "wrong type"
}

func quoted(s string) json.RawMessage { return driver.AppendString(nil, []byte(s)) }

func mustMarshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// check makes the tests that follow the schema, in the order of ai-proxy.md
// 1.5; the texts are APISIX's.
func (c *multiConfig) check() error {
	first := map[string]int{}
	for i := range c.Instances {
		in := &c.Instances[i]
		if at, ok := first[in.Name]; ok {
			return fmt.Errorf("duplicate instance name '%s' at instances[%d] and instances[%d]", in.Name, at, i+1)
		}
		first[in.Name] = i + 1
		if _, err := in.cfg.Validate(); err != nil {
			if text := err.Error(); strings.HasPrefix(text, "vertex-ai requires") || strings.HasPrefix(text, "bedrock requires") {
				return fmt.Errorf("instance '%s': %s", in.Name, text)
			}
			return err
		}
		if _, err := driver.CompileInstance(in.Name, in.cfg, unresolved); err != nil {
			return fmt.Errorf("instance '%s': %w", in.Name, err)
		}
	}
	if err := c.Balancer.check(); err != nil {
		return err
	}
	if c.Balancer.Algorithm != "semantic" {
		return nil
	}
	opts, ins := c.semantic()
	return checkSemantic(opts, ins)
}

// semantic returns what semantic routing needs of the configuration.
func (c *multiConfig) semantic() (*semanticConfig, []semanticInstance) {
	ins := make([]semanticInstance, len(c.Instances))
	for i := range c.Instances {
		in := &c.Instances[i]
		ins[i] = semanticInstance{in.Name, in.Examples, in.Threshold}
	}
	return c.SemanticOpts, ins
}

// check is rows 8 to 10 of ai-proxy.md 1.5.
func (b *balancerConfig) check() error {
	if b.Algorithm != "chash" || b.HashOn == "consumer" {
		return nil
	}
	if b.Key == "" {
		return fmt.Errorf("must configure `hash_key` when balancer `hash_on` is not set to cookie")
	}
	pattern := `^[a-zA-Z0-9-_]+$`
	ok := true
	switch b.HashOn {
	case "vars":
		pattern = `^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$`
		ok = hashVar(b.Key)
	case "header", "cookie":
		ok = strings.IndexFunc(b.Key, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
		}) < 0
	}
	if !ok {
		return fmt.Errorf("invalid configuration: failed to match pattern %q with %q", pattern, b.Key)
	}
	return nil
}

func hashVar(key string) bool {
	switch key {
	case "uri", "server_name", "server_addr", "request_uri", "remote_port", "remote_addr", "query_string", "host", "hostname", "mqtt_client_id":
		return true
	}
	name, ok := strings.CutPrefix(key, "arg_")
	return ok && name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'z') // "A-z" as APISIX writes it
	}) < 0
}
