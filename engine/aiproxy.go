package engine

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/bytedance/sonic"

	"headrace/conf/schema"
	"headrace/driver"
	"headrace/driver/bedrock"
	"headrace/driver/vertex"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/sse"
)

const (
	aiProxyName      = "ai-proxy"
	aiProxyMultiName = "ai-proxy-multi"
)

// aiRoute is the AI proxy of one route, compiled: its instances and the
// limits of a call. It is immutable.
type aiRoute struct {
	instances []*instance
	maxBody   int64
	timeouts  wire.Timeouts
	limits    sse.Limits
	summaries bool
	payloads  bool
	hideUsage bool
	bound     *plugin.Bound
	multi     *multi // nil: ai-proxy
}

// instance is one provider with its way there.
type instance struct {
	*driver.Instance
	index  int
	pool   *wire.Pool
	target wire.Target
	addr   string // host:port
	host   []byte
	scheme string
	counts [outcomes]*metrics.Counter
	tokens *vertex.TokenSource // nil: no access token is needed
	signer *bedrock.Signer     // nil: requests are not signed
	health *instanceHealth     // nil: not checked
	pools  sync.Map            // *pinned by address, for checked instances
}

// aiConfig is what both proxies have at their top level (ai-proxy.md 1.1).
type aiConfig struct {
	Timeout           int64 `json:"timeout"`
	MaxReqBodySize    int64 `json:"max_req_body_size"`
	MaxStreamDuration int64 `json:"max_stream_duration_ms"`
	MaxResponseBytes  int64 `json:"max_response_bytes"`
	KeepAlive         bool  `json:"keepalive"`
	KeepAliveTimeout  int64 `json:"keepalive_timeout"`
	KeepAlivePool     int   `json:"keepalive_pool"`
	SSLVerify         bool  `json:"ssl_verify"`
	Logging           struct {
		Summaries bool `json:"summaries"`
		Payloads  bool `json:"payloads"`
	} `json:"logging"`
	StreamUsage string `json:"stream_usage"` // ours: "relay" or "hide"
}

var builtins = []plugin.Spec{
	{
		Name: aiProxyName, Priority: 1040, Kind: plugin.Builtin,
		Schema:  schema.MustCompile(aiProxyName, aiProxySchema),
		Secrets: []string{"auth.header", "auth.query", "auth.gcp.service_account_json", "auth.aws.secret_access_key", "auth.aws.session_token"},
		Upgrade: upgradeAIProxy,
		Check:   checkAIProxy,
		Warn:    aiWarnings,
		New:     newAIProxy,
	},
	aiMultiSpec,
	prometheusSpec,
}

// upgradeAIProxy translates the older form with a model object
// (ai-proxy.md 1.6.2).
func upgradeAIProxy(raw []byte) ([]byte, error) {
	if bytes.Contains(raw, []byte(`"provider":"`)) && !bytes.Contains(raw, []byte(`"model":{`)) {
		return raw, nil // most of them; raw has no blanks between tokens
	}
	cfg, err := driver.ParseConfig(raw)
	if err != nil {
		return raw, nil // the schema says it better
	}
	now, err := cfg.Translate()
	if err != nil || now == cfg {
		return raw, err
	}
	var b driver.Body
	if err := b.Load(raw); err != nil {
		return nil, err
	}
	b.Set("provider", driver.AppendString(nil, []byte(now.Provider)))
	b.Set("options", now.Options)
	b.Delete("model")
	return b.AppendTo(nil), nil
}

func checkAIProxy(raw []byte) error {
	cfg, err := driver.ParseConfig(raw)
	if err != nil {
		return err
	}
	if _, err := cfg.Validate(); err != nil {
		return err
	}
	_, err = driver.CompileInstance("", cfg, unresolved)
	return err
}

// unresolved stands in for secrets where a configuration is only checked: an
// instance may be wrong whatever its secrets are.
func unresolved(string) (string, error) { return "", errors.New("not resolved") }

