package main

import (
	"golang.org/x/sys/unix"
)

// A stream needs two descriptors, one to the client and one to the provider;
// some are kept for logs, the store and the listeners.
const (
	keptFiles  = 64
	fewClients = 4096
)

// maxConnections is how many clients may be connected at a time: what is
// configured, else as many as the file limit has room for together with
// their providers. Go has raised the limit to the hard one already.
func (g *gateway) maxConnections() int {
	n := g.cfg.Headrace.MaxConnections
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return n
	}
	room := 1 << 30
	if files := limit.Cur; files < 1<<31 {
		room = max(1, (int(files)-keptFiles)/2)
	}
	switch {
	case n > room:
		g.log.Warn("the file limit is too low for headrace.max_connections", "limit", limit.Cur, "max_connections", n, "room_for_streams", room)
		return n
	case n > 0:
		return n
	case room < fewClients:
		g.log.Warn("the file limit is low: raise it (ulimit -n, LimitNOFILE=)", "limit", limit.Cur, "clients", room)
	}
	return room
}
