package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/conf/secret"
	"headrace/driver/vertex"
	"headrace/driver/wire"
	"headrace/plugin"
)

// Engine serves the traffic of one process. Make it with New, give it
// listeners with Serve and configuration with Follow.
type Engine struct {
	opts     Options
	log      *slog.Logger
	registry *Registry // judges what comes from the source
	strict   *Registry // and what is written
	server   *fasthttp.Server
	wire     *wire.Client
	watch    *wire.Watch
	metrics  *gatewayMetrics
	stats    stats
	cache    *routeCache
	state    state
	vectors  *vectorCache
	tokens   *vertex.Cache
	secrets  *secret.Manager
	rotated  chan struct{} // a secret has another value
	times    clientTimes

	changing  sync.Mutex // held while a snapshot is made
	snap      atomic.Pointer[Snapshot]
	applied   atomic.Bool  // a configuration was loaded once
	published atomic.Int64 // when the configuration in force came, Unix time
	accessLog accessLog
	conns     connSet
	listening listenSet
	leaving   chan struct{} // clients that are being turned away

	certified      sync.Once
	hasCertificate chan struct{}

	streams  atomic.Int64
	draining atomic.Bool
	cutting  atomic.Bool // what is still open is being cut
	stop     chan struct{}
}

// vectorBudget bounds the reference vectors of semantic routing, in bytes.
const vectorBudget = 64 << 20

type stats struct {
	requests *metrics.Counter
	badItems *metrics.Counter
	accepted *metrics.Counter

	handshakes     *metrics.Counter // that failed
	turnedAway     *metrics.Counter // clients above MaxConns
	acceptFailures *metrics.Counter
}

// New makes an engine that knows no route yet: it answers 404 to everything.
func New(o Options, specs []plugin.Spec) (*Engine, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.HeaderTimeout, 60*time.Second)
	def(&o.BodyTimeout, 60*time.Second)
	def(&o.SendTimeout, 60*time.Second)
	def(&o.IdleTimeout, 60*time.Second)
	if o.MaxHead <= 0 {
		o.MaxHead = 16 << 10
	}
	if o.MaxPostArgs == 0 {
		o.MaxPostArgs = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	if o.AccessLogFormat == "" {
		o.AccessLogFormat = DefaultAccessLogFormat
	}
	strict := NewRegistry(specs, o.PluginEnabled)
	e := &Engine{
		opts: o, log: o.Log, registry: strict.skipping(o.SkipUnknown), strict: strict, metrics: newMetrics(o.Metrics), stop: make(chan struct{}),
		rotated: make(chan struct{}, 1), hasCertificate: make(chan struct{}), leaving: make(chan struct{}, 32),
		times: clientTimes{idle: o.IdleTimeout, head: o.HeaderTimeout, body: o.BodyTimeout, send: o.SendTimeout},
	}
	e.accessLog = accessLog{plugin.CompileTemplate(o.AccessLogFormat, o.AccessLogEscape), o.AccessLog}
	var err error
	if e.cache, err = newRouteCache(o.RouteCacheBytes); err != nil {
		return nil, fmt.Errorf("cannot make the route cache: %w", err)
	}
	if e.vectors, err = newVectorCache(vectorBudget); err != nil {
		return nil, fmt.Errorf("cannot make the vector cache: %w", err)
	}
	if e.watch, err = wire.NewWatch(); err != nil {
		return nil, fmt.Errorf("cannot watch connections: %w", err)
	}
	o.Wire.Watch = e.watch
	e.wire = wire.NewClient(o.Wire)
	e.tokens = e.newTokens()
	e.secrets = e.newSecrets()
	e.snap.Store(&Snapshot{router: &router{byURI: o.RouterByURI || o.RouterParams, params: o.RouterParams}})
	e.registerStats()
	e.server = e.newServer()
	go e.expireState()
	go e.followSecrets()
	return e, nil
}

func (e *Engine) newServer() *fasthttp.Server {
	name := "headrace"
	if e.opts.Version != "" {
		name += "/" + e.opts.Version
	}
	return &fasthttp.Server{
		Handler:               e.serve,
		ErrorHandler:          e.badRequest,
		ExpectHandler:         e.expect,
		HeaderReceived:        prefetch,
		Name:                  name,
		Logger:                quiet{e.log},
		Concurrency:           1 << 20,
		ReadBufferSize:        e.opts.MaxHead,
		NoDefaultContentType:  true,
		StreamRequestBody:     true,
		CloseOnShutdown:       true,
		SecureErrorLogMessage: true,

		DisablePreParseMultipartForm: true,
		MaxRequestBodySize:           prefetchMax,
	}
}

// prefetchMax is how long a body may be for the server to read its beginning
// before the handler runs. Of longer ones it reads a single byte, so that the
// route's own limit can refuse them (ai-proxy.md 2.2).
const prefetchMax = 64 << 10

func prefetch(h *fasthttp.RequestHeader) (rc fasthttp.RequestConfig) {
	if h.ContentLength() > prefetchMax {
		rc.MaxRequestBodySize = 1
	}
	return rc
}

// quiet hands the server's own messages to the error log.
type quiet struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (q quiet) Printf(format string, args ...any) { q.log.Debug(fmt.Sprintf(format, args...)) }

