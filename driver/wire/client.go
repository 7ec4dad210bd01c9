package wire

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client owns the connections to all upstreams. All methods may be called
// from many goroutines.
type Client struct {
	opts   Options
	dialer net.Dialer
	tick   time.Duration // of the janitor; less in tests
	unused time.Duration // after which an empty pool is forgotten

	mu      sync.Mutex
	shelves map[key]*shelf
	swept   int64
	closed  bool

	idle    atomic.Int64 // connections on all shelves
	tending atomic.Bool  // a janitor runs
	quit    chan struct{}
	janitor sync.WaitGroup
}

// key is what connections must agree in to be shared.
type key struct {
	tls, verify bool
	port        int
	host, sni   string
	addr        string // empty: host is resolved
}

// NewClient returns a client without connections.
func NewClient(o Options) *Client {
	if o.MaxHead <= 0 {
		o.MaxHead = defaultMaxHead
	}
	return &Client{
		opts:    o,
		tick:    time.Second,
		unused:  10 * time.Minute,
		shelves: make(map[key]*shelf),
		quit:    make(chan struct{}),
	}
}

// Pool finds or makes the pool of a target. It is meant for the time when a
// route is compiled; the result serves as long as it is kept, also when the
// client has forgotten the pool meanwhile because nobody used it.
func (c *Client) Pool(t Target) *Pool {
	if t.IdleFor <= 0 {
		t.IdleFor = DefaultIdleFor
	}
	if t.PoolSize <= 0 {
		t.PoolSize = DefaultPoolSize
	}
	t.Host, t.Addr = unbracket(t.Host), unbracket(t.Addr)
	p := &Pool{client: c, target: t}
	p.shelf.Store(c.shelf(t))
	return p
}

func (c *Client) shelf(t Target) *shelf {
	k := key{host: t.Host, port: t.Port}
	connectTo := t.Host
	if t.Addr != "" && t.Addr != t.Host {
		k.addr, connectTo = t.Addr, t.Addr
	}
	if t.TLS {
		k.tls, k.verify, k.sni = true, t.Verify, t.SNI
		if k.sni == "" {
			k.sni = t.Host
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := mono()
	c.forgetUnused(now)
	s := c.shelves[k]
	if s == nil {
		s = &shelf{client: c, key: k, addr: net.JoinHostPort(connectTo, strconv.Itoa(t.Port))}
		if t.TLS {
			// No ALPN, as APISIX: a server that knows only HTTP/2 by it
			// would refuse a list without it.
			s.tls = &tls.Config{
				ServerName:         k.sni,
				InsecureSkipVerify: !t.Verify,
				RootCAs:            c.opts.RootCAs,
				ClientSessionCache: tls.NewLRUClientSessionCache(16),
			}
		}
		if c.closed {
			s.retired.Store(true)
		} else {
			c.shelves[k] = s
		}
	}
	s.used.Store(now)
	s.widen(t.PoolSize)
	return s
}

func unbracket(host string) string {
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// forgetUnused drops shelves that are empty and idle, so that hosts which were
// in the configuration once do not stay forever. c.mu is held.
func (c *Client) forgetUnused(now int64) {
	if now-c.swept < int64(c.unused)/10 {
		return
	}
	c.swept = now
	for k, s := range c.shelves {
		if s.retire(now - int64(c.unused)) {
			delete(c.shelves, k)
		}
	}
}

// Close closes idle connections and stops the janitor. Exchanges that run go
// on; from now on no connection is kept.
func (c *Client) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.quit)
	var out []*conn
	for _, s := range c.shelves {
		out = s.retireNow(out)
	}
	clear(c.shelves)
	c.mu.Unlock()
	for _, ic := range out {
		ic.close()
	}
	c.janitor.Wait()
}

// PoolStats are the counters of one pool since it was made.
type PoolStats struct {
	TLS          bool
	Host         string
	Addr         string // the pinned address; empty: Host is resolved
	Port         int
	Dials        uint64 // connections asked for
	DialFailures uint64 // of them failed, cancelled ones not counted
	Reused       uint64 // exchanges begun on a pooled connection
	Stale        uint64 // of them begun again on a fresh one
	Idle         int64
	InUse        int64 // exchanges from Do to Done
}

// Stats yields the counters of every pool: for s := range c.Stats. It holds no
// lock while it yields.
func (c *Client) Stats(yield func(PoolStats) bool) {
	c.mu.Lock()
	all := make([]*shelf, 0, len(c.shelves))
	for _, s := range c.shelves {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		if !yield(s.stats()) {
			return
		}
	}
}

// tend makes sure that a janitor runs; called after c.idle grew.
func (c *Client) tend() {
	if c.tending.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.tending.CompareAndSwap(false, true) {
		c.janitor.Add(1)
		go c.clean()
	}
}

// clean is the janitor. It lives while there are idle connections.
func (c *Client) clean() {
	defer c.janitor.Done()
	t := time.NewTicker(c.tick)
	defer t.Stop()
	var out []*conn
	for {
		select {
		case <-c.quit:
			return
		case <-t.C:
		}
		now := mono()
		c.mu.Lock()
		c.forgetUnused(now)
		for _, s := range c.shelves {
			out = s.expired(now, out)
		}
		c.mu.Unlock()
		for i, ic := range out {
			ic.close()
			out[i] = nil
		}
		out = out[:0]
		if c.idle.Load() > 0 {
			continue
		}
		// put counts before it looks at tending: one of the two sees the other.
		c.tending.Store(false)
		if c.idle.Load() == 0 || !c.tending.CompareAndSwap(false, true) {
			return
		}
	}
}
