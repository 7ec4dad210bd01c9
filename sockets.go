package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Names of the environment by which a process inherits listening sockets, from
// descriptor 3 on: systemd's (sd_listen_fds(3)), and our own for an upgrade.
const (
	envListenFDs = "LISTEN_FDS"
	envListenPID = "LISTEN_PID"
	envSockets   = "HEADRACE_SOCKETS"
	envTalk      = "HEADRACE_PREDECESSOR"
)

const firstInherited = 3

// sockets are listening sockets that this process was given, by address.
type sockets map[string]net.Listener

// inherit takes over what the environment names, and takes the names out of it.
func inherit() (sockets, error) {
	n := 0
	if v := os.Getenv(envSockets); v != "" {
		n, _ = strconv.Atoi(v)
	} else if os.Getenv(envListenPID) == strconv.Itoa(os.Getpid()) {
		n, _ = strconv.Atoi(os.Getenv(envListenFDs))
	}
	for _, name := range []string{envSockets, envListenFDs, envListenPID, "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	all := sockets{}
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		f := os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd))
		ln, err := net.FileListener(f) // a copy
		f.Close()
		if err != nil {
			return all, fmt.Errorf("inherited descriptor %d is no listening socket: %w", fd, err)
		}
		all[ln.Addr().String()] = ln
	}
	return all, nil
}

// bind listens on an address as it is written: an IPv4 address stays one. A
// socket for it that was inherited is used instead of a new one.
func (g *gateway) bind(addr string) (net.Listener, error) {
	network := "tcp"
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		if ln, ok := g.inherited[ap.String()]; ok {
			delete(g.inherited, ap.String())
			return ln, nil
		}
		if ap.Addr().Is4() {
			network = "tcp4"
		}
	}
	return net.Listen(network, addr)
}

// closeInherited lets go of sockets that the configuration does not name.
func (g *gateway) closeInherited() {
	for addr, ln := range g.inherited {
		g.log.Warn("an inherited socket is not in the configuration", "addr", addr)
		ln.Close()
	}
	g.inherited = nil
}

// descriptor is a copy of a socket's descriptor that survives its listener. It
// stays as it is, not blocking: the two share that.
func descriptor(ln net.Listener) (fd int, err error) {
	sc, ok := ln.(*net.TCPListener)
	if !ok {
		return -1, fmt.Errorf("%s is no TCP socket", ln.Addr())
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := rc.Control(func(v uintptr) { fd, err = unix.FcntlInt(v, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}