// Serve accepts clients from ln until Shutdown. It returns nil then.
func (e *Engine) Serve(ln net.Listener) error {
	e.listening.add(ln)
	return e.server.Serve(&listener{Listener: ln, e: e, times: &e.times})
}

// Follow loads the configuration from a source and applies its changes until
// ctx ends. applied, if not nil, is told every revision that is in force.
func (e *Engine) Follow(ctx context.Context, src conf.Source, applied func(rev int64)) error {
	for {
		items, rev, err := src.Load(ctx)
		if err != nil {
			return err
		}
		e.load(items, rev)
		if applied != nil {
			applied(rev)
		}
		err = src.Watch(ctx, rev, func(changes []conf.Change, rev int64) {
			e.change(func(s *Snapshot) *Snapshot { return s.apply(e, changes, rev) })
			if applied != nil {
				applied(rev)
			}
		})
		if !errors.Is(err, conf.ErrResync) {
			return err
		}
		e.log.Warn("configuration history is lost, loading everything again")
	}
}

// load makes the snapshot the given list: what is in force and not in the
// list goes, what did not change stays as it is.
func (e *Engine) load(items []conf.Item, rev int64) {
	e.change(func(old *Snapshot) *Snapshot { return old.become(e, items, rev) })
	e.applied.Store(true)
}

// become is the snapshot that has the given items and no others.
func (old *Snapshot) become(e *Engine, items []conf.Item, rev int64) *Snapshot {
	var changes []conf.Change
	listed := make(map[string]bool, len(items))
	for _, it := range items {
		if it.Kind == conf.Routes {
			listed[it.ID] = true
			if cur, ok := old.routes.get(it.ID); ok && cur.rev == it.Rev {
				continue
			}
		}
		changes = append(changes, conf.Change{Item: it})
	}
	old.routes.each(func(id string, _ *entry) {
		if !listed[id] {
			changes = append(changes, conf.Change{Item: conf.Item{Kind: conf.Routes, ID: id}, Deleted: true})
		}
	})
	changes = append(changes, old.removed(items)...)
	return old.apply(e, changes, rev)
}

// change puts in force what make makes of the snapshot in force, one change
// after the other.
func (e *Engine) change(make func(*Snapshot) *Snapshot) {
	e.changing.Lock()
	defer e.changing.Unlock()
	e.publish(make(e.snap.Load()))
}

// publish puts a snapshot in force. Routes whose instances are checked are
// compiled at once: health is watched before the first request asks for it.
func (e *Engine) publish(s *Snapshot) {
	e.snap.Store(s)
	e.published.Store(time.Now().Unix())
	if s.certificates != nil {
		e.certified.Do(func() { close(e.hasCertificate) })
	}
	for _, ent := range s.warm {
		if _, err := e.route(s, ent); err != nil {
			e.log.Error("cannot start the health checks of a route", "route_id", ent.id, "err", err)
		}
	}
}

// Snapshot returns the configuration in force.
func (e *Engine) Snapshot() *Snapshot { return e.snap.Load() }

// ServerName is what the Server header says.
func (e *Engine) ServerName() string { return e.server.Name }

// Registry returns the plugins that this engine knows, as the judge of what is
// written.
func (e *Engine) Registry() *Registry { return e.strict }

// Loaded says whether a configuration was loaded.
func (e *Engine) Loaded() bool { return e.applied.Load() }

// Reopen reopens every log file, for rotation.
func (e *Engine) Reopen() {
	if e.opts.AccessLog != nil {
		e.opts.AccessLog.Reopen()
	}
	e.state.each(func(v any) {
		if r, ok := v.(interface{ Reopen() error }); ok {
			r.Reopen()
		}
	})
}

// Streams returns how many streams are open.
func (e *Engine) Streams() int64 { return e.streams.Load() }

// Drain says that this engine is about to stop: Ready has an error from here on,
// and every answer closes its connection. Clients are still accepted.
func (e *Engine) Drain() { e.draining.Store(true) }

// StopAccepting closes this process's side of the listening sockets; clients
// that are connected are served on.
func (e *Engine) StopAccepting() {
	e.listening.each(func(ln net.Listener) { ln.Close() })
}

// Shutdown stops accepting, lets requests and streams end and returns when all
// have, or with ctx's error when it ends first: what is still open is cut then.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.Drain()
	stopped := make(chan error, 1)
	go func() { stopped <- e.server.ShutdownWithContext(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for e.conns.len() > 0 && err == nil {
		e.conns.wake()
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-tick.C:
		}
	}
	if err != nil {
		e.cutting.Store(true)
		e.conns.closeAll()
	}
	if serr := <-stopped; err == nil {
		err = serr
	}
	return err
}

// Close gives everything back. Call it after Shutdown.
func (e *Engine) Close() {
	close(e.stop)
	e.state.close() // the logs are flushed over connections of wire
	e.wire.Close()
	e.watch.Close()
	e.vectors.close()
	e.tokens.Close()
	e.secrets.Close()
	if e.cache != nil {
		e.cache.Close()
	}
}

// Ready says why the gateway should not get traffic, nil if it should.
func (e *Engine) Ready() error {
	switch {
	case e.draining.Load():
		return errors.New("shutting down")
	case !e.applied.Load():
		return errors.New("no configuration was loaded yet")
	}
	return nil
}
