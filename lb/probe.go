package lb

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
)

// Node is an address that is probed: what APISIX keys a health target by. Host
// is the domain whose address IP is, or empty.
type Node struct {
	IP   string
	Port int
	Host string
}

// String returns the address, with the domain where there is one.
func (n Node) String() string {
	addr := net.JoinHostPort(n.IP, strconv.Itoa(n.Port))
	if n.Host == "" || n.Host == n.IP {
		return addr
	}
	return n.Host + " (" + addr + ")"
}

// ProbeType is the depth of a probe.
type ProbeType string

// The types of ai-proxy.md 6.7. A TCP probe is content with a connection.
const (
	HTTP  ProbeType = "http"
	HTTPS ProbeType = "https"
	TCP   ProbeType = "tcp"
)

// The lists of ai-proxy.md 6.7 for a configuration that has none. A Probe does
// not fall back to them; they must not be changed.
var (
	DefaultHealthyStatuses   = []int{200, 302}
	DefaultUnhealthyStatuses = []int{429, 404, 500, 501, 502, 503, 504, 505}
)

// DefaultTimeout is the timeout of a Probe that has none.
const DefaultTimeout = time.Second

// maxStatusLine bounds what is read of an answer. A longer first line is no
// HTTP.
const maxStatusLine = 8 << 10

// Probe is one active check (checks.active). It must not be changed once in
// use; then it is safe for concurrent use. The zero value asks for "GET /" over
// plain HTTP and ignores every status.
type Probe struct {
	Type    ProbeType     // empty: HTTP
	Timeout time.Duration // of each step: connect, handshake, send, receive; 0: DefaultTimeout
	Host    string        // Host header and SNI of nodes without a domain; empty: the IP
	Port    int           // 0: the node's
	Method  string        // empty: GET
	Path    string        // with its query; empty: /
	Body    string
	Headers []string // lines "Name: value", sent as they are
	SNI     string   // empty: the node's domain, else Host, else the IP
	Verify  bool     // https_verify_certificate

	HealthyStatuses   []int
	UnhealthyStatuses []int

	// RootCAs are trusted when Verify is set; nil: those of the system.
	RootCAs *x509.CertPool
	// Dial makes connections; nil: net.Dialer. It must obey its context.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Do probes a node. The error is the reason of a failure or, with Ignored, of
// being ignored. When ctx ends the socket is closed at once, whatever the probe
// is waiting for, and the result is Ignored.
func (p *Probe) Do(ctx context.Context, n Node) (Result, error) {
	r, err := p.do(ctx, n)
	if ctx.Err() != nil {
		return Ignored, context.Cause(ctx)
	}
	return r, err
}

func (p *Probe) do(ctx context.Context, n Node) (Result, error) {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	port := p.Port
	if port == 0 {
		port = n.Port
	}
	addr := net.JoinHostPort(n.IP, strconv.Itoa(port))
	raw, err := p.connect(ctx, addr, timeout)
	if err != nil {
		return failure(err), fmt.Errorf("cannot connect to %q: %w", addr, err)
	}
	defer raw.Close()
	if p.Type == TCP {
		return Success, nil
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()

	conn := raw
	if p.Type == HTTPS {
		over := tls.Client(raw, p.tls(n))
		raw.SetDeadline(time.Now().Add(timeout))
		// A handshake that takes too long is a tcp failure as well:
		// lua-resty-healthcheck looks for timeouts in the other steps only.
		if err := over.Handshake(); err != nil {
			return TCPFailure, fmt.Errorf("cannot do a TLS handshake with %q: %w", addr, err)
		}
		conn = over
	}
	raw.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write(p.request(n)); err != nil {
		return failure(err), fmt.Errorf("cannot send a request to %q: %w", addr, err)
	}
	raw.SetDeadline(time.Now().Add(timeout))
	line, err := readLine(conn)
	if err != nil {
		return failure(err), fmt.Errorf("cannot receive a status line from %q: %w", addr, err)
	}
	return p.judge(line)
}

func (p *Probe) connect(ctx context.Context, addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if p.Dial != nil {
		return p.Dial(ctx, "tcp", addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func failure(err error) Result {
	var ne net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		return TimeoutFailure
	}
	return TCPFailure
}

func (p *Probe) tls(n Node) *tls.Config {
	sni := p.SNI
	if sni == "" {
		sni = p.host(n)
	}
	return &tls.Config{ServerName: sni, RootCAs: p.RootCAs, InsecureSkipVerify: !p.Verify}
}

// readLine reads up to the first LF, or what fits.
func readLine(c net.Conn) ([]byte, error) {
	buf := make([]byte, 0, 512)
	for len(buf) < maxStatusLine {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
		n, err := c.Read(buf[len(buf):cap(buf)])
		if i := slices.Index(buf[len(buf):len(buf)+n], '\n'); i >= 0 {
			return buf[:len(buf)+i], nil
		}
		buf = buf[:len(buf)+n]
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// judge reads "HTTP/<d>.<d> <status>", as the expression of
// lua-resty-healthcheck does: ^HTTP/\d+\.\d+\s+(\d+).
func (p *Probe) judge(line []byte) (Result, error) {
	status, ok := parseStatus(line)
	switch {
	case !ok:
		return HTTPFailure, fmt.Errorf("cannot parse status line %q", line[:min(len(line), 100)])
	case slices.Contains(p.HealthyStatuses, status):
		return Success, nil
	case slices.Contains(p.UnhealthyStatuses, status):
		return HTTPFailure, fmt.Errorf("unhealthy status %d", status)
	}
	return Ignored, fmt.Errorf("status %d is in neither list", status)
}

func parseStatus(line []byte) (status int, ok bool) {
	if len(line) < 5 || !bytes.EqualFold(line[:5], []byte("HTTP/")) {
		return 0, false
	}
	major, line := span(line[5:], digits)
	dot, line := span(line, ".")
	minor, line := span(line, digits)
	space, line := span(line, " \t\r\v\f")
	code, _ := span(line, digits)
	if len(major) == 0 || len(dot) != 1 || len(minor) == 0 || len(space) == 0 {
		return 0, false
	}
	status, err := strconv.Atoi(string(code))
	return status, err == nil && status > 0
}

const digits = "0123456789"

// span splits p after its leading bytes that are in set.
func span(p []byte, set string) (in, rest []byte) {
	rest = bytes.TrimLeft(p, set)
	return p[:len(p)-len(rest)], rest
}
