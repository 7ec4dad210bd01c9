package engine

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"headrace/driver/wire"
	"headrace/plugin"
)

// Route is a compiled route: immutable, and owner of no goroutine, timer or
// connection. Any number of requests use it, also after it was replaced.
type Route struct {
	chain
	id      routeKey
	entry   *entry
	infos   []plugin.Info // one per pattern and host
	ai      *aiRoute      // nil: no AI proxy
	metrics *routeMetrics

	up        *upstream      // the route's own upstream; nil: none
	upID      string         // or the id of one
	timeouts  *wire.Timeouts // in place of the upstream's; nil: none
	websocket bool

	holds []string // keys of long-lived state in use
	refs  []string // to secret managers
	cost  int64

	variants sync.Map // *Route by variantKey, see variant.go
	base     *Route   // of a variant; nil: it is none
	variant  variantKey
	fresh    []step[plugin.Rewriter] // of a variant: rewrite phases that have not run yet
}

// routeKey is everything that a compiled route was made from.
type routeKey struct {
	id      string
	rev     int64
	derived uint64
}

// hotRoute is the way to a compiled route without a look-up. ristretto is the
// budget and the clock: when it evicts or refuses a route, the pointer goes
// (architecture.md 13, ruling 10).
type hotRoute struct {
	at   atomic.Pointer[Route]
	once sync.Mutex // one compilation at a time
}

// routeCache is nil when the cache is off.
type routeCache = ristretto.Cache[uint64, *Route]

func newRouteCache(budget int64) (*routeCache, error) {
	if budget <= 0 {
		return nil, nil
	}
	forget := func(it *ristretto.Item[*Route]) {
		if rt := it.Value; rt != nil {
			rt.forget()
		}
	}
	return ristretto.NewCache(&ristretto.Config[uint64, *Route]{
		NumCounters: min(max(budget>>8, 1<<10), 1<<20),
		MaxCost:     budget,
		BufferItems: 64,
		OnEvict:     forget,
		OnReject:    forget,
	})
}

// route returns the compiled form of an entry, compiling it if need be.
func (e *Engine) route(s *Snapshot, ent *entry) (*Route, error) {
	if rt := ent.hot.at.Load(); rt != nil && rt.id.derived == s.derived {
		return rt, nil
	}
	ent.hot.once.Lock()
	defer ent.hot.once.Unlock()
	if rt := ent.hot.at.Load(); rt != nil && rt.id.derived == s.derived {
		return rt, nil
	}
	rt, err := e.compile(s, ent)
	if err != nil {
		return nil, err
	}
	if e.cache != nil {
		ent.hot.at.Store(rt)
		e.cache.Set(rt.id.hash(), rt, rt.cost)
	}
	return rt, nil
}

// hash is the key of a compiled route in the cache.
func (rt *Route) hash() uint64 {
	h := rt.id.hash()
	if rt.base != nil {
		h ^= maphash.Comparable(cowSeed, rt.variant)
	}
	return h
}

// hash stands for all that a route was made from.
func (k routeKey) hash() uint64 {
	const odd = 0x9e3779b97f4a7c15
	return (maphash.String(cowSeed, k.id)^uint64(k.rev))*odd ^ k.derived*odd
}

// forget takes a route out of the place where requests find it.
func (rt *Route) forget() {
	if rt.base != nil {
		rt.base.variants.CompareAndDelete(rt.variant, rt)
		return
	}
	rt.entry.hot.at.CompareAndSwap(rt, nil)
}

// dropRoute forgets what was compiled for an entry that is no longer in force.
func (e *Engine) dropRoute(ent *entry) {
	rt := ent.hot.at.Swap(nil)
	if rt == nil {
		return
	}
	e.cache.Del(rt.id.hash())
	rt.variants.Range(func(_, v any) bool {
		e.cache.Del(v.(*Route).hash())
		return true
	})
}

