package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"headrace/bench"
	"headrace/conf"
	"headrace/conf/etcd"
	"headrace/engine"
	"headrace/engine/admin"
	"headrace/plugin/all"
	"headrace/plugin/logfile"
)

type serveOptions struct {
	config string
	seed   []string
	hint   bool // print a curl line that works
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway (in the foreground)",
		Long: `Run the gateway in the foreground until SIGTERM or SIGINT; open streams are let
finish then, a second signal ends at once. SIGUSR1 reopens the log files.

Without a file, or without an etcd or resource file in it, routes live in an
embedded store (headrace.data_dir, "data") and are changed by the Admin API.`,
		Example: `  headrace serve
  headrace serve -c conf/config.yaml
  headrace serve --seed examples/run/routes.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), o) },
	}
	cmd.Flags().StringVarP(&o.config, "config", "c", "", "configuration file (config.yaml); built-in defaults without it")
	cmd.Flags().StringArrayVar(&o.seed, "seed", nil, "resource file (like apisix.yaml) whose items are put into the embedded store where they are missing; may be repeated")
	cmd.Flags().BoolVar(&o.hint, "hint", false, "print a curl line that streams from the first seeded route")
	return cmd
}

// gateway is a running process: everything that serve starts and stops.
type gateway struct {
	cfg       *conf.Config
	log       *slog.Logger
	audit     *slog.Logger // a line for each change through the Admin API
	provider  conf.Provider
	engine    *engine.Engine
	source    conf.Source
	store     conf.Store       // what the Admin API writes; nil: there is none
	etcd      *etcd.Store      // nil unless the provider is etcd
	document  *conf.Standalone // nil unless the provider is standalone
	keys      []conf.AdminKeyEntry
	newKey    string // printed once
	access    *logfile.File
	errors    *logfile.File // nil: standard error
	mock      *bench.Mock
	servers   []server
	inherited sockets                    // not bound yet
	before    *predecessor               // nil: this process succeeds none
	program   string                     // what a successor is started from
	api       *atomic.Pointer[admin.API] // nil: there is none
	serversMu sync.Mutex
	failed    chan error
}

// serve runs the gateway until a signal ends it.
func serve(ctx context.Context, o serveOptions) error {
	if ctx == nil {
		ctx = context.Background()
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	cfg, warnings, err := conf.Load(o.config, os.LookupEnv)
	if err != nil {
		return err
	}
	g := &gateway{cfg: cfg, failed: make(chan error, 8), program: findProgram(), before: newPredecessor()}
	if g.inherited, err = inherit(); err != nil {
		return err
	}
	defer g.close()
	err = g.start(ctx, o, warnings, signals)
	if errors.Is(err, errInterrupted) {
		return nil
	}
	if err != nil {
		return err
	}
	g.closeInherited()
	g.banner(os.Stdout, o.hint)
	g.before.ready()
	return g.wait(signals)
}

// errInterrupted ends a start that a signal broke off.
var errInterrupted = errors.New("interrupted")

// start brings everything up, in the order in which things need each other.
func (g *gateway) start(ctx context.Context, o serveOptions, warnings []conf.Warning, signals <-chan os.Signal) error {
	var err error
	if g.log, g.audit, g.errors, err = newLogger(g.cfg); err != nil {
		return err
	}
	for _, w := range warnings {
		g.log.Warn(w.Error())
	}
	if n := g.cfg.Nginx.WorkerProcesses; n > 0 && n < runtime.NumCPU() {
		runtime.GOMAXPROCS(n)
	}
	if g.provider, err = g.cfg.Provider(); err != nil {
		return err
	}
	if err := g.openSource(append(append([]string(nil), g.cfg.Headrace.Seed...), o.seed...)); err != nil {
		return err
	}
	if h := g.cfg.Nginx.HTTP; h.EnableAccessLog && h.AccessLog != "" && h.AccessLog != "off" {
		g.access, err = logfile.Open(h.AccessLog, logfile.Options{Buffer: int(h.AccessLogBuffer), Log: g.log})
		if err != nil {
			return fmt.Errorf("nginx_config.http.access_log: %w", err)
		}
	}
	opts, err := g.engineOptions()
	if err != nil {
		return err
	}
	if g.engine, err = engine.New(opts, all.Specs()); err != nil {
		return err
	}
	// etcd may let the first configuration wait: the Status API says so.
	if err := g.listenSide(); err != nil {
		return err
	}
	if err := g.follow(ctx, signals); err != nil {
		return err
	}
	return g.listen(ctx)
}

// openSource opens what routes come from.
func (g *gateway) openSource(seeds []string) error {
	if g.provider != conf.ProviderEmbedded && len(seeds) > 0 {
		return fmt.Errorf("headrace.seed and --seed need the embedded store, but routes come from %s", g.provider)
	}
	switch g.provider {
	case conf.ProviderEmbedded:
		if err := g.before.takeStore(); err != nil {
			return err
		}
		store, err := conf.OpenEmbedded(g.cfg.Headrace.DataDir)
		if err != nil {
			return err
		}
		g.store, g.source = store, store
		if err := g.adminKeys(); err != nil {
			return err
		}
		return seed(store, seeds, g.log)
	case conf.ProviderStandalone:
		g.document = conf.NewStandalone(g.log)
		g.source = g.document
		return g.adminKeys()
	case conf.ProviderEtcd:
		store, err := openEtcd(g.cfg, g.log)
		if err != nil {
			return err
		}
		g.etcd, g.source = store, store
		if g.cfg.Deployment.Role == roleDataPlane {
			return nil
		}
		g.store = store
		if g.cfg.APISIX.EnableAdmin {
			return g.adminKeys()
		}
	case conf.ProviderYAML:
		g.source = conf.NewFile(g.cfg.ResourceFile(), conf.YAML, g.log, os.LookupEnv)
	case conf.ProviderJSON:
		g.source = conf.NewFile(g.cfg.ResourceFile(), conf.JSON, g.log, os.LookupEnv)
	default:
		return fmt.Errorf("the config provider %s is not supported yet; use embedded or etcd, or role data_plane with yaml or json", g.provider)
	}
	return nil
}

// adminKeys fills in the generated key wherever none is configured.
func (g *gateway) adminKeys() error {
	for _, k := range g.cfg.Deployment.Admin.Keys {
		if k.Key == "" {
			key, created, err := conf.AdminKey(g.cfg.Headrace.DataDir)
			if err != nil {
				return err
			}
			k.Key = key
			if created {
				g.newKey = key
			}
		}
		g.keys = append(g.keys, k)
	}
	return nil
}

// seed stores the items of resource files that the store does not have.
func seed(store *conf.Embedded, files []string, log *slog.Logger) error {
	for _, path := range files {
		items, problems, err := conf.ReadDocument(path, os.LookupEnv)
		if err != nil {
			return err
		}
		for _, p := range problems {
			log.Warn(p.Error())
		}
		for _, it := range items {
			// Swap with 0 asks for an item that is not there yet.
			if _, err := store.Swap(it, 0, 0); err != nil && !errors.Is(err, conf.ErrConflict) {
				return fmt.Errorf("cannot seed %s %q from %q: %w", it.Kind, it.ID, filepath.Base(path), err)
			}
		}
	}
	return nil
}

// follow applies the configuration: the first load before it returns, changes
// after that in the background. A signal ends the wait for the first.
func (g *gateway) follow(ctx context.Context, signals <-chan os.Signal) error {
	loaded := make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		ended <- g.engine.Follow(ctx, g.source, func(rev int64) {
			if a, ok := g.source.(interface{ Applied(rev int64) }); ok {
				a.Applied(rev)
			}
			once.Do(func() { close(loaded) })
		})
	}()
	for {
		select {
		case <-loaded:
			go func() {
				if err := <-ended; err != nil && ctx.Err() == nil && !errors.Is(err, conf.ErrClosed) {
					g.failed <- fmt.Errorf("cannot follow the configuration: %w", err)
				}
			}()
			return nil
		case err := <-ended:
			return fmt.Errorf("cannot load the configuration: %w", err)
		case s := <-signals:
			if ends(s) {
				return errInterrupted
			}
		}
	}
}

// wait serves until a signal or a failing listener ends it.
func (g *gateway) wait(signals <-chan os.Signal) error {
	for {
		select {
		case err := <-g.failed:
			return err
		case s := <-signals:
			if s == syscall.SIGUSR1 {
				g.engine.Reopen()
				if g.errors != nil {
					g.errors.Reopen()
				}
				g.log.Info("log files reopened")
				continue
			}
			if s == syscall.SIGUSR2 {
				if err := g.upgrade(); err != nil {
					g.log.Error("upgrade: nothing has changed", "err", err)
					continue
				}
				return g.retire(signals)
			}
			return g.shutdown(signals, s)
		}
	}
}

func (g *gateway) close() {
	for _, s := range g.listening() {
		s.close()
	}
	if g.engine != nil {
		g.engine.Close()
	}
	if g.mock != nil {
		g.mock.Close()
	}
	if g.access != nil {
		g.access.Close()
	}
	if c, ok := g.source.(io.Closer); ok {
		c.Close()
	}
	if g.errors != nil {
		g.errors.Close()
	}
}
