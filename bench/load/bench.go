//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is one run: every scenario with every gateway, interleaved.
type bench struct {
	settings
	lab      *lab
	gateways []*gateway
	list     []scenario
	profiles string // folder for profiles; "": none
	progress func(format string, args ...any)
	results  []*result
}

// result is one scenario's outcome.
type result struct {
	scenario scenario
	cells    map[string]*cell // by name of the gateway
}

// cell is one scenario with one gateway.
type cell struct {
	Rounds []sample `json:"rounds"`
	Notes  []string `json:"notes,omitempty"` // what went wrong; the report marks the cell
}

func (c *cell) note(text string) {
	if !slices.Contains(c.Notes, text) {
		c.Notes = append(c.Notes, text)
	}
}

// median of a metric over the rounds, and how far apart they lie.
func (c *cell) median(key string) (mid, spread float64, ok bool) {
	var v []float64
	for _, s := range c.Rounds {
		if x, ok := s[key]; ok {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return 0, 0, false
	}
	slices.Sort(v)
	mid = v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (mid + v[len(v)/2-1]) / 2
	}
	if mid > 0 {
		spread = (v[len(v)-1] - v[0]) / mid
	}
	return mid, spread, true
}

// run measures everything. Only ctx ends it early; a gateway that fails gets a
// note in its cells.
func (b *bench) run(ctx context.Context) error {
	for i, s := range b.list {
		r := &result{scenario: s, cells: map[string]*cell{}}
		b.results = append(b.results, r)
		for round := range b.rounds {
			for k := range b.gateways {
				// The order rotates: nobody always follows the same neighbour.
				g := b.gateways[(k+round)%len(b.gateways)]
				if g.absent != "" || s.proxied && len(g.pids) == 0 {
					continue
				}
				c := r.cells[g.name]
				if c == nil {
					c = &cell{}
					r.cells[g.name] = c
				}
				b.progress("%2d/%d %-12s round %d/%d  %s", i+1, len(b.list), s.name, round+1, b.rounds, g.name)
				if err := b.visit(ctx, s, g, c); err != nil {
					return err
				}
			}
		}
		if err := b.profile(ctx, s); err != nil {
			return err
		}
		for _, g := range b.gateways {
			g.cutLogs()
		}
	}
	return nil
}