// refusal is why a route that exists does not serve: a plugin that guards it
// is missing here. The client may know.
type refusal string

func (r refusal) Error() string { return string(r) }

// compile merges what makes up a route and binds its plugins.
func (e *Engine) compile(s *Snapshot, ent *entry) (*Route, error) {
	m, err := e.merge(s, ent)
	if err != nil {
		return nil, err
	}
	return e.bind(s, ent, m)
}

// bind makes the route that was merged.
func (e *Engine) bind(s *Snapshot, ent *entry, m *merged) (*Route, error) {
	if f := worst(m.found, Refused); f != nil {
		return nil, refusal(f.Text)
	}
	rt := &Route{id: routeKey{ent.id, ent.rev, s.derived}, entry: ent}
	rt.infos = routeInfos(ent, m)
	if err := e.routeUpstream(rt, m); err != nil {
		return nil, err
	}
	var bound []*plugin.Bound
	for _, p := range m.plugins {
		spec := e.registry.Spec(p.Name)
		if spec == nil {
			continue // warned about when it was loaded
		}
		env := e.env(s, ent.id, rt)
		env.Source = p.source
		b, err := spec.Bind(p.Conf, env)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", p.Name, err)
		}
		if b.Disabled {
			continue
		}
		if ai, ok := b.Value.(*aiRoute); ok {
			ai.bound = b
			rt.ai = ai
		}
		rt.cost += int64(len(p.Conf)) * 4
		bound = append(bound, b)
	}
	slices.SortStableFunc(bound, func(a, b *plugin.Bound) int { return b.Priority - a.Priority })
	rt.chain = newChain(bound)
	if rt.metrics = m.metrics; rt.metrics == nil {
		rt.metrics = e.metrics.route(s, rt, bound)
	}
	rt.cost += int64(len(ent.item.Raw)) + 4<<10
	if rt.ai != nil && rt.ai.multi != nil && rt.ai.multi.semantic != nil {
		rt.cost += rt.ai.multi.semantic.cost()
	}
	return rt, nil
}

// routeInfos makes what a matched pattern is called in variables and labels.
func routeInfos(ent *entry, m *merged) []plugin.Info {
	cfg := m.cfg
	hosts := ent.hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	infos := make([]plugin.Info, 0, len(hosts)*len(ent.uris))
	for _, h := range hosts {
		for _, u := range ent.uris {
			infos = append(infos, plugin.Info{
				RouteID: ent.id, RouteName: cfg.Name, ServiceID: string(cfg.ServiceID), ServiceName: m.serviceName,
				MatchedURI: u, MatchedHost: h, Labels: cfg.Labels,
			})
		}
	}
	return infos
}

// info returns what the candidate that matched is called.
func (rt *Route) info(c *candidate) *plugin.Info {
	for i := range rt.infos {
		if in := &rt.infos[i]; in.MatchedURI == c.pattern && in.MatchedHost == c.host {
			return in
		}
	}
	return &rt.infos[0]
}

// env is what the plugins of one owner get.
func (e *Engine) env(s *Snapshot, owner string, rt *Route) *plugin.Env {
	refs := &s.refs
	if rt != nil {
		refs = &rt.refs
	}
	return &plugin.Env{
		Log:     e.log,
		RouteID: owner,
		Source:  owner, // of a global rule; bind knows better for routes
		Metadata: func(name string) []byte {
			return s.metadata[name].Raw
		},
		State: func(key string, make func() (any, error)) (any, error) {
			if rt != nil {
				rt.holds = append(rt.holds, key)
			} else {
				s.holds = append(s.holds, key)
			}
			return e.state.get(key, make)
		},
		Resolve: e.resolver(refs, rt != nil),
		Wire:    e.wire,
		RootCAs: e.opts.Wire.RootCAs,
		Owner:   &owned{e, rt},
	}
}

// owned is how a builtin plugin reaches the engine.
type owned struct {
	e  *Engine
	rt *Route
}
