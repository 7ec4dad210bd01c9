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
			if s != syscall.SIGUSR1 {
				cancel()
			}
		}
	}
}

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
			if s != syscall.SIGUSR1 {
				return false
			}
		}
	}
}
