package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Errors of a request that cannot be sent to an instance.
var (
	// ErrNoPath is a 400; its text is the error_msg of ai-proxy.md section 2.8.
	ErrNoPath = errors.New("could not resolve upstream path: ensure the route or request body specifies a model, or that override.endpoint includes a path")
	// ErrNoHost is a transport error, 500: the provider has no default host
	// and the configuration has no endpoint.
	ErrNoHost = errors.New("no upstream host: the provider needs override.endpoint")
)

// Instance is one configured provider, compiled. It is immutable and may be
// used by any number of requests at once.
type Instance struct {
	// Name is the instance's name; Provider the provider's.
	Name, Provider string
	// Broken says why no request can be sent, for example because a secret
	// cannot be resolved. It names the field and the reference, never a value.
	// Check it before any method.
	Broken error
	// Warnings are for the log at load.
	Warnings []string

	row      *provider
	paths    [protoCount]string // the row's, for this project and region; {model} stays
	native   bool               // OpenAI's layer of the provider is not used
	strict   bool               // no conversions but APISIX's
	noHost   bool               // the host is of the provider's own protocols, not of passthrough
	gcp      *GCP
	aws      *AWS
	ep       endpoint
	edits    []edit             // options, sorted by key
	limits   [protoCount][]edit // llm_options
	patches  [protoCount]*MergePatch
	model    []byte // text of options.model
	hasModel bool
	query    query
	refusals [protoCount]string

	converters [protoCount]Converter // by the client's protocol

	host      []byte   // "host: ...\r\n"
	tail      []byte   // auth.header, content-type, and content-length up to its value
	openAI    []byte   // the same without what only Anthropic's API reads
	apiKey    []byte   // x-api-key of auth.header
	anthropic []byte   // tail without what only OpenAI's API reads, with the key of a bearer token
	keyed     bool     // there are credentials of the instance's own
	authNames []string // of auth.header, lower case
	headers   Pairs    // auth.header, resolved
	args      Pairs    // auth.query, resolved
	starts    [protoCount][]byte
	ends      [protoCount][]byte // what follows the model, where the path has it
}

// edit is a prepared change of one top-level member, or a patch; a nil raw
// deletes it.
type edit struct {
	key   string
	raw   []byte
	patch *MergePatch
}

// CompileInstance prepares cfg. resolve turns a reference into its secret; it
// is called for whole strings only, during this call, and may be nil where no
// references are allowed. An error means that the configuration is wrong
// whatever the secrets are; a secret that is missing or unusable makes an
// instance that is Broken.
func CompileInstance(name string, cfg *Config, resolve func(string) (string, error)) (*Instance, error) {
	warnings, err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.Translate(); err != nil {
		return nil, err
	}
	row := providerNamed(cfg.Provider)
	in := &Instance{Name: name, Provider: row.name, Warnings: warnings, row: row, paths: row.paths, ep: endpoint{host: row.host}}
	r := &resolver{resolve: resolve}
	in.strict = cfg.Strict
	in.native = cfg.ProviderConf != nil && cfg.ProviderConf.API == apiNative && row.twoAPIs() && !in.strict
	if err := in.compileLocation(cfg.ProviderConf, r); err != nil {
		return nil, err
	}
	if err := in.compileEndpoint(cfg.endpoint(), r); err != nil {
		return nil, err
	}
	if err := in.compileBody(cfg, r); err != nil {
		return nil, err
	}
	if err := in.compileHead(&cfg.Auth, r); err != nil {
		return nil, err
	}
	if err := in.compileAWS(cfg, r); err != nil {
		return nil, err
	}
	in.compileRefusals()
	in.Broken = r.broken
	return in, nil
}

func (in *Instance) compileEndpoint(s string, r *resolver) error {
	if s == "" {
		return nil
	}
	value, secret := r.str("override.endpoint", s)
	if secret && r.broken != nil {
		return nil
	}
	ep, err := parseEndpoint(value)
	if err != nil && secret {
		r.fail("override.endpoint", s, err)
		return nil
	}
	in.ep, in.noHost = ep, false
	return err
}

func (in *Instance) compileBody(cfg *Config, r *resolver) error {
	if len(cfg.Options) > 0 && KindOf(cfg.Options) != Null {
		text, err := AppendSorted(nil, r.raw("options", cfg.Options))
		if err != nil {
			return fmt.Errorf("cannot read options: %w", err)
		}
		if KindOf(text) != Object {
			return fmt.Errorf("cannot read options: not an object")
		}
		for m := membersOf(text); m.next(); {
			e := edit{key: string(appendUnescaped(nil, m.key)), raw: m.val}
			if in.row.aws && e.key == "stream" {
				continue
			}
			in.edits = append(in.edits, e)
			switch e.key {
			case "model":
				in.model, in.hasModel = scalarText(m.val), true
			case "max_tokens":
				if in.row.maxTokens[OpenAIChat].remove == "" {
					break
				}
				in.Warnings = append(in.Warnings, "options.max_tokens is sent next to the max_completion_tokens of converted Anthropic requests: override.llm_options.max_tokens sets only that")
			}
		}
	}
	if cfg.Override == nil {
		return nil
	}
	if o := cfg.Override.LLMOptions; o != nil && o.MaxTokens > 0 {
		raw := strconv.AppendInt(nil, o.MaxTokens, 10)
		for p, m := range in.row.maxTokens {
			e := edit{key: m.set, raw: raw}
			if outer, inner, nested := strings.Cut(m.set, "."); nested {
				patch, err := CompilePatch(fmt.Appendf(nil, `{%q:{%q:%s}}`, outer, inner, raw), true)
				if err != nil {
					return fmt.Errorf("cannot set %s: %w", m.set, err)
				}
				e.patch = patch
			}
			if m.set != "" {
				in.limits[p] = append(in.limits[p], e)
			}
			if m.remove != "" {
				in.limits[p] = append(in.limits[p], edit{key: m.remove})
			}
		}
	}
	for name, raw := range cfg.Override.RequestBody {
		p := ParseProto(name)
		if p == Unknown || p == VertexPredict {
			return fmt.Errorf("override.request_body: unknown protocol %q", name)
		}
		field := "override.request_body." + name
		patch, err := CompilePatch(r.raw(field, raw), cfg.Override.Force)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		in.patches[p] = patch
	}
	return nil
}

