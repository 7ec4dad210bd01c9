package engine

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver/wire"
	"headrace/lb"
	"headrace/plugin"
)

// choose picks the instance of a request's first attempt; a verdict ends the
// request instead (ai-proxy.md 6.1).
func (a *aiRoute) choose(f *flow) plugin.Verdict {
	m := a.multi
	switch {
	case m == nil || m.balancer == nil && m.semantic == nil:
		f.picked = a.instances[0]
		return 0
	case m.semantic != nil:
		p := m.semantic.pick(f.conn, f.Proto, &f.Body)
		if p.gone {
			return statusGone
		}
		if p.scores != nil {
			f.HTTP.Response.Header.SetCanonical([]byte(headerScores), p.scores)
			f.HTTP.Response.Header.SetCanonical([]byte(headerPicked), []byte(p.picked))
		}
		f.picked = a.instances[p.index]
		return 0
	}
	if m.key != nil {
		key, ok := m.key(&f.Ctx, f.line[:0])
		if !ok {
			key, _ = remoteAddr(&f.Ctx, f.line[:0])
		}
		f.line = key
		f.hash = lb.Hash(key)
	}
	i := m.balancer.Pick(f.hash, f.tried)
	if i < 0 {
		return f.Reply(fasthttp.StatusServiceUnavailable, plugin.Text, m.exhausted())
	}
	f.picked = a.instances[i]
	return 0
}

var remoteAddr, _ = plugin.LookupVar("remote_addr")

var (
	allTried         = []byte("all servers tried")
	allUpstreamTried = []byte("all upstream servers tried")
)

func (m *multi) exhausted() []byte {
	if m.balancer.Groups() > 1 {
		return allTried
	}
	return allUpstreamTried
}

// fallBack decides what follows a failed attempt: the next instance, or nil
// and the failure that the client gets (ai-proxy.md 6.6). It runs only before
// a byte went to the client.
func (f *flow) fallBack(in *instance, fail *failure) *instance {
	m := f.ai.multi
	if m == nil || m.balancer == nil || fail.final {
		return nil
	}
	f.tried.Add(in.index)
	if !m.retryable(fail) || m.within > 0 && time.Since(f.t0) > m.within {
		return nil
	}
	if m.maxRetries >= 0 {
		if f.retries++; f.retries > m.maxRetries {
			return nil
		}
	}
	i := m.balancer.Pick(f.hash, f.tried)
	if i < 0 {
		fail.status = fasthttp.StatusBadGateway
		if m.old != nil {
			fail.status = fasthttp.StatusInternalServerError
		}
		return nil
	}
	next := f.ai.instances[i]
	f.e.log.Warn("ai instance "+in.Name+" returned status "+strconv.Itoa(fail.status)+", falling back to "+next.Name,
		"route_id", f.Info.RouteID, "took", time.Since(f.t0))
	return next
}

func (m *multi) retryable(fail *failure) bool {
	if m.old != nil && !m.strategy.set && fail.transport {
		return true // the first release moved on when nothing answered
	}
	return m.statuses.has(fail.status) || m.strategy.http429 && fail.status == 429 || m.strategy.http5xx && fail.status >= 500
}

// routeBalance is what balancing remembers of a route: it outlives compiled
// routes, so that a reload resets neither rotation nor health.
type routeBalance struct {
	e     *Engine
	route string

	mu       sync.Mutex
	balancer *lb.Balancer
	health   []*instanceHealth // by index; nil: not checked
	closed   bool
}

func balanceKey(route string) string { return "ai-proxy-multi:" + route }

func newRouteBalance(e *Engine, route string) *routeBalance { return &routeBalance{e: e, route: route} }

// configure brings the balance in line with a configuration and returns the
// balancer for it. Instances whose checks did not change keep their health.
func (b *routeBalance) configure(algo lb.Algo, targets []lb.Target, ins []*instance, cfgs []multiInstance) *lb.Balancer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.balancer == nil {
		b.balancer = lb.New(algo, targets)
	} else {
		b.balancer = b.balancer.Rebuild(algo, targets)
	}
	old := b.health
	b.health = make([]*instanceHealth, len(ins))
	for i, in := range ins {
		if cfgs[i].Checks == nil || b.e.opts.NoHealthChecks || b.closed {
			continue
		}
		key := healthKey(in, &cfgs[i])
		for j, h := range old {
			if h != nil && h.key == key {
				b.health[i], old[j] = h, nil
				break
			}
		}
		if b.health[i] == nil {
			b.health[i] = newInstanceHealth(b, key, in, &cfgs[i])
		}
		b.health[i].index = i
		in.health = b.health[i]
	}
	go closeHealth(old)
	b.setDown()
	return b.balancer
}

// changed is told by a check that an instance may have become usable or not.
func (b *routeBalance) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setDown()
}

func (b *routeBalance) setDown() {
	var down lb.Set
	n := 0
	for i, h := range b.health {
		if h != nil && !h.usable() {
			down.Add(i)
			n++
		}
	}
	if n > 0 && n == len(b.health) {
		b.e.log.Warn("all upstream nodes is unhealthy, use default", "route_id", b.route)
	}
	if b.balancer != nil {
		b.balancer.SetDown(down)
	}
}

// checked returns the health of the instances that are checked.
func (b *routeBalance) checked() (hs []*instanceHealth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.health {
		if h != nil {
			hs = append(hs, h)
		}
	}
	return hs
}

// Close ends the checks.
func (b *routeBalance) Close() error {
	b.mu.Lock()
	hs := b.health
	b.health, b.closed = nil, true
	b.mu.Unlock()
	closeHealth(hs)
	return nil
}

func closeHealth(hs []*instanceHealth) {
	for _, h := range hs {
		if h != nil {
			h.close()
		}
	}
}

// way returns where an attempt goes: for a checked instance to one of its
// usable addresses, at random, else to wherever its name leads (6.8).
func (in *instance) way(e *Engine) (pool *wire.Pool, addr string) {
	h := in.health
	if h == nil {
		return in.pool, in.addr
	}
	nodes := h.checker.Usable()
	if len(nodes) == 0 {
		if nodes = h.checker.Nodes(); len(nodes) == 0 {
			return in.pool, in.addr
		}
	}
	n := nodes[rand.IntN(len(nodes))]
	if n.IP == in.target.Host {
		return in.pool, in.addr
	}
	if p, ok := in.pools.Load(n.IP); ok {
		w := p.(*pinned)
		return w.pool, w.addr
	}
	t := in.target
	t.Addr = n.IP
	w := &pinned{e.wire.Pool(t), net.JoinHostPort(n.IP, strconv.Itoa(in.target.Port))}
	in.pools.Store(n.IP, w)
	return w.pool, w.addr
}

// pinned is the way to one address of an instance.
type pinned struct {
	pool *wire.Pool
	addr string
}
