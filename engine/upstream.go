package engine

import (
	"cmp"
	"errors"
	"math"
	"sync"
	"time"

	"headrace/conf"
	"headrace/driver/wire"
	"headrace/lb"
	"headrace/plugin"
)

// upstream is an ordinary upstream, compiled: the nodes of a route or of an
// upstream resource. It is immutable.
type upstream struct {
	nodes       []upstreamNode
	balancer    *lb.Balancer
	key         hashKey // of chash; nil otherwise
	scheme      string
	passHost    string // pass, node or rewrite
	host        []byte // of rewrite
	retries     int
	retryWithin time.Duration // 0: no limit
	timeouts    wire.Timeouts
}

// upstreamNode is one server with its way there.
type upstreamNode struct {
	host   string // for metrics and $balancer_ip
	addr   string // host:port
	header []byte // what pass_host node sends
	pool   *wire.Pool
}

// What nginx and APISIX use where an upstream says nothing.
const (
	upstreamTimeoutDefault = 60 * time.Second
	upstreamPoolSize       = 320
	upstreamIdleFor        = 60 * time.Second
)

// upstreamEntry is one upstream resource of a snapshot. It is compiled by the
// first request that needs it; routes find it by its id with every request,
// so a change of it touches no route.
type upstreamEntry struct {
	item conf.Item
	once sync.Once
	up   *upstream
	err  error
}

func (ent *upstreamEntry) compiled(e *Engine) (*upstream, error) {
	ent.once.Do(func() { ent.up, ent.err = e.compileUpstream(upstreamKey(ent.item.ID), ent.item.Raw) })
	return ent.up, ent.err
}

// rotation is the balancer of an upstream: it outlives what is compiled, so
// that a reload does not begin anew.
type rotation struct {
	mu       sync.Mutex
	balancer *lb.Balancer
}

func upstreamKey(id string) string      { return "upstream:" + id }
func routeUpstreamKey(id string) string { return "route upstream:" + id }

func (r *rotation) configure(algo lb.Algo, targets []lb.Target) *lb.Balancer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.balancer == nil {
		r.balancer = lb.New(algo, targets)
	} else {
		r.balancer = r.balancer.Rebuild(algo, targets)
	}
	return r.balancer
}

// compileUpstream makes the upstream that raw describes; its rotation is kept
// under key.
func (e *Engine) compileUpstream(key string, raw []byte) (*upstream, error) {
	cfg, err := conf.DecodeUpstream(raw)
	if err == nil {
		err = checkUpstream(cfg)
	}
	if err != nil {
		return nil, err
	}
	if bad := cfg.Unsupported(); len(bad) > 0 {
		return nil, errors.New(bad[0])
	}
	up := &upstream{
		scheme: cfg.Scheme, passHost: cfg.PassHost, host: []byte(cfg.UpstreamHost),
		retries: len(cfg.Nodes) - 1, retryWithin: seconds(cfg.RetryTimeout), timeouts: upstreamTimeouts(cfg.Timeout),
	}
	if cfg.Retries != nil {
		up.retries = int(*cfg.Retries)
	}
	target := upstreamTarget(cfg)
	targets := make([]lb.Target, len(cfg.Nodes))
	for i, n := range cfg.Nodes {
		t := target
		t.Host, t.Port = n.Host, n.PortOr(cfg.Scheme)
		up.nodes = append(up.nodes, upstreamNode{n.Host, n.Addr(cfg.Scheme), []byte(n.HostHeader(cfg.Scheme)), e.wire.Pool(t)})
		targets[i] = lb.Target{Name: n.Addr(cfg.Scheme), Weight: n.Weight, Priority: n.Priority}
	}
	algo := lb.RoundRobin
	if cfg.Type == "chash" {
		algo, up.key = lb.CHash, newHashKey(&balancerConfig{Algorithm: "chash", HashOn: cfg.HashOn, Key: cfg.Key})
	}
	held, err := e.state.get(key, func() (any, error) { return new(rotation), nil })
	if err != nil {
		return nil, err
	}
	up.balancer = held.(*rotation).configure(algo, targets)
	return up, nil
}

// upstreamTarget is what the nodes of an upstream have in common. For TLS the
// server name is the one that is sent as Host where the upstream fixes it.
func upstreamTarget(cfg *conf.Upstream) wire.Target {
	t := wire.Target{TLS: cfg.Scheme == "https", KeepAlive: true, IdleFor: upstreamIdleFor, PoolSize: upstreamPoolSize}
	if cfg.TLS != nil {
		t.Verify = cfg.TLS.Verify
	}
	if cfg.PassHost == "rewrite" {
		t.SNI = string(plugin.HostOnly([]byte(cfg.UpstreamHost)))
	}
	if k := cfg.KeepalivePool; k != nil {
		if k.Size != nil {
			t.PoolSize = int(*k.Size)
		}
		if k.IdleTimeout != nil {
			// Zero means no limit to nginx.
			t.IdleFor = cmp.Or(seconds(*k.IdleTimeout), 24*time.Hour)
		}
	}
	return t
}

