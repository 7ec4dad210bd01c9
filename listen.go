package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/bench"
	"headrace/conf"
	"headrace/engine/admin"
)

// server is one of the process's own listeners beside the traffic ports.
type server struct {
	name   string
	scheme string // "": http
	addr   string
	path   string // what to show behind the address
	srv    *fasthttp.Server
	ln     net.Listener
	raw    net.Listener // the socket itself
}

func (s *server) close() {
	if s.srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.srv.ShutdownWithContext(ctx) != nil {
		s.ln.Close()
	}
}

// listenSide binds the ports that need no configuration of routes. A port in
// use is an error of the start, not of a goroutine.
func (g *gateway) listenSide() error {
	c := g.cfg
	if addr := c.Headrace.MockListen; addr != "" {
		ln, err := g.bind(addr)
		if err != nil {
			return fmt.Errorf("cannot listen for the mock provider (headrace.mock.listen): %w", err)
		}
		g.mock = bench.New(bench.Options{Gap: 20 * time.Millisecond})
		g.addServer(server{name: "mock", addr: ln.Addr().String(), raw: ln})
		go g.mock.Serve(ln) // until it is closed
	}
	if p := c.Prometheus; p.EnableExportServer {
		h := admin.Metrics(p.ExportURI, g.writeMetrics)
		if err := g.serve("metrics", "plugin_attr.prometheus.export_addr", p.ExportAddr.Addr(), p.ExportURI, h, nil); err != nil {
			return err
		}
	}
	if c.APISIX.EnableControl {
		o := admin.ControlOptions{
			Registry: g.engine.Registry(), Log: g.log, Server: g.engine.ServerName(),
			Snapshot: g.engine.Snapshot, Health: g.engine.Healthchecks, Streams: g.engine.OpenStreams, EndStream: g.engine.EndStream,
		}
		if g.etcd != nil {
			o.Source = func() any { return g.etcd.Status() }
			o.Accept = g.etcd.Accept
		}
		if err := g.serve("control", "apisix.control", c.APISIX.Control.Addr(), "/v1/schema", admin.NewControl(o).Handler, nil); err != nil {
			return err
		}
	}
	if s := c.APISIX.Status; s != nil {
		if err := g.serve("status", "apisix.status", s.Addr(), "/status/ready", admin.NewStatus(g.ready, g.engine.ServerName()), nil); err != nil {
			return err
		}
	}
	return nil
}

// listen binds the traffic ports and that of the Admin API. A control plane
// has no traffic.
func (g *gateway) listen(ctx context.Context) error {
	c := g.cfg
	for _, l := range c.APISIX.NodeListen {
		ln, err := g.bind(l.Addr())
		if err != nil {
			return fmt.Errorf("cannot listen for traffic (apisix.node_listen): %w", err)
		}
		g.addServer(server{name: "traffic", addr: ln.Addr().String(), raw: ln})
		go func() {
			if err := g.engine.Serve(ln); err != nil {
				g.failed <- fmt.Errorf("cannot serve traffic: %w", err)
			}
		}()
	}
	if err := g.listenTLS(ctx); err != nil {
		return err
	}
	if c.APISIX.EnableAdmin && (g.store != nil || g.document != nil) {
		g.api = new(atomic.Pointer[admin.API])
		g.api.Store(g.adminAPI())
		h := func(ctx *fasthttp.RequestCtx) { g.api.Load().Handler(ctx) }
		return g.serve("admin", "deployment.admin.admin_listen", c.Deployment.Admin.Listen.Addr(), "/apisix/admin", h, g.adminTLS)
	}
	return nil
}

// adminAPI is the Admin API over the store, or the standalone one.
func (g *gateway) adminAPI() *admin.API {
	a := g.cfg.Deployment.Admin
	o := admin.Options{
		Registry: g.engine.Registry(), Log: g.log, Audit: g.audit, Keys: g.keys, KeyRequired: a.KeyRequired,
		Allow: a.Allow, CORS: a.CORS, Server: g.engine.ServerName(),
	}
	if g.etcd != nil {
		o.Prefix = strings.TrimRight(g.cfg.Deployment.Etcd.Prefix, "/")
	}
	if g.document != nil {
		o.Standalone, o.Applied = g.document, g.document.WaitApplied
	} else {
		o.Store, o.Applied = g.store, g.store.WaitApplied
	}
	return admin.New(o)
}

