package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/driver/vertex"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/plugin/logfile"
)

// Options of an Engine. Zero durations and sizes mean the defaults given.
type Options struct {
	Log     *slog.Logger
	Strict  bool   // headrace.compat is strict: nothing beyond what APISIX answers
	Version string // after "headrace/" in the Server header; empty: none
	Env     conf.Env

	MaxHead       int           // bytes of a request's head: 16 KiB
	HeaderTimeout time.Duration // client_header_timeout: 60 s
	BodyTimeout   time.Duration // client_body_timeout, between two reads: 60 s
	SendTimeout   time.Duration // client_send_timeout, between two writes: 60 s
	IdleTimeout   time.Duration // keepalive_timeout: 60 s

	MaxBody       int64                  // client_max_body_size; 0: no limit but the plugin's own
	PassHeaders   []string               // response headers of providers that clients get
	PluginEnabled func(name string) bool // nil: all
	RealIP        RealIP

	Trusted         []netip.Prefix // apisix.trusted_addresses; nil: not written
	DropUnderscores bool           // underscores_in_headers is off
	MaxPostArgs     int64          // max_post_args_readable_size in bytes: 64 MiB; negative: no limit

	NoHealthChecks bool // apisix.disable_upstream_healthcheck

	RouteCacheBytes    int64 // budget of compiled routes; 0 switches the cache off
	RouterByURI        bool  // apisix.router.http is radixtree_uri
	RouterParams       bool  // or radixtree_uri_with_parameter
	TrimTailSlash      bool  // apisix.delete_uri_tail_slash
	ServletPaths       bool  // apisix.normalize_uri_like_servlet
	KeepSlashes        bool  // apisix.match_uri_encoded_slash
	ShowUpstreamStatus bool
	Metrics            MetricsOptions
	Wire               wire.Options // Watch is set by New

	AccessLogFormat string // empty: DefaultAccessLogFormat
	AccessLogEscape plugin.Escape
	AccessLog       *logfile.File // nil: no access log
}

// Engine serves the traffic of one process. Make it with New, give it
// listeners with Serve and configuration with Follow.
type Engine struct {
	opts     Options
	log      *slog.Logger
	registry *Registry
	server   *fasthttp.Server
	wire     *wire.Client
	watch    *wire.Watch
	metrics  *gatewayMetrics
	stats    stats
	cache    *routeCache
	state    state
	vectors  *vectorCache
	tokens   *vertex.Cache
	times    clientTimes

	snap      atomic.Pointer[Snapshot]
	applied   atomic.Bool // a configuration was loaded once
	accessLog accessLog
	conns     connSet
	streams   atomic.Int64
	draining  atomic.Bool
	stop      chan struct{}
}

// vectorBudget bounds the reference vectors of semantic routing, in bytes.
const vectorBudget = 64 << 20

type stats struct {
	requests *metrics.Counter
	badItems *metrics.Counter
	accepted *metrics.Counter
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
	if o.AccessLogFormat == "" {
		o.AccessLogFormat = DefaultAccessLogFormat
	}
	e := &Engine{
		opts: o, log: o.Log, registry: NewRegistry(specs, o.PluginEnabled), metrics: newMetrics(o.Metrics), stop: make(chan struct{}),
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
	e.snap.Store(&Snapshot{router: &router{byURI: o.RouterByURI || o.RouterParams, params: o.RouterParams}})
	e.registerStats()
	e.server = e.newServer()
	go e.expireState()
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
			e.publish(e.snap.Load().apply(e, changes, rev))
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
	old := e.snap.Load()
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
	e.publish(old.apply(e, changes, rev))
	e.applied.Store(true)
}

// publish puts a snapshot in force. Routes whose instances are checked are
// compiled at once: health is watched before the first request asks for it.
func (e *Engine) publish(s *Snapshot) {
	e.snap.Store(s)
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

// Registry returns the plugins that this engine knows.
func (e *Engine) Registry() *Registry { return e.registry }

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

// Shutdown stops accepting, lets requests and streams end and returns when all
// have, or with ctx's error when it ends first: what is still open is cut then.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.draining.Store(true)
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
	e.wire.Close()
	e.watch.Close()
	e.state.close()
	e.vectors.close()
	e.tokens.Close()
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