// visit is one round of one scenario with one gateway.
func (b *bench) visit(ctx context.Context, s scenario, g *gateway, c *cell) error {
	var v sample
	var notes []string
	var err error
	if s.fresh || (g.proc != nil && g.proc.ended()) {
		err = g.restart(ctx)
	}
	if s.fresh && !g.fresh() {
		c.note("not a fresh process: somebody else started it")
	}
	if err == nil {
		v, notes, err = s.run(ctx, b, g, b.window)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, n := range notes {
		c.note(n)
	}
	if err != nil {
		c.note(err.Error())
		return nil
	}
	c.Rounds = append(c.Rounds, v)
	return nil
}

// reading is a moment of a measurement.
type reading struct {
	at      time.Time
	cpu     time.Duration
	count   int64
	mallocs float64
	seen    int64 // count when mallocs was read

	others [2]time.Duration // work on the gateway's and on the load's core that is not ours
}

// measure drives a job for a while and divides CPU time by what was counted.
// Counting begins after the warm-up, when every stream is open.
func (b *bench) measure(ctx context.Context, g *gateway, j job, window time.Duration, count func(*tally) int64) (sample, []string, error) {
	d := startDrive(g, j)
	defer d.stop()
	var err error
	if j.events != 0 && !j.once {
		err = d.await(ctx, int64(j.conns), "streams open", d.tally.opened.Load)
	}
	if err == nil {
		err = sleep(ctx, b.warm)
	}
	if err != nil {
		return nil, d.faults(), err
	}
	var from, to reading
	// Reading the allocations costs CPU time, so it lies outside.
	from.mallocs, from.seen = mallocs(g), count(&d.tally)
	err = from.take(b.lab, g, &d.tally, count)
	if err == nil {
		err = sleep(ctx, window)
	}
	if err == nil {
		err = to.take(b.lab, g, &d.tally, count)
	}
	if err != nil {
		return nil, d.faults(), err
	}
	to.mallocs, to.seen = mallocs(g), count(&d.tally)
	n, took := float64(to.count-from.count), to.at.Sub(from.at)
	if n < 1 {
		return nil, d.faults(), errors.New("nothing was answered")
	}
	v := sample{"rate": n / took.Seconds()}
	if len(g.pids) > 0 {
		cpu := to.cpu - from.cpu
		v["cpu"] = float64(cpu.Nanoseconds()) / 1000 / n
		v["busy"] = 100 * cpu.Seconds() / took.Seconds()
	}
	for i := range to.others {
		if i == 0 && len(g.pids) == 0 {
			continue // the gateway's core does not matter
		}
		v["others"] = max(v["others"], 100*(to.others[i]-from.others[i]).Seconds()/took.Seconds())
	}
	if m := to.mallocs - from.mallocs; g.metrics != "" && m > 0 && to.seen > from.seen {
		v["mallocs"] = m / float64(to.seen-from.seen)
	}
	return v, d.faults(), nil
}

func (r *reading) take(l *lab, g *gateway, t *tally, count func(*tally) int64) (err error) {
	r.at, r.count = time.Now(), count(t)
	if r.cpu, err = cpuTime(g.pids); err != nil || l.cores.gateway < 0 {
		return err
	}
	load, err := cpuTime([]int{os.Getpid(), l.mock.pid()})
	r.others = [2]time.Duration{coreTime(l.cores.gateway) - r.cpu, coreTime(l.cores.load) - load}
	return err
}

// noise says how much of the cores other programs had; "": hardly any.
func (b *bench) noise() string {
	var v []float64
	for _, r := range b.results {
		for _, c := range r.cells {
			for _, s := range c.Rounds {
				if x, ok := s["others"]; ok {
					v = append(v, x)
				}
			}
		}
	}
	if len(v) == 0 {
		return ""
	}
	slices.Sort(v)
	if mid := v[len(v)/2]; mid > 5 || v[len(v)-1] > 20 {
		return fmt.Sprintf("! noisy: other programs had %.0f %% of a core in the median measurement, %.0f %% in the worst; repeat this on a quiet machine", mid, v[len(v)-1])
	}
	return ""
}

// mallocs is how many objects a gateway written in Go has allocated.
func mallocs(g *gateway) float64 {
	if g.metrics == "" {
		return 0
	}
	text, err := get(g.metrics)
	if err != nil {
		return 0
	}
	return findMetric(string(text), "go_memstats_mallocs_total")
}

func findMetric(text, name string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v
		}
	}
	return 0
}

// profile repeats a scenario without measuring it and keeps a CPU profile:
// profiling costs, so it must not happen in a round that counts.
func (b *bench) profile(ctx context.Context, s scenario) error {
	if b.profiles == "" || s.fresh {
		return nil
	}
	for _, g := range b.gateways {
		if g.control == "" || g.absent != "" {
			continue
		}
		b.progress("%s: profile of %s", s.name, g.name)
		window := max(b.window, 5*time.Second)
		name := filepath.Join(b.profiles, s.name+".pprof")
		done := make(chan error, 1)
		go func() {
			if sleep(ctx, b.warm+500*time.Millisecond) != nil {
				done <- nil
				return
			}
			p, err := get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", g.control, int(window.Seconds())-1))
			if err == nil {
				err = os.WriteFile(name, p, 0o644)
			}
			done <- err
		}()
		_, _, err := s.run(ctx, b, g, window)
		if err2 := <-done; err == nil {
			err = err2
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("cannot profile %s: %w", s.name, err)
		}
	}
	return nil
}