func upstreamTimeouts(t *conf.Timeout) wire.Timeouts {
	if t == nil {
		return wire.Timeouts{Connect: upstreamTimeoutDefault, Send: upstreamTimeoutDefault, Read: upstreamTimeoutDefault}
	}
	return wire.Timeouts{Connect: seconds(t.Connect), Send: seconds(t.Send), Read: seconds(t.Read)}
}

// seconds turns a number of the configuration into a duration, no larger than
// a year: what is more would overflow and mean none.
func seconds(s float64) time.Duration {
	const most = 365 * 24 * 3600
	return time.Duration(math.Min(s, most) * float64(time.Second))
}

// checkUpstream makes the tests that follow the schema, in APISIX's order.
func checkUpstream(cfg *conf.Upstream) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	return (&balancerConfig{Algorithm: cfg.Type, HashOn: cfg.HashOn, Key: cfg.Key}).check()
}

// upstreamFindings lists what is to be said about an upstream that passed the
// schema. One that nothing needs, beside an AI proxy, is only warned about.
func upstreamFindings(raw []byte, needed bool) (found []Finding) {
	cfg, err := conf.DecodeUpstream(raw)
	if err == nil {
		err = checkUpstream(cfg)
	}
	if err != nil {
		return []Finding{{Level: Invalid, Field: "upstream", Text: err.Error()}}
	}
	level := Refused
	if !needed {
		level = Warned
	}
	for _, text := range cfg.Unsupported() {
		found = append(found, Finding{Level: level, Field: "upstream", Text: text})
	}
	for _, text := range cfg.Warnings() {
		found = append(found, Finding{Level: Warned, Field: "upstream", Text: text})
	}
	return found
}

// ordinary returns the upstream that the route names, nil with the reason in
// the log if there is none that can be used.
func (f *flow) ordinary() *upstream {
	rt := f.rt
	up, err := rt.up, error(nil)
	if up == nil && rt.upID != "" {
		if ent, ok := f.snap.upstreams.get(rt.upID); ok {
			up, err = ent.compiled(f.e)
		} else {
			err = errors.New("failed to find upstream by id: " + rt.upID)
		}
	}
	switch {
	case err != nil:
	case up == nil:
		err = errors.New("missing upstream configuration in Route or Service")
	case len(up.nodes) == 0:
		err = errors.New("no valid upstream node")
	default:
		return up
	}
	f.e.log.Error("cannot proxy", "route_id", f.Info.RouteID, "err", err)
	return nil
}

// pickNode returns the next node that was not tried, -1 if all were. The only
// node of an upstream may be tried again, as in APISIX.
func (f *flow) pickNode(up *upstream) int {
	if up.key != nil && f.tried.Count() == 0 {
		key, ok := up.key(&f.Ctx, f.line[:0])
		if !ok {
			key, _ = remoteAddr(&f.Ctx, f.line[:0])
		}
		f.line, f.hash = key, lb.Hash(key)
	}
	i := up.balancer.Pick(f.hash, f.tried)
	if i < 0 && len(up.nodes) == 1 {
		return 0
	}
	return i
}

// applyUpstream takes over one change of an upstream.
func applyUpstream(e *Engine, edit *cowEdit[*upstreamEntry], ch *conf.Change) {
	if ch.Deleted {
		edit.delete(ch.ID)
		e.state.drop(upstreamKey(ch.ID))
		return
	}
	edit.set(ch.ID, &upstreamEntry{item: ch.Item})
}

// routeUpstream compiles what a route says about its upstream. An AI proxy
// gets along without: there an upstream that cannot be used is left out.
func (e *Engine) routeUpstream(rt *Route, m *merged) error {
	cfg := m.cfg
	rt.upID, rt.websocket = string(cfg.UpstreamID), cfg.EnableWebsocket
	if cfg.Timeout != nil {
		tm := upstreamTimeouts(cfg.Timeout)
		rt.timeouts = &tm
	}
	if len(cfg.Upstream) == 0 || rt.upID != "" {
		return nil
	}
	key := routeUpstreamKey(rt.id.id)
	up, err := e.compileUpstream(key, cfg.Upstream)
	if err != nil && !m.has(aiProxyName) && !m.has(aiProxyMultiName) {
		return err
	}
	rt.up, rt.holds = up, append(rt.holds, key)
	return nil
}
