package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"headrace/plugin"
)

// TLSOptions are apisix.ssl.
type TLSOptions struct {
	Protocols      []string // ssl_protocols; empty: TLS 1.2 and 1.3
	SessionTickets bool
	FallbackSNI    string // the name of clients that send none
}

// errNoCertificate ends the handshake of a client that asks for a name that no
// ssl object has.
var errNoCertificate = errors.New("no certificate for this name")

// ServeTLS accepts clients from ln, as Serve does, and speaks TLS with them.
// Certificates are those of the configuration in force at each handshake.
func (e *Engine) ServeTLS(ln net.Listener, o TLSOptions) error {
	low, high := uint16(tls.VersionTLS12), uint16(0)
	if len(o.Protocols) > 0 {
		low, high = versions(o.Protocols)
	}
	cfg := &tls.Config{
		MinVersion: low, MaxVersion: high,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name := hello.ServerName
			if name == "" {
				name = o.FallbackSNI
			}
			c := e.snap.Load().certificates.find(strings.ToLower(name))
			if c == nil {
				return nil, errNoCertificate
			}
			return c.offered(low, high, o.SessionTickets), nil
		},
	}
	e.listening.add(ln)
	return e.server.Serve(&listener{Listener: ln, e: e, times: &e.times, tls: cfg})
}

// HasCertificate is closed as soon as the configuration has an ssl object: from
// then on there is a point in listening for TLS.
func (e *Engine) HasCertificate() <-chan struct{} { return e.hasCertificate }

// offered is the certificate's configuration within what the listener offers.
// It is made once: tickets are good for one configuration.
func (c *certificate) offered(low, high uint16, tickets bool) *tls.Config {
	c.once.Do(func() {
		t := c.config
		t.NextProtos = []string{"http/1.1"}
		t.SessionTicketsDisabled = !tickets
		if t.MaxVersion == 0 {
			t.MinVersion, t.MaxVersion = low, high
		}
	})
	return c.config
}

// shake does the handshake of a new client, within the time for its first head.
func (c *conn) shake() error {
	c.Conn.SetDeadline(c.headBy)
	err := c.tls.Handshake()
	if err == nil {
		s := c.tls.ConnectionState()
		c.sni, c.verified = strings.ToLower(s.ServerName), len(s.VerifiedChains) > 0
		c.shaken = true
		c.armed, c.written = c.headBy, c.headBy
		return nil
	}
	c.e.stats.handshakes.Inc()
	c.e.log.Debug("TLS handshake failed", "client", c.RemoteAddr().String(), "err", err)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && startsRequest(plain.RecordHeader) {
		plain.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(plain.Conn, plainToTLS) // it may not arrive; the connection ends anyway
	}
	return io.EOF // ends without an answer
}

// startsRequest tells whether the first bytes are those of plain HTTP.
func startsRequest(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}

const plainToTLS = "HTTP/1.0 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
	`{"error_msg":"the plain HTTP request was sent to the HTTPS port"}` + "\n"

func hostOf(r *plugin.Request) []byte { return plugin.HostOnly(r.Host) }