// aiWarnings lists what is valid but will not do what its author meant.
func aiWarnings(raw []byte) []string {
	config, _, err := plugin.Split(raw)
	if err != nil {
		return nil
	}
	cfg, err := driver.ParseConfig(config)
	if err != nil {
		return nil
	}
	warnings, _ := cfg.Validate()
	return warnings
}

func newAIProxy(raw []byte, env *plugin.Env) (any, error) {
	var c aiConfig
	if err := sonic.ConfigStd.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	cfg, err := driver.ParseConfig(raw)
	if err != nil {
		return nil, err
	}
	e := env.Owner.(*owned).e
	cfg.Strict = e.opts.Strict
	in, err := driver.CompileInstance("ai-proxy-"+cfg.Provider, cfg, env.Resolve)
	if err != nil {
		return nil, err
	}
	a := c.route()
	a.instances = []*instance{e.connect(in, &c, env.RouteID)}
	return a, nil
}

// connect finds the connections that lead to an instance.
func (e *Engine) connect(in *driver.Instance, c *aiConfig, route string) *instance {
	tls, host, port, sni := in.Upstream(driver.Passthrough)
	i := &instance{Instance: in, host: []byte(host), addr: net.JoinHostPort(host, strconv.Itoa(port)), scheme: "http"}
	if tls {
		i.scheme = "https"
	}
	i.target = wire.Target{
		TLS: tls, Host: host, Port: port, SNI: sni, Verify: c.SSLVerify,
		KeepAlive: c.KeepAlive, IdleFor: time.Duration(c.KeepAliveTimeout) * time.Millisecond, PoolSize: c.KeepAlivePool,
	}
	i.pool = e.wire.Pool(i.target)
	i.counts = e.metrics.attempts(route, in.Name)
	if g := in.GCP(); g != nil {
		i.tokens = e.tokens.Source(in.Name, g)
	}
	if a := in.AWS(); a != nil {
		i.signer = bedrock.NewSigner(a)
	}
	return i
}

var jsonType = []byte("application/json")

// Access is the first half of the proxy: it reads and judges the request and
// leaves the call to Engine.serve (ai-proxy.md 2.1, A1 to A7).
func (a *aiRoute) Access(c *plugin.Ctx) plugin.Verdict {
	f := c.Owner.(*flow)
	f.ai = a
	if ct := c.Header("content-type"); len(ct) > 0 && !bytes.HasPrefix(ct, jsonType) {
		return c.Reply(400, plugin.Text, fmt.Appendf(nil, "unsupported content-type: %s, only application/json is supported", ct))
	}
	if v := f.readBody(a.maxBody); v != 0 {
		return v
	}
	if len(f.raw) == 0 {
		return c.Reply(400, plugin.JSON, messageBody("message", "could not get body: request body is empty"))
	}
	if err := f.loadBody(); err != nil {
		return c.Reply(400, plugin.JSON, messageBody("message", "could not parse JSON request body: "+err.Error()))
	}
	if c.Body.Kind() == driver.False {
		return c.Reply(400, plugin.JSON, messageBody("message", "could not parse JSON request body: invalid JSON"))
	}
	if a.multi != nil && a.multi.old != nil {
		if raw, _ := c.Body.Get("messages"); driver.KindOf(raw) != driver.Array {
			return c.Reply(400, plugin.Text, noMessages)
		}
	}
	c.RequestModel = driver.RequestModel(&c.Body)
	c.Proto = driver.Detect(f.Req.Path, &c.Body)
	if c.Proto == driver.Unknown {
		return c.Reply(400, plugin.Text, noProtocol)
	}
	if len(c.RequestModel) == 0 {
		c.RequestModel = driver.PathModel(c.Proto, f.Req.Path)
	}
	c.Stream = driver.Of(c.Proto).Streaming(f.Req.Path, &c.Body)
	c.AI = true
	c.LogSummary, c.LogPayload = a.summaries, a.payloads
	c.Capture.WantText = a.payloads
	return a.choose(f)
}

// noMessages is what the first release of ai-proxy-multi said (1.6.1).
var noMessages = []byte(`request format doesn't match schema: property "messages" is required`)

var noProtocol = []byte("no matching AI protocol for the request")
