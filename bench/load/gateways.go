//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// gateway is one column: an address, and mostly a process behind it.
type gateway struct {
	name    string
	version string
	absent  string // why it cannot take part
	addr    string
	plain   string // path of the plain provider behind it; "": the mock answers plain requests too
	bare    string // address of that provider, where no gateway is
	metrics string // URL of its metrics; "": none
	control string // base URL of its pprof; "": none
	pids    []int  // the process and its children; none: no CPU time
	logs    []string

	proc   *process
	launch func(g *gateway) error // nil: it runs already, or is nobody's
}

// start brings a gateway up and proves that it does its work.
func (g *gateway) start(ctx context.Context) error {
	if g.launch == nil {
		return g.probe(ctx)
	}
	if err := g.launch(g); err != nil {
		return err
	}
	if err := g.probe(ctx); err != nil {
		said := g.proc.said()
		g.stop()
		return fmt.Errorf("%s does not work: %w; it said: %s", g.name, err, said)
	}
	g.pids = tree(g.proc.pid())
	return nil
}

func (g *gateway) stop() {
	if g.proc != nil {
		g.proc.stop()
		g.proc, g.pids = nil, nil
	}
}

// restart brings a fresh process up, with fresh memory.
func (g *gateway) restart(ctx context.Context) error {
	if g.launch == nil {
		return nil
	}
	g.stop()
	return g.start(ctx)
}

// fresh says whether restart makes a difference.
func (g *gateway) fresh() bool { return g.launch != nil }

// probe waits up to 10 s for the first good answer, then asks for a stream.
func (g *gateway) probe(ctx context.Context) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := g.ask(prompt{bytes: 1 << 10}, 0)
		if err == nil {
			break
		}
		if g.proc != nil && g.proc.ended() {
			return errors.New("the process has ended")
		}
		if time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return g.ask(prompt{bytes: 1 << 10, stream: true, headers: []string{"x-mock-tokens: 3"}}, shortEvents)
}

// shortEvents are the events of a stream with three tokens: role, tokens,
// finish, usage and [DONE].
const shortEvents = 3 + 4

// target is where requests of a kind go.
func (g *gateway) target(stream bool) (addr, path string) {
	switch {
	case stream:
		return g.addr, chatPath
	case g.bare != "":
		return g.bare, chatPath
	case g.plain != "":
		return g.addr, g.plain
	}
	return g.addr, chatPath
}

// ask sends one request.
func (g *gateway) ask(p prompt, events int) error {
	d := &drive{job: job{events: events}}
	d.addr, d.path = g.target(p.stream)
	return d.ask(p)
}

func (d *drive) ask(p prompt) error {
	c, err := dial(d.addr, &d.tally)
	if err != nil {
		return plainError(err)
	}
	defer c.nc.Close()
	c.stream = p.stream
	giveUp := time.AfterFunc(5*time.Second, func() { c.nc.Close() })
	defer giveUp.Stop()
	if err := c.do(newSource(d.addr, d.path, p, 0, 1).request()); err != nil {
		return err
	}
	return d.check(&c.res)
}

// cutLogs empties the log files, which grow by megabytes per second.
func (g *gateway) cutLogs() {
	for _, name := range g.logs {
		os.Truncate(name, 0)
	}
}
