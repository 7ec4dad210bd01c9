package vertex

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"headrace/driver"
)

// maxSources bounds a cache, as in APISIX.
const maxSources = 4096

// Cache finds the token source for a service account, a policy and the name of
// an instance, so that tokens survive what is compiled anew, and a changed key
// is another source at once. All methods may be called concurrently.
type Cache struct {
	client    *http.Client
	onFailure func(instance string, reason error)
	ctx       context.Context
	cancel    context.CancelFunc
	flights   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	sources map[key]*TokenSource
}

type key struct {
	instance string
	sum      [sha256.Size]byte // of credentials and policy
}

// NewCache makes a cache whose sources reach token servers through client; its
// redirect policy is not used. onFailure, which may be nil, is told about each
// exchange that failed, but for those that Close ends.
func NewCache(client *http.Client, onFailure func(instance string, reason error)) *Cache {
	c := &Cache{client: client, onFailure: onFailure, sources: map[key]*TokenSource{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Source returns the source for g and the instance of that name. It may be
// kept for good: the cache may forget a source that nobody uses, but the source
// goes on to work and comes back with its next mint. No token is minted here.
func (c *Cache) Source(instance string, g *driver.GCP) *TokenSource {
	k := key{instance, sum(g)}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sources[k]
	if s == nil {
		s = newSource(c, k, g)
		c.add(s)
	}
	s.touched.Store(true)
	return s
}

func sum(g *driver.GCP) [sha256.Size]byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(g.MaxTTL))
	b = binary.BigEndian.AppendUint64(b, uint64(g.ExpireEarly))
	return sha256.Sum256(append(b, g.ServiceAccount...))
}

// add makes room for s, best at the cost of a source that is not in use.
func (c *Cache) add(s *TokenSource) {
	if len(c.sources) >= maxSources {
		var victim key
		for k, old := range c.sources {
			if victim = k; !old.touched.Swap(false) {
				break
			}
		}
		delete(c.sources, victim)
	}
	c.sources[s.key] = s
}

// fly runs an exchange of s, false if c is closed.
func (c *Cache) fly(s *TokenSource, f *flight) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.sources[s.key] == nil {
		c.add(s)
	}
	c.flights.Go(func() { s.fly(c.ctx, f) })
	return true
}

// Sweep forgets the sources that nobody has asked since the last Sweep.
func (c *Cache) Sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, s := range c.sources {
		if !s.touched.Swap(false) {
			delete(c.sources, k)
		}
	}
}

// Stats is what a source has done so far.
type Stats struct {
	Instance string
	// Key tells sources of the same instance name apart: eight hexadecimal
	// digits of a hash of credentials and policy.
	Key             string
	Mints, Failures uint64
	Left            time.Duration // until the token truly expires, 0 if there is none
}

// Each calls f for every source of c.
func (c *Cache) Each(f func(Stats)) {
	c.mu.Lock()
	list := make([]*TokenSource, 0, len(c.sources))
	for _, s := range c.sources {
		list = append(list, s)
	}
	c.mu.Unlock()
	for _, s := range list {
		f(s.stats())
	}
}

func (s *TokenSource) stats() Stats {
	st := Stats{Instance: s.key.instance, Key: hex.EncodeToString(s.key.sum[:4]), Mints: s.mints.Load(), Failures: s.failures.Load()}
	if t := s.current.Load(); t != nil {
		st.Left = max(t.expires-s.now(), 0)
	}
	return st
}

// Close ends all exchanges and returns when their goroutines have ended. Tokens
// that are valid are served on, no new one is minted.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	list := make([]*TokenSource, 0, len(c.sources))
	for _, s := range c.sources {
		list = append(list, s)
	}
	c.mu.Unlock()
	c.cancel()
	for _, s := range list {
		s.stop()
	}
	c.flights.Wait()
	return nil
}
