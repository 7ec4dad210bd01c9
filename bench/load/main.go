//go:build linux

// Load compares gateways side by side: Headrace with an ai-proxy route as
// users run it, a direct connection, nginx and HAProxy as bare proxies, in one
// interleaved run on one pinned core.
//
// CPU time is what it trusts; rates are printed so that a reader sees how busy
// the gateway was, latencies are not measured at all.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const long = `Compares gateways side by side in one interleaved run: Headrace with an ai-proxy
route as users run it (model merged, usage counted, metrics and access log on),
nginx and HAProxy as bare reverse proxies, and the direct connection to the
mock provider behind all of them.

The gateway has one core (GOMAXPROCS=1), the mock and the load share another.
Believe CPU times and their ratios to nginx; rates depend on the load's core
too, so compare them with the column "direct" and with how busy the gateway's
core was. A cell marked "!" had errors, which stand below the table.

Scenarios:
  plain-1k plain-16k plain-256k  closed loop of chat requests that stream nothing
  events                         paced streams: CPU per relayed event
  flat-out                       32 streams as fast as they go
  short                          streams of three tokens, open to close
  open                           memory of streams that wait for their next event
  gone-waiting gone-between      upstreams that outlive their clients
  idle                           memory of a process that has nothing to do`

const example = `  go run ./bench/load --quick                      # a minute, no repetition
  go run ./bench/load --md > table.md              # some six minutes
  go run ./bench/load --only events,flat --streams 4000
  go run ./bench/load --only plain-1k --profile /tmp/p && go tool pprof -top /tmp/p/plain-1k.pprof
  go run ./bench/load --mock 127.0.0.1:9400 --gateway apisix=http://127.0.0.1:9080 --pid apisix=4711`

type options struct {
	quick, md, json          bool
	only, columns            []string
	gateways                 []string
	pids                     map[string]string
	headrace, profile, mock  string
	procs                    int
	rounds, streams, rate    int
	open, leave, promptBytes int
	seconds                  float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "load", Short: "Compare gateways side by side", Long: long, Example: example,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.quick, "quick", false, "one short round of everything, about a minute")
	f.StringSliceVar(&o.only, "only", nil, "scenarios that begin with these `NAMES`")
	f.StringSliceVar(&o.columns, "columns", []string{"headrace", "nginx", "haproxy", "direct"}, "gateways to compare")
	f.IntVar(&o.rounds, "rounds", 0, "interleaved `ROUNDS` (default 3, quick: 1)")
	f.Float64Var(&o.seconds, "seconds", 0, "`SECONDS` that are measured in each round (default 2.5, quick: 1)")
	f.StringVar(&o.headrace, "headrace", "", "`PROGRAM` to measure (default: builds the one in this folder)")
	f.IntVar(&o.procs, "procs", 1, "GOMAXPROCS of Headrace; it stays on one core")
	f.IntVar(&o.streams, "streams", 0, "`STREAMS` of the scenario events (default 400)")
	f.IntVar(&o.rate, "rate", 0, "events per second offered there (default 40000)")
	f.IntVar(&o.open, "open", 0, "`STREAMS` of the scenario open, up to 8000 (default 1000)")
	f.IntVar(&o.leave, "leave", 0, "`CLIENTS` of the scenarios gone (default 1000)")
	f.IntVar(&o.promptBytes, "prompt", 0, "`BYTES` of the bodies that ask for streams (default 1024)")
	f.StringVar(&o.mock, "mock", "", "`ADDRESS` of the mock provider (default: a free port)")
	f.StringArrayVar(&o.gateways, "gateway", nil, "another gateway, `NAME=URL`, that sends requests on to --mock (which is slower at plain ones than what the others get); may be repeated")
	f.StringToStringVar(&o.pids, "pid", nil, "its process, `NAME=PID`; without it there is no CPU time")
	f.StringVar(&o.profile, "profile", "", "keep a CPU profile of Headrace for each scenario in `FOLDER`")
	f.BoolVar(&o.md, "md", false, "print Markdown")
	f.BoolVar(&o.json, "json", false, "print every round as JSON")
	return cmd
}

