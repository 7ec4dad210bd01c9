// Package bench measures gateways, and holds what such a measurement needs:
// Mock is a provider of language models that runs anywhere, costs little and
// misbehaves on request.
//
// The mock answers in the public shapes of OpenAI (chat completions,
// responses, embeddings, models), Anthropic (messages) and Amazon Bedrock
// (Converse), plain and streamed. What it does beyond that is scripted: by headers of the request
// (x-mock-gap: 20ms), by query parameters (?mock-gap=20ms) or by flags of the
// process (--gap 20ms). Keys lists them all.
package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options says how a Mock behaves when a request does not say otherwise. The
// zero value answers at once with 16 tokens.
type Options struct {
	TTFT       time.Duration // from the head of a stream to its first event
	Gap        time.Duration // between two content events
	Tokens     int           // content events of an answer; 0: 16
	TokenBytes int           // bytes of text in each; 0: a word
	Batch      int           // events in one write; 0: 1
	Model      string        // model named in answers; "": the one asked for
	Usage      string        // "last" (also ""): at the end, as providers do; "none": never
	Seed       uint64        // other seeds, other words

	// Script holds further defaults by the names of Keys, for example
	// {"status": "429"}. It wins over the fields above.
	Script map[string]string

	Fixtures string // folder for requests that carry X-AI-Fixture; "": refused
	Keep     int    // requests kept for GET /mock/last; 0: 64

	TLS             bool   // speak TLS with a certificate made on the spot
	TLSCert, TLSKey string // or with these PEM files
}

// Mock is the provider. Its methods may be called from any goroutine.
type Mock struct {
	opts  Options
	err   error // what was wrong with opts; reported by Listen and Serve
	base  script
	root  *os.Root
	tls   *tls.Config
	ca    []byte
	stats counters
	last  journal

	closing atomic.Bool
	wg      sync.WaitGroup // one per connection

	mu    sync.Mutex
	lns   map[net.Listener]struct{}
	conns map[*conn]struct{}
	addr  net.Addr
}

// New returns a mock that does not listen yet. Faults in opts are reported by
// Listen and Serve.
func New(opts Options) *Mock {
	m := &Mock{opts: opts, lns: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}}
	m.last.keep = opts.Keep
	if m.last.keep <= 0 {
		m.last.keep = 64
	}
	m.err = m.setUp()
	return m
}

func (m *Mock) setUp() (err error) {
	o := m.opts
	m.base = newScript()
	m.base.first, m.base.gap = o.TTFT, o.Gap
	if o.Tokens > 0 {
		m.base.tokens = o.Tokens
	}
	m.base.bytes, m.base.model = o.TokenBytes, o.Model
	if o.Batch > 0 {
		m.base.batch = o.Batch
	}
	switch o.Usage {
	case "", "last":
	case "none":
		m.base.noUsage = true
	default:
		return fmt.Errorf("cannot use usage %q: want last or none", o.Usage)
	}
	for name, value := range o.Script {
		if err := m.base.set(name, value); err != nil {
			return err
		}
	}
	if o.Fixtures != "" {
		if m.root, err = os.OpenRoot(o.Fixtures); err != nil {
			return fmt.Errorf("cannot open fixtures: %w", err)
		}
	}
	m.tls, m.ca, err = tlsConfig(o)
	return err
}

// Listen opens addr ("127.0.0.1:0" for any free port) for Serve.
func (m *Mock) Listen(addr string) (net.Listener, error) {
	if m.err != nil {
		return nil, m.err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // without the address once more
		}
		return nil, fmt.Errorf("cannot listen on %q: %w", addr, err)
	}
	m.mu.Lock()
	m.addr = ln.Addr()
	m.mu.Unlock()
	return ln, nil
}

// Serve answers the connections of ln until Close or Shutdown, then returns
// nil. It may run for several listeners at once.
func (m *Mock) Serve(ln net.Listener) error {
	if m.err != nil {
		return m.err
	}
	m.mu.Lock()
	m.lns[ln] = struct{}{}
	if m.addr == nil {
		m.addr = ln.Addr()
	}
	m.mu.Unlock()
	if m.closing.Load() {
		ln.Close()
	}
	for {
		nc, err := ln.Accept()
		if err != nil {
			if m.closing.Load() {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("cannot accept: %w", err)
			}
			// Out of descriptors, most likely: some come back when streams end.
			slog.Warn("mock: cannot accept", "error", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		m.start(nc)
	}
}

// Start listens on addr and serves in the background.
func (m *Mock) Start(addr string) error {
	ln, err := m.Listen(addr)
	if err != nil {
		return err
	}
	go m.Serve(ln)
	return nil
}

// Addr is the address of the latest listener, nil before Listen.
func (m *Mock) Addr() net.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addr
}

// URL is the base address for clients, "http://127.0.0.1:9400".
func (m *Mock) URL() string {
	scheme := "http://"
	if m.tls != nil {
		scheme = "https://"
	}
	addr := m.Addr()
	if addr == nil {
		return ""
	}
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port)
}

// CA is the PEM certificate that clients must trust under TLS, nil without.
// GET /mock/ca answers the same.
func (m *Mock) CA() []byte { return m.ca }

// Shutdown stops listening, closes idle connections and waits until the
// answers under way are complete. When ctx ends first it closes the rest and
// returns the cause.
func (m *Mock) Shutdown(ctx context.Context) error {
	m.stopListening()
	m.mu.Lock()
	for c := range m.conns {
		if !c.busy.Load() {
			c.nc.Close()
		}
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { m.wg.Wait(); close(done) }()
	select {
	case <-done:
		return m.Close()
	case <-ctx.Done():
		m.Close()
		return context.Cause(ctx)
	}
}

// Close stops listening, breaks every connection and returns when their
// goroutines have ended.
func (m *Mock) Close() error {
	m.stopListening()
	m.mu.Lock()
	for c := range m.conns {
		c.nc.Close()
	}
	root := m.root
	m.mu.Unlock()
	m.wg.Wait()
	if root != nil {
		return root.Close()
	}
	return nil
}

func (m *Mock) stopListening() {
	m.closing.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	for ln := range m.lns {
		ln.Close()
	}
	clear(m.lns)
}

func (m *Mock) start(nc net.Conn) {
	c := &conn{m: m, raw: nc, nc: nc}
	if m.tls != nil {
		c.nc = tls.Server(nc, m.tls)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// Under the lock, so that Close either sees the connection or is seen.
	if m.closing.Load() {
		nc.Close()
		return
	}
	m.conns[c] = struct{}{}
	m.wg.Add(1)
	m.stats.connsOpen.Add(1)
	m.stats.connsTotal.Add(1)
	go c.serve()
}

func (m *Mock) drop(c *conn) {
	c.nc.Close()
	m.mu.Lock()
	delete(m.conns, c)
	m.mu.Unlock()
	m.stats.connsOpen.Add(-1)
	m.wg.Done()
}
