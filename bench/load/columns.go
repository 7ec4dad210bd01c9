//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// direct is the connection without a gateway.
func (l *lab) direct() *gateway {
	return &gateway{name: "direct", addr: l.mockAddr, bare: l.plain.addr()}
}

// native is Headrace with an ai-proxy route as users run it.
func (l *lab) native() *gateway {
	g := &gateway{name: "headrace", plain: plainPath, version: firstLine(l.headrace, "version")}
	g.launch = func(g *gateway) error {
		ports, err := freePorts(3)
		if err != nil {
			return err
		}
		g.logs = []string{filepath.Join(l.dir, "headrace-access.log")}
		config := fmt.Sprintf(headraceConfig, ports[0], ports[1], g.logs[0], ports[2])
		if err := errors.Join(write(l.dir, "config.yaml", config),
			write(l.dir, "apisix.yaml", fmt.Sprintf(headraceRoute, servedModel, l.mockAddr, l.plain.addr()))); err != nil {
			return err
		}
		g.proc, err = startProcess(l.dir, "headrace", l.cores.gateway, []string{fmt.Sprintf("GOMAXPROCS=%d", l.procs)},
			l.headrace, "serve", "-c", filepath.Join(l.dir, "config.yaml"))
		g.addr = fmt.Sprintf("127.0.0.1:%d", ports[0])
		g.control = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
		g.metrics = fmt.Sprintf("http://127.0.0.1:%d/apisix/prometheus/metrics", ports[2])
		return err
	}
	return g
}

// nginx is Debian's package as a bare reverse proxy.
func (l *lab) nginx() *gateway {
	g := &gateway{name: "nginx", plain: plainPath}
	bin := program("nginx")
	if bin == "" {
		g.absent = "nginx is not installed (apt-get install nginx)"
		return g
	}
	g.version = firstLine(bin, "-v")
	g.launch = func(g *gateway) error {
		port, err := freePort()
		if err != nil {
			return err
		}
		g.logs = []string{filepath.Join(l.dir, "nginx-access.log")}
		user := ""
		if os.Getuid() == 0 {
			user = "user root;" // the folder is closed to www-data
		}
		config := fmt.Sprintf(nginxConfig, user, l.dir, g.logs[0], l.mockAddr, port, l.plain.addr(), l.files)
		if err := write(l.dir, "nginx.conf", config); err != nil {
			return err
		}
		g.proc, err = startProcess(l.dir, "nginx", l.cores.gateway, nil,
			bin, "-e", "stderr", "-p", l.dir, "-c", filepath.Join(l.dir, "nginx.conf"))
		g.addr = fmt.Sprintf("127.0.0.1:%d", port)
		return err
	}
	return g
}

// haproxy is Debian's package as a bare reverse proxy.
func (l *lab) haproxy() *gateway {
	g := &gateway{name: "haproxy", plain: plainPath}
	bin := program("haproxy")
	if bin == "" {
		g.absent = "haproxy is not installed (apt-get install haproxy)"
		return g
	}
	g.version, _, _ = strings.Cut(firstLine(bin, "-v"), " 20")
	g.launch = func(g *gateway) error {
		port, err := freePort()
		if err != nil {
			return err
		}
		if err := write(l.dir, "haproxy.cfg", fmt.Sprintf(haproxyConfig, port, l.mockAddr, l.plain.addr(), l.files/2)); err != nil {
			return err
		}
		g.proc, err = startProcess(l.dir, "haproxy", l.cores.gateway, nil, bin, "-db", "-f", filepath.Join(l.dir, "haproxy.cfg"))
		if err == nil {
			g.logs = []string{g.proc.log}
		}
		g.addr = fmt.Sprintf("127.0.0.1:%d", port)
		return err
	}
	return g
}

// third is a gateway that somebody else has started.
func third(spec, pid string) (*gateway, error) {
	name, raw, ok := strings.Cut(spec, "=")
	u, err := url.Parse(raw)
	if !ok || name == "" || err != nil || u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("cannot use --gateway %q: want NAME=http://HOST:PORT, requests go to %s there", spec, chatPath)
	}
	g := &gateway{name: name, addr: u.Host}
	if u.Port() == "" {
		g.addr = net.JoinHostPort(u.Hostname(), "80")
	}
	if pid != "" {
		n, err := strconv.Atoi(pid)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("cannot use --pid %q for %s: want the number of a process", pid, name)
		}
		g.pids = tree(n)
	}
	return g, nil
}

func write(dir, name, text string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
}

// program finds what may be in /usr/sbin, which not every PATH has.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path
	}
	return ""
}

func firstLine(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if err != nil {
		return "version unknown"
	}
	return strings.TrimPrefix(line, "nginx version: ")
}
