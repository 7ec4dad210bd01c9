//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// settings are what flags change about the scenarios.
type settings struct {
	rounds       int
	warm, window time.Duration
	settle       time.Duration // before the memory of something idle is read
	conns        int           // of closed loops
	streams      int           // of the paced scenario
	rate         int           // events/s offered there
	open         int           // idle streams
	leave        int           // clients that leave
	promptBytes  int           // of requests for streams
}

func defaults(quick bool) settings {
	s := settings{
		rounds: 3, warm: 500 * time.Millisecond, window: 2500 * time.Millisecond, settle: 1500 * time.Millisecond,
		conns: 8, streams: 400, rate: 40000, open: 1000, leave: 1000, promptBytes: 1 << 10,
	}
	if quick {
		s.rounds, s.warm, s.window, s.settle = 1, 300*time.Millisecond, time.Second, 700*time.Millisecond
	}
	return s
}

// metric is one row of the report.
type metric struct {
	key, label, unit string
	digits           int
	ratio            bool // to nginx, less is better
}

// sample is what one round of one scenario measured, by keys of metrics.
type sample map[string]float64

// scenario is one kind of load.
type scenario struct {
	name, title string
	metrics     []metric
	fresh       bool // wants a process that has done nothing else
	proxied     bool // makes no sense without a process to look at
	run         func(ctx context.Context, b *bench, g *gateway, window time.Duration) (sample, []string, error)
}

var (
	cpuRequest = metric{"cpu", "CPU per request", "µs", 1, true}
	cpuEvent   = metric{"cpu", "CPU per event", "µs", 2, true}
	busy       = metric{"busy", "gateway core busy", "%", 0, false}
)

// scenarios in the order of the report.
func scenarios(s settings) []scenario {
	var list []scenario
	for _, kb := range []int{1, 16, 256} {
		j := job{conns: s.conns, prompt: prompt{bytes: kb << 10, variants: 8}}
		list = append(list, scenario{
			name: fmt.Sprintf("plain-%dk", kb), title: fmt.Sprintf("plain request, %d KB body", kb),
			metrics: []metric{cpuRequest, {"rate", "requests/s", "", 0, false}, busy, {"mallocs", "allocations per request", "", 2, false}},
			run: func(ctx context.Context, b *bench, g *gateway, window time.Duration) (sample, []string, error) {
				return b.measure(ctx, g, j, window, func(t *tally) int64 { return t.requests.Load() })
			},
		})
	}
	events := func(t *tally) int64 { return t.lines.Load() / 2 }
	return append(list,
		scenario{
			name: "events", title: fmt.Sprintf("%d events/s offered, %d streams", s.rate, s.streams),
			metrics: []metric{cpuEvent, {"rate", "events/s reached", "", 0, false}, busy, {"mallocs", "allocations per event", "", 3, false}},
			run: func(ctx context.Context, b *bench, g *gateway, window time.Duration) (sample, []string, error) {
				v, notes, err := b.measure(ctx, g, pacedJob(s, window), window, events)
				if err == nil && v["rate"] < 0.97*float64(s.rate) {
					notes = append(notes, fmt.Sprintf("only %.0f of %d events/s were reached", v["rate"], s.rate))
				}
				return v, notes, err
			},
		},
		scenario{
			name: "flat-out", title: "flat out, 32 streams, 8 events in a write",
			metrics: []metric{cpuEvent, {"rate", "events/s", "", 0, false}, busy},
			run: func(ctx context.Context, b *bench, g *gateway, window time.Duration) (sample, []string, error) {
				p := prompt{bytes: s.promptBytes, variants: 2, stream: true, headers: []string{"x-mock-tokens: 20000", "x-mock-batch: 8"}}
				return b.measure(ctx, g, job{conns: 32, prompt: p, events: 20000 + 4}, window, events)
			},
		},
		scenario{
			name: "short", title: "3-token stream, open to close",
			metrics: []metric{{"cpu", "CPU per stream", "µs", 1, true}, {"rate", "streams/s", "", 0, false}, busy},
			run: func(ctx context.Context, b *bench, g *gateway, window time.Duration) (sample, []string, error) {
				p := prompt{bytes: s.promptBytes, variants: 8, stream: true, headers: []string{"x-mock-tokens: 3"}}
				return b.measure(ctx, g, job{conns: s.conns, prompt: p, events: shortEvents}, window, func(t *tally) int64 { return t.requests.Load() })
			},
		},
		scenario{
			name: "open", title: fmt.Sprintf("%d open idle streams", s.open), fresh: true, proxied: true,
			metrics: []metric{{"rss", "RSS per stream", "KB", 1, true}, {"anon", "anonymous per stream", "KB", 1, true}, {"fds", "descriptors per stream", "", 2, false}},
			run:     openStreams,
		},
		scenario{
			name: "gone-waiting", title: fmt.Sprintf("%d clients leave before the first byte", s.leave), fresh: true, proxied: true,
			metrics: []metric{{"left", "upstreams still open after 0.5 s", "", 0, false}},
			run: func(ctx context.Context, b *bench, g *gateway, _ time.Duration) (sample, []string, error) {
				return clientsLeave(ctx, b, g, "x-mock-hang: 1", true)
			},
		},
		scenario{
			name: "gone-between", title: fmt.Sprintf("%d clients leave between events", s.leave), fresh: true, proxied: true,
			metrics: []metric{{"left", "upstreams still open after 0.5 s", "", 0, false}},
			run: func(ctx context.Context, b *bench, g *gateway, _ time.Duration) (sample, []string, error) {
				return clientsLeave(ctx, b, g, "x-mock-stall: 2", false)
			},
		},
		scenario{
			name: "idle", title: "idle process", fresh: true, proxied: true,
			metrics: []metric{{"anon", "anonymous memory", "MB", 1, true}, {"pss", "PSS", "MB", 1, true}},
			run: func(ctx context.Context, b *bench, g *gateway, _ time.Duration) (sample, []string, error) {
				if err := sleep(ctx, b.settle); err != nil {
					return nil, nil, err
				}
				m, err := readMemory(g.pids)
				return sample{"anon": float64(m.anon) / (1 << 20), "pss": float64(m.pss) / (1 << 20)}, nil, err
			},
		})
}