func (g *gateway) writeMetrics(w io.Writer) {
	g.engine.WriteMetrics(w)
	if g.etcd != nil {
		g.etcd.WriteMetrics(w, g.cfg.Prometheus.MetricPrefix)
	}
}

// serve binds addr and serves h there; wrap, if not nil, may put TLS around
// the listener.
func (g *gateway) serve(name, key, addr, path string, h fasthttp.RequestHandler, wrap func(net.Listener) (net.Listener, error)) error {
	ln, err := g.bind(addr)
	if err != nil {
		return fmt.Errorf("cannot listen for the %s API (%s): %w", name, key, err)
	}
	scheme, plain := "http", ln
	if wrap != nil {
		if ln, err = wrap(plain); err != nil {
			plain.Close()
			return err
		}
		if ln != plain {
			scheme = "https"
		}
	}
	srv := admin.NewServer(h, g.log)
	g.addServer(server{name: name, scheme: scheme, addr: ln.Addr().String(), path: path, srv: srv, ln: ln, raw: plain})
	go func() {
		if err := srv.Serve(ln); err != nil {
			g.failed <- fmt.Errorf("cannot serve the %s API: %w", name, err)
		}
	}()
	return nil
}

// addServer notes a listener; one for TLS may come while the gateway runs.
func (g *gateway) addServer(s server) {
	g.serversMu.Lock()
	defer g.serversMu.Unlock()
	g.servers = append(g.servers, s)
}

func (g *gateway) listening() []server {
	g.serversMu.Lock()
	defer g.serversMu.Unlock()
	return slices.Clone(g.servers)
}

// banner says what listens where.
func (g *gateway) banner(w io.Writer, hint bool) {
	fmt.Fprintf(w, "headrace %s: routes from %s\n", version, g.origin())
	servers := g.listening()
	for _, name := range []string{"mock", "traffic", "tls", "admin", "metrics", "control", "status"} {
		for _, s := range servers {
			if s.name == name {
				fmt.Fprintf(w, "  %-8s %s://%s%s\n", s.name, cmp.Or(s.scheme, "http"), s.addr, s.path)
			}
		}
	}
	if g.newKey != "" {
		fmt.Fprintf(w, "  admin key (generated, kept in %s/admin.key): %s\n", g.cfg.Headrace.DataDir, g.newKey)
	}
	if g.document != nil || g.store != nil {
		for _, k := range g.keys {
			if conf.IsExampleKey(k.Key) {
				fmt.Fprintf(w, "  WARNING: admin_key %q is an example of APISIX's documents that everybody knows: set one of your own\n", k.Name)
			}
		}
	}
	if hint {
		fmt.Fprintf(w, "\nTry it (streams tokens from the built-in mock provider, no key needed):\n\n  %s\n\n", g.curl())
	}
}

func (g *gateway) origin() string {
	switch g.provider {
	case conf.ProviderEmbedded:
		return "the embedded store in " + g.cfg.Headrace.DataDir + " (no etcd or resource file is configured)"
	case conf.ProviderEtcd:
		e := g.cfg.Deployment.Etcd
		return "etcd, " + e.Prefix + " at " + strings.Join(etcdHosts(e.Hosts), ", ")
	}
	if g.document != nil {
		return "the standalone Admin API (in memory, none yet)"
	}
	return g.cfg.ResourceFile()
}

// curl is a command that streams from the route of examples/run.
func (g *gateway) curl() string {
	addr := ""
	for _, s := range g.listening() {
		if s.name == "traffic" {
			addr = s.addr
			break
		}
	}
	if host, port, err := net.SplitHostPort(addr); err == nil && (host == "0.0.0.0" || host == "::") {
		addr = "127.0.0.1:" + port
	}
	return strings.Join([]string{
		"curl -N http://" + addr + "/v1/chat/completions -H 'Content-Type: application/json'",
		`-d '{"model":"any","stream":true,"messages":[{"role":"user","content":"What is 1+1?"}]}'`,
	}, " ")
}
