package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// shutdown says that it is not ready, goes on accepting for
// headrace.shutdown_delay, so that load balancers can find out, and then lets
// requests and streams finish within headrace.shutdown_timeout. At a terminal
// nobody waits for a load balancer. A second signal ends at once.
func (g *gateway) shutdown(signals <-chan os.Signal, first os.Signal) error {
	g.engine.Drain()
	timeout := g.cfg.Headrace.ShutdownTimeout
	if delay := g.cfg.Headrace.ShutdownDelay; delay > 0 && first == syscall.SIGTERM {
		g.log.Warn("shutting down: not ready any more, connections are still accepted", "for", delay)
		if !g.pause(signals, delay) {
			timeout = 0
		}
	}
	g.log.Warn("shutting down: waiting for open requests", "streams", g.engine.Streams(), "timeout", timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- g.engine.Shutdown(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				g.log.Error("open requests were cut", "err", err)
			}
			return nil
		case s := <-signals:
			if ends(s) {
				cancel()
			}
		}
	}
}

// retire leaves everything to a successor that serves already: its sockets
// are the same, so that none of them is ever closed. Clients that are
// connected here get one more answer each, or the end of their stream.
func (g *gateway) retire(signals <-chan os.Signal) error {
	g.log.Warn("upgrade: the successor serves, this process ends with its last stream")
	g.engine.StopAccepting()
	for _, s := range g.listening() {
		s.close()
	}
	return g.shutdown(signals, syscall.SIGTERM)
}

// ends tells the signals that want the process to end.
func ends(s os.Signal) bool { return s == syscall.SIGTERM || s == syscall.SIGINT }

// ready says why the gateway should get no traffic.
func (g *gateway) ready() error {
	if g.document != nil && !g.document.Received() {
		return errors.New("no configuration was received yet")
	}
	return g.engine.Ready()
}

// pause waits; a signal that wants the end ends it and is reported as false.
func (g *gateway) pause(signals <-chan os.Signal, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case s := <-signals:
			if ends(s) {
				return false
			}
		}
	}
}