func (in *Instance) compileRefusals() {
	// The list is sorted; APISIX's order is that of a hash table.
	var names []string
	for _, p := range [...]Proto{AnthropicMessages, BedrockConverse, OpenAIChat, OpenAIEmbeddings, OpenAIResponses, VertexPredict} {
		if in.speaks(p) {
			names = append(names, p.String())
		}
	}
	list := strings.Join(names, ", ")
	for p := range protoCount {
		in.refusals[p] = fmt.Sprintf("provider %s does not support %s protocol (supported: %s)", in.Provider, p, list)
		if !in.speaks(p) {
			in.converters[p] = converterFor(p, in.speaks, in.strict)
		}
	}
}

func (in *Instance) speaks(p Proto) bool {
	return in.row.paths[p] != "" && !(in.native && p == OpenAIChat)
}

// Route says which protocol a request of a client's protocol is sent in
// (ai-proxy.md section 2.4); where that is another one, Converter leads to it.
// A refuse text that is not empty is the body of a final 400; the multi plugin
// does not fall back on it.
func (in *Instance) Route(client Proto) (target Proto, refuse string) {
	if client == Passthrough || client < protoCount && in.speaks(client) {
		return client, ""
	}
	if c := in.Converter(client); c != nil {
		_, target = c.Pair()
		return target, ""
	}
	if client >= protoCount {
		client = Unknown
	}
	return Unknown, in.refusals[client]
}

// Converter returns what a request of a client's protocol goes through on its
// way to the provider, nil if the provider speaks it itself or nothing helps.
func (in *Instance) Converter(client Proto) Converter {
	if client >= protoCount {
		return nil
	}
	return in.converters[client]
}

// Model returns llm_model (2.5): options.model, else the body's, else nil. It
// aliases the instance or the body.
func (in *Instance) Model(b *Body) []byte {
	if in.hasModel {
		return in.model
	}
	return RequestModel(b)
}

// RequestModel returns request_llm_model, the model that the body asks for:
// the text of a string, the JSON of any other value, nothing for null and false.
func RequestModel(b *Body) []byte {
	raw, ok := b.Get("model")
	switch KindOf(raw) {
	case String:
		s, _ := b.GetString("model")
		return s
	case Null, False:
		return nil
	}
	if !ok {
		return nil
	}
	return raw
}

// scalarText is RequestModel for a value of the configuration.
func scalarText(raw []byte) []byte {
	if KindOf(raw) == String {
		s, _ := unquoted(raw, nil)
		return s
	}
	return raw
}

// Shape edits out, a fork of the client's body or what a converter made of it,
// in the order of ai-proxy.md section 2.6 steps 1 to 5.
func (in *Instance) Shape(out *Body, client, target Proto, st *Shaping) {
	_ = client // converters (step 0) have been applied by the caller
	Of(target).Prepare(out, st)
	apply(out, in.edits)
	if target < protoCount {
		apply(out, in.limits[target])
		if p := in.patches[target]; p != nil {
			p.Apply(out)
		}
	}
	if in.row.dropModel || target == VertexPredict {
		out.Delete("model") // it is in the path
	}
	st.Changed = out.Changed()
}

func apply(b *Body, edits []edit) {
	for i := range edits {
		switch e := &edits[i]; {
		case e.patch != nil:
			e.patch.Apply(b)
		case e.raw == nil:
			b.Delete(e.key)
		default:
			b.Set(e.key, e.raw)
		}
	}
}

// Upstream tells where to connect (2.8). An empty host means ErrNoHost. host
// is the name or address without brackets; sni is the name to ask for and to
// verify under TLS. It is the same for every target; where passthrough may not
// use it AppendHead says so.
func (in *Instance) Upstream(target Proto) (tls bool, host string, port int, sni string) {
	_ = target
	return !in.ep.plain, in.ep.host, in.ep.portOf(), in.ep.host
}

// AuthHeaders yields auth.header with its secrets resolved, for calls beside
// those of clients: health probes.
func (in *Instance) AuthHeaders() iter.Seq2[string, string] { return in.headers.all }

// AuthQuery yields auth.query, as AuthHeaders does.
func (in *Instance) AuthQuery() iter.Seq2[string, string] { return in.args.all }

// Path returns the configured path for target as it goes on the wire, without
// its query (upstream_uri of 7.1), and with {model} where the request's model
// belongs. It is empty where the client's path is used.
func (in *Instance) Path(target Proto) string {
	if in.ep.path != "" {
		return in.ep.path
	}
	if target >= protoCount {
		return ""
	}
	return in.paths[target]
}

// ParseConfig decodes one instance from the plugin's JSON.
func ParseConfig(raw []byte) (*Config, error) {
	cfg := new(Config)
	if err := json.Unmarshal(raw, cfg); err != nil {
		return nil, fmt.Errorf("cannot decode instance: %w", err)
	}
	return cfg, nil
}
