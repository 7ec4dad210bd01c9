package driver

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Config is what one instance of ai-proxy or ai-proxy-multi says about its
// provider (ai-proxy.md sections 1.1 to 1.3), decoded from the plugin's JSON.
// Unknown keys are ignored as in APISIX; the schema has judged types and
// ranges before. CompileInstance keeps nothing of it.
type Config struct {
	Provider     string          `json:"provider"`
	ProviderConf *ProviderConf   `json:"provider_conf,omitempty"`
	Auth         Auth            `json:"auth"`
	Options      json.RawMessage `json:"options,omitempty"` // an object, copied into every body
	Override     *Override       `json:"override,omitempty"`
	Model        json.RawMessage `json:"model,omitempty"` // the older form of 1.6.2, else ignored

	// Strict leaves out what APISIX has no counterpart of: headrace.compat is
	// strict.
	Strict bool `json:"-"`
}

// ProviderConf locates the providers that have regions, and chooses where one
// has two ways to be spoken to.
type ProviderConf struct {
	ProjectID string `json:"project_id,omitempty"`
	Region    string `json:"region,omitempty"`
	API       string `json:"api,omitempty"` // ours: "native" or "openai"
}

// Auth holds the credentials, in clear or as references.
type Auth struct {
	Header Pairs    `json:"header,omitempty"`
	Query  Pairs    `json:"query,omitempty"`
	GCP    *GCPAuth `json:"gcp,omitempty"`
	AWS    *AWSAuth `json:"aws,omitempty"`
}

// GCPAuth is how tokens for Vertex AI are minted.
type GCPAuth struct {
	ServiceAccountJSON string `json:"service_account_json,omitempty"`
	MaxTTL             int64  `json:"max_ttl,omitempty"`
	ExpireEarlySecs    *int64 `json:"expire_early_secs,omitempty"`
}

// AWSAuth is a key pair for Bedrock.
type AWSAuth struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token,omitempty"`
}

// Override is the block of that name.
type Override struct {
	Endpoint    string                     `json:"endpoint,omitempty"`
	LLMOptions  *LLMOptions                `json:"llm_options,omitempty"`
	RequestBody map[string]json.RawMessage `json:"request_body,omitempty"`
	Force       bool                       `json:"request_body_force_override,omitempty"`
}

// LLMOptions are options that each provider spells its own way.
type LLMOptions struct {
	MaxTokens int64 `json:"max_tokens,omitempty"` // 0: not set
}

// Pair is one named string.
type Pair struct{ Name, Value string }

// Pairs is a JSON object of strings in the order of the document, which is the
// order on the wire.
type Pairs []Pair

// UnmarshalJSON reads an object of strings; of equal keys the last one stands.
func (ps *Pairs) UnmarshalJSON(raw []byte) error {
	*ps = nil
	if KindOf(raw) == Null {
		return nil
	}
	if KindOf(raw) != Object {
		return fmt.Errorf("wrong type: expected object")
	}
	for m := membersOf(raw); m.next(); {
		name := string(appendUnescaped(nil, m.key))
		if KindOf(m.val) != String {
			return fmt.Errorf("property %q: wrong type: expected string", name)
		}
		value := string(appendUnescaped(nil, m.val[1:len(m.val)-1]))
		if i := ps.index(name); i >= 0 {
			(*ps)[i].Value = value
			continue
		}
		*ps = append(*ps, Pair{name, value})
	}
	return nil
}

// MarshalJSON is the reverse of UnmarshalJSON.
func (ps Pairs) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, p := range ps {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(AppendString(out, []byte(p.Name)), ':')
		out = AppendString(out, []byte(p.Value))
	}
	return append(out, '}'), nil
}

func (ps Pairs) all(yield func(name, value string) bool) {
	for _, p := range ps {
		if !yield(p.Name, p.Value) {
			return
		}
	}
}

func (ps Pairs) index(name string) int {
	for i := range ps {
		if ps[i].Name == name {
			return i
		}
	}
	return -1
}

