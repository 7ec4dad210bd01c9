// Package wire is the exchange of one HTTP/1.1 request with an upstream over
// pooled connections that can be cancelled in every phase.
//
// A Client keeps the connections, a Pool is one target's view of them, and an
// Exchange is one request and its answer: Pool.Do sends the bytes of the
// request and reads the head of the response, Exchange.Read gives the body
// without its framing, Exchange.Done hands the connection back. Heads are read
// and bodies are de-chunked on the bytes themselves, in place; an exchange on
// a pooled connection allocates nothing.
//
// Timeouts are coarse on purpose. Setting a deadline costs as much as a small
// read, so a deadline is armed one eighth longer than asked for and armed again
// only when that eighth is used up: a wait of T ends between T and 1.125 T.
//
// Bodies too large for memory go through Pool.DoStream, which reads them while
// it sends; after an upgrade Exchange.Tunnel hands the connection over.
//
// Watch tells when a peer has gone, without reading from its connection; the
// package uses it for idle upstream connections, the engine for clients.
package wire

import (
	"context"
	"crypto/x509"
	"net"
	"time"
)

// Target says where requests go and how their connections are kept. TLS,
// Host, Addr, Port, SNI and Verify are the identity of a pool: targets that
// agree in them share connections. Where sharing targets differ, IdleFor counts for each
// connection by the target that used it last and the largest PoolSize wins.
type Target struct {
	TLS       bool
	Host      string // name or address, IPv6 with or without brackets
	Addr      string // IP address to connect to; empty: Host is resolved for each connection
	Port      int
	SNI       string // server name for TLS; empty: Host
	Verify    bool   // check the certificate; only with TLS
	KeepAlive bool   // pool connections after use
	IdleFor   time.Duration
	PoolSize  int // idle connections kept
}

// What a Target means that leaves IdleFor or PoolSize at zero; the values are
// those of ai-proxy's keepalive_timeout and keepalive_pool.
const (
	DefaultIdleFor  = 60 * time.Second
	DefaultPoolSize = 30
)

// Timeouts of an exchange; zero means none. Connect covers name resolution,
// connecting and the TLS handshake together. Send and Read are the longest
// time without progress: of one write of up to 256 KiB, and of one wait for
// bytes (of the head or the body), never of a whole message.
type Timeouts struct {
	Connect, Send, Read time.Duration
}

// Options of a Client; the zero value is usable.
type Options struct {
	// Watch takes dead idle connections out at once; without it they are
	// found when they are about to be used. It is not closed by the Client.
	Watch *Watch
	// RootCAs for targets with Verify; nil: the system's.
	RootCAs *x509.CertPool
	// Dial replaces net.Dialer (a caching resolver, tests). It must return
	// soon after its context ends and is called from many goroutines.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxHead limits the bytes of a response head; 0: 64 KiB.
	MaxHead int
}

const (
	defaultMaxHead = 64 << 10
	firstBuf       = 4 << 10  // an Exchange's buffer to begin with
	keepBuf        = 64 << 10 // larger buffers are not kept by Reset
	sendPiece      = 256 << 10
	maxInterim     = 64 // 1xx heads before a final one
)

// epoch makes clock readings small numbers; time.Since reads only the
// monotonic clock, which is half the price of time.Now.
var epoch = time.Now()

func mono() int64 { return int64(time.Since(epoch)) }