// settings are the defaults with the flags over them.
func (o *options) settings() (settings, error) {
	s := defaults(o.quick)
	over := func(to *int, v int) {
		if v != 0 {
			*to = v
		}
	}
	over(&s.rounds, o.rounds)
	over(&s.streams, o.streams)
	over(&s.rate, o.rate)
	over(&s.open, o.open)
	over(&s.leave, o.leave)
	over(&s.promptBytes, o.promptBytes)
	if o.seconds != 0 {
		s.window = time.Duration(o.seconds * float64(time.Second))
	}
	within := func(name string, v, low, high int) error {
		if v < low || v > high {
			return fmt.Errorf("cannot use --%s %d: want %d to %d", name, v, low, high)
		}
		return nil
	}
	return s, errors.Join(within("rounds", s.rounds, 1, 100), within("streams", s.streams, 1, 8000), within("rate", s.rate, s.streams/10, 1000000),
		within("open", s.open, 1, 8000), within("leave", s.leave, 1, 8000), within("prompt", s.promptBytes, 400, 16<<20),
		within("seconds", int(s.window/time.Millisecond), 100, 600000), within("procs", o.procs, 1, 64))
}

func run(ctx context.Context, o options) error {
	s, err := o.settings()
	if err != nil {
		return err
	}
	b := &bench{settings: s, profiles: o.profile, progress: progress(os.Stderr)}
	if b.list, err = pick(scenarios(s), o.only); err != nil {
		return err
	}
	files := 2*max(s.open, s.leave, s.streams) + 300
	if err := enoughFiles(files); err != nil {
		return err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return fmt.Errorf("cannot keep profiles: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "headrace-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.lab = &lab{dir: dir, headrace: o.headrace, procs: o.procs, files: files}
	if b.lab.headrace == "" {
		b.progress("building Headrace")
		if b.lab.headrace, err = build(ctx, dir); err != nil {
			return err
		}
	} else if b.lab.headrace, err = filepath.Abs(o.headrace); err != nil {
		return err
	}
	if b.lab.cores, err = pin(); err != nil {
		fmt.Fprintln(os.Stderr, "load: warning: numbers will be noisy:", err)
	}
	debug.SetGCPercent(400)

	defer func() {
		for _, g := range b.gateways {
			g.stop()
		}
		if b.lab.mock != nil {
			b.lab.mock.stop()
		}
		if b.lab.plain != nil {
			b.lab.plain.stop()
		}
	}()
	if err := b.setUp(ctx, o); err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	b.progress("")
	line := strings.Join(append([]string{"go run ./bench/load"}, os.Args[1:]...), " ")
	switch {
	case o.json:
		return b.json(os.Stdout, line)
	case o.md:
		b.markdown(os.Stdout, line)
	default:
		width := terminal(os.Stdout)
		if width == 0 {
			width = 120
		}
		b.print(os.Stdout, width, line)
	}
	return nil
}

// setUp starts the mock and the gateways.
func (b *bench) setUp(ctx context.Context, o options) error {
	b.progress("starting")
	if err := b.lab.startMock(ctx, o.mock); err != nil {
		return err
	}
	builtin := map[string]func() *gateway{"headrace": b.lab.native, "nginx": b.lab.nginx, "haproxy": b.lab.haproxy, "direct": b.lab.direct}
	for _, name := range o.columns {
		if builtin[name] == nil {
			return fmt.Errorf("cannot use --columns %q: want headrace, nginx, haproxy or direct; others by --gateway", name)
		}
		b.gateways = append(b.gateways, builtin[name]())
	}
	for _, spec := range o.gateways {
		name, _, _ := strings.Cut(spec, "=")
		g, err := third(spec, o.pids[name])
		if err != nil {
			return err
		}
		b.gateways = append(b.gateways, g)
	}
	for _, g := range b.gateways {
		if g.absent != "" {
			continue
		}
		err := g.start(ctx)
		if err == nil && g.control != "" {
			if err = b.lab.proves(g); err != nil {
				err = fmt.Errorf("%s does not do what is to be measured: %w", g.name, err)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && g.name == "headrace" {
			return err
		}
		if err != nil {
			g.absent = err.Error()
		}
	}
	return nil
}

// build makes the program that is measured, as make build does.
func build(ctx context.Context, dir string) (string, error) {
	if _, err := os.Stat("bench/load"); err != nil {
		return "", errors.New("cannot build Headrace: run this in the folder of the repository, or name a program with --headrace")
	}
	path := filepath.Join(dir, "headrace")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build Headrace: %w\n%s", err, out)
	}
	return path, nil
}

// enoughFiles looks whether a gateway may hold so many descriptors.
func enoughFiles(n int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err == nil && lim.Max < uint64(n) {
		return fmt.Errorf("a gateway needs %d descriptors for so many streams, the limit is %d: raise it (ulimit -Hn) or ask for fewer", n, lim.Max)
	}
	return nil
}

// progress writes one changing line to a terminal, nothing elsewhere.
func progress(f *os.File) func(string, ...any) {
	if terminal(f) == 0 {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) {
		io.WriteString(f, "\r\x1b[K"+fmt.Sprintf(format, args...))
	}
}