// UnsupportedProvider names a provider that nobody has; the text is APISIX's,
// its full stop included.
type UnsupportedProvider string

// Error implements error.
func (p UnsupportedProvider) Error() string { return "provider: " + string(p) + " is not supported." }

// Translate returns cfg in today's form: a document without provider but with
// a model object is ai-proxy's older form (1.6.2). cfg itself stays as the
// user wrote it.
func (cfg *Config) Translate() (*Config, error) {
	if cfg.Provider != "" || KindOf(cfg.Model) != Object {
		return cfg, nil
	}
	var old struct {
		Provider string          `json:"provider"`
		Name     json.RawMessage `json:"name"`
		Options  json.RawMessage `json:"options"`
	}
	if err := json.Unmarshal(cfg.Model, &old); err != nil {
		return nil, fmt.Errorf("cannot read the older form of model: %w", err)
	}
	if !Known(old.Provider) {
		return nil, UnsupportedProvider(old.Provider)
	}
	options := []byte(old.Options)
	if KindOf(options) != Object {
		options = []byte("{}")
	}
	var b Body
	if err := b.Load(options); err != nil {
		return nil, err
	}
	if !has(&b, "model") && len(old.Name) > 0 && KindOf(old.Name) != Null {
		b.Set("model", old.Name)
	}
	now := *cfg
	now.Provider, now.Model, now.Options = old.Provider, nil, b.AppendTo(nil)
	return &now, nil
}

// Validate makes the checks that follow the schema, in the order and with the
// texts of ai-proxy.md section 1.5 (rows 3 to 7, without the prefix that the
// multi plugin gives rows 6 and 7) and 1.6.2. Values that are references are
// not looked at. warnings name what will fail later.
func (cfg *Config) Validate() (warnings []string, err error) {
	if cfg, err = cfg.Translate(); err != nil {
		return nil, err
	}
	endpoint := cfg.endpoint()
	if endpoint != "" && !IsReference(endpoint) {
		if _, err := parseEndpoint(endpoint); err != nil {
			return nil, err
		}
	}
	row := providerNamed(cfg.Provider)
	if row == nil {
		return nil, fmt.Errorf("ai %w", UnsupportedProvider(cfg.Provider))
	}
	if g := cfg.Auth.GCP; g != nil && g.ServiceAccountJSON != "" && !IsReference(g.ServiceAccountJSON) {
		var b Body
		if err := b.Load([]byte(g.ServiceAccountJSON)); err != nil {
			return nil, fmt.Errorf("invalid gcp service_account_json: %w", err)
		}
	}
	pc := cfg.ProviderConf
	if pc != nil && pc.API == apiNative && !row.twoAPIs() {
		warnings = append(warnings, "provider_conf.api has no effect: provider "+row.name+" has one API only")
	}
	switch cfg.Provider {
	case "vertex-ai":
		if (pc == nil || pc.ProjectID == "" || pc.Region == "") && endpoint == "" {
			return nil, fmt.Errorf("vertex-ai requires either provider_conf (project_id + region) or override.endpoint")
		}
	case "bedrock":
		if pc == nil || pc.Region == "" {
			return nil, fmt.Errorf("bedrock requires provider_conf.region")
		}
		if cfg.Auth.AWS == nil {
			return nil, fmt.Errorf("bedrock requires auth.aws")
		}
	}
	if row.host == "" && endpoint == "" {
		warnings = append(warnings, fmt.Sprintf("provider %s has no default host: requests will fail without override.endpoint", row.name))
	}
	for _, p := range cfg.Auth.Header {
		if name := strings.ToLower(p.Name); fixedHeader([]byte(name)) {
			warnings = append(warnings, fmt.Sprintf("auth.header.%s has no effect: the gateway sets or removes this header itself", p.Name))
		}
	}
	return warnings, nil
}

func (cfg *Config) endpoint() string {
	if cfg.Override == nil {
		return ""
	}
	return cfg.Override.Endpoint
}