// pick keeps the scenarios whose names begin with one of the wanted names.
func pick(all []scenario, wanted []string) ([]scenario, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	used := map[string]bool{}
	var list []scenario
	for _, s := range all {
		for _, w := range wanted {
			if strings.HasPrefix(s.name, w) {
				used[w] = true
				if !slices.ContainsFunc(list, func(o scenario) bool { return o.name == s.name }) {
					list = append(list, s)
				}
			}
		}
	}
	for _, w := range wanted {
		if !used[w] {
			return nil, fmt.Errorf("no scenario begins with %q; there are %s", w, names(all))
		}
	}
	return list, nil
}

func names(all []scenario) string {
	var n []string
	for _, s := range all {
		n = append(n, s.name)
	}
	return strings.Join(n, ", ")
}

// pacedJob offers s.rate events/s from s.streams streams that begin at
// different moments of the gap, so that events do not come in volleys.
func pacedJob(s settings, window time.Duration) job {
	gap := time.Duration(s.streams) * time.Second / time.Duration(s.rate)
	tokens := int((s.warm+window+40*time.Second)/gap) + 1 // outlasts the slowest start
	return job{
		conns: s.streams, events: -1,
		prompt: prompt{bytes: s.promptBytes, variants: 1, stream: true,
			headers: []string{fmt.Sprintf("x-mock-tokens: %d", tokens), "x-mock-gap: " + gap.String()}},
		header: func(int) string { return "x-mock-first: " + (rand.N(gap) + time.Microsecond).String() },
	}
}

// openStreams reads what streams cost that wait for their next event.
func openStreams(ctx context.Context, b *bench, g *gateway, _ time.Duration) (sample, []string, error) {
	if err := sleep(ctx, b.settle/2); err != nil {
		return nil, nil, err
	}
	before, err := readMemory(g.pids)
	if err != nil {
		return nil, nil, err
	}
	files := openFiles(g.pids)
	d := startDrive(g, job{conns: b.open, events: -1, once: true,
		prompt: prompt{bytes: b.promptBytes, variants: 1, stream: true, headers: []string{"x-mock-stall: 1"}}})
	defer d.stop()
	if err := d.await(ctx, int64(b.open), "streams open", d.tally.opened.Load); err != nil {
		return nil, d.faults(), err
	}
	if err := sleep(ctx, b.settle); err != nil {
		return nil, nil, err
	}
	after, err := readMemory(g.pids)
	n := float64(b.open)
	return sample{
		"rss":  float64(after.rss-before.rss) / 1024 / n,
		"anon": float64(after.anon-before.anon) / 1024 / n,
		"fds":  float64(openFiles(g.pids)-files) / n,
	}, d.faults(), err
}

// clientsLeave counts the requests that the provider still works on half a
// second after their clients have left.
func clientsLeave(ctx context.Context, b *bench, g *gateway, script string, silent bool) (sample, []string, error) {
	old, err := b.lab.openUpstreams()
	if err != nil {
		return nil, nil, err
	}
	n := int64(b.leave)
	d := startDrive(g, job{conns: b.leave, events: -1, once: true, silent: silent,
		prompt: prompt{bytes: b.promptBytes, variants: 1, stream: true, headers: []string{script}}})
	defer d.stop()
	var asked error
	open := func() int64 {
		now, err := b.lab.openUpstreams()
		asked = err
		return now - old
	}
	err = d.await(ctx, n, "requests at the provider", open)
	if err == nil && !silent {
		err = d.await(ctx, n, "streams open", d.tally.opened.Load)
	}
	if err == nil {
		err = sleep(ctx, 100*time.Millisecond)
	}
	if err == nil {
		err = asked
	}
	if err != nil {
		return nil, d.faults(), err
	}
	faults := d.faults()
	d.stop()
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return nil, nil, err
	}
	left := open()
	return sample{"left": float64(max(left, 0))}, faults, asked
}
