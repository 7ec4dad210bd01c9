package vertex

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2/jwt"

	"headrace/driver"
)

const (
	// A refresh begins this long before a token is due, or a fifth of its
	// time if that is less.
	leadMax = time.Minute

	backoffMin = 200 * time.Millisecond
	backoffMax = 10 * time.Second
)

// TokenSource has the access token of one service account under one policy. A
// token is replaced in the background before it is due, if it is in use; until
// it truly expires it is served, whatever becomes of that. All methods may be
// called concurrently.
type TokenSource struct {
	key   key
	cache *Cache
	conf  *jwt.Config
	bad   *Error // why conf cannot be used
	early time.Duration
	most  time.Duration // 0: no limit
	born  time.Time     // times below are counted from here

	current atomic.Pointer[token]
	wake    atomic.Int64 // when a request has to see to a refresh
	touched atomic.Bool  // since the last Sweep

	mints, failures atomic.Uint64

	mu      sync.Mutex // not held while anything is waited for
	flight  *flight    // the exchange under way
	timer   *time.Timer
	fails   int // since the last mint
	retryAt time.Duration
	lastErr error
}

type token struct {
	text    []byte
	expires time.Duration
	used    atomic.Bool // since it was minted, or since the last failure to replace it
}

// flight is one exchange and those who wait for it.
type flight struct {
	done  chan struct{} // closed behind the writing of the rest
	token *token
	err   error
}

func newSource(c *Cache, k key, g *driver.GCP) *TokenSource {
	s := &TokenSource{key: k, cache: c, early: g.ExpireEarly, most: g.MaxTTL, born: time.Now()}
	s.conf, s.bad = readAccount(g.ServiceAccount)
	return s
}

func (s *TokenSource) now() time.Duration { return time.Since(s.born) }

// Current returns the token if there is a valid one, nil if Token has to be
// asked. It waits for nothing and does not allocate. The bytes are shared and
// stay as they are.
func (s *TokenSource) Current() []byte {
	t := s.current.Load()
	if t == nil {
		return nil
	}
	now := s.now()
	if now >= t.expires {
		return nil
	}
	mark(&t.used)
	mark(&s.touched)
	if int64(now) >= s.wake.Load() {
		s.mu.Lock()
		s.start(now)
		s.mu.Unlock()
	}
	return t.text
}

// mark sets b; requests on many cores must not write what is set already.
func mark(b *atomic.Bool) {
	if !b.Load() {
		b.Store(true)
	}
}

// Token returns the token. It waits, no longer than ctx allows, only if there
// is no valid one; whoever waits at the same time waits for the same exchange.
// The error is an *Error or the cause of ctx's end. After a failure it is
// answered with the same error until the next try, at most ten seconds.
func (s *TokenSource) Token(ctx context.Context) ([]byte, error) {
	if s.bad != nil {
		return nil, s.bad
	}
	if text := s.Current(); text != nil {
		return text, nil
	}
	mark(&s.touched)
	s.mu.Lock()
	now := s.now()
	if t := s.current.Load(); t != nil && now < t.expires {
		s.mu.Unlock()
		t.used.Store(true)
		return t.text, nil
	}
	f := s.start(now)
	err := s.lastErr
	s.mu.Unlock()
	if f == nil {
		return nil, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if f.err != nil {
		return nil, f.err
	}
	f.token.used.Store(true)
	return f.token.text, nil
}

// start begins an exchange unless one is under way or it is too early for
// another, which gives nil and lastErr. The caller holds mu.
func (s *TokenSource) start(now time.Duration) *flight {
	if s.flight != nil || now < s.retryAt {
		return s.flight
	}
	f := &flight{done: make(chan struct{})}
	if !s.cache.fly(s, f) {
		s.lastErr = noToken(errors.New("the token cache is closed"))
		return nil
	}
	s.flight = f
	s.wake.Store(math.MaxInt64)
	return f
}

// fly is one exchange; it runs on a goroutine of its own.
func (s *TokenSource) fly(ctx context.Context, f *flight) {
	began := s.now()
	text, ttl, err := exchange(ctx, s.cache.client, s.conf)
	s.mu.Lock()
	if err == nil {
		f.token = s.minted(text, ttl, began)
	} else {
		f.err = noToken(err)
		s.failed(f.err)
	}
	s.flight = nil
	close(f.done)
	s.mu.Unlock()
	if err != nil && ctx.Err() == nil && s.cache.onFailure != nil {
		s.cache.onFailure(s.key.instance, err)
	}
}

// minted makes a token the current one. Its time began before the exchange
// did, so that it never seems to live longer than it does.
func (s *TokenSource) minted(text []byte, life, began time.Duration) *token {
	s.mints.Add(1)
	s.fails, s.retryAt, s.lastErr = 0, 0, nil
	t := &token{text: text, expires: began + life}
	ttl := s.ttl(life)
	s.current.Store(t)
	s.wakeAt(began + ttl - min(leadMax, ttl/5))
	return t
}

// ttl is how long a token that lives that long is used.
func (s *TokenSource) ttl(life time.Duration) time.Duration {
	if life > s.early {
		life -= s.early
	}
	if s.most > 0 {
		life = min(life, s.most)
	}
	return life
}

// failed plans the next try. As long as there is a valid token that is in use
// it comes by itself, and not later than the end of that.
func (s *TokenSource) failed(err error) {
	s.failures.Add(1)
	s.lastErr = err
	pause := min(backoffMin<<min(s.fails, 16), backoffMax)
	s.fails++
	now := s.now()
	s.retryAt = now + pause/2 + rand.N(pause/2+1)
	if t := s.current.Load(); t != nil && now < t.expires {
		t.used.Store(false)
		s.retryAt = min(s.retryAt, t.expires)
		s.wakeAt(s.retryAt)
	}
}

// wakeAt arms the timer, and with it the requests that might be earlier.
func (s *TokenSource) wakeAt(at time.Duration) {
	s.wake.Store(int64(at))
	if d := at - s.now(); s.timer == nil {
		s.timer = time.AfterFunc(d, s.tick)
	} else {
		s.timer.Reset(d)
	}
}

// tick refreshes a token that is in use.
func (s *TokenSource) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if t := s.current.Load(); t.used.Load() && int64(now) >= s.wake.Load() {
		s.start(now)
	}
}

func (s *TokenSource) stop() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
}
