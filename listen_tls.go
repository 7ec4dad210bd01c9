package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"headrace/engine"
)

// listenTLS binds the ports of apisix.ssl. Those that nobody has written down
// are bound when there is a certificate: before that they could answer nobody.
func (g *gateway) listenTLS(ctx context.Context) error {
	c := g.cfg
	if !c.APISIX.SSL.Enable {
		return nil
	}
	if c.Written("apisix", "ssl", "listen") {
		return g.bindTLS()
	}
	select {
	case <-g.engine.HasCertificate():
		return g.bindTLS()
	default:
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-g.engine.HasCertificate():
			if err := g.bindTLS(); err != nil {
				g.log.Error("there is a certificate but no port for TLS", "err", err)
			}
		}
	}()
	return nil
}

func (g *gateway) bindTLS() error {
	s := g.cfg.APISIX.SSL
	for _, l := range s.Listen {
		ln, err := g.bind(l.Addr())
		if err != nil {
			return fmt.Errorf("cannot listen for TLS (apisix.ssl.listen): %w", err)
		}
		g.addServer(server{name: "tls", scheme: "https", addr: ln.Addr().String(), raw: ln})
		go func() {
			if err := g.engine.ServeTLS(ln, engine.TLSOptions{Protocols: s.Protocols, SessionTickets: s.SessionTickets, FallbackSNI: s.FallbackSNI}); err != nil {
				g.failed <- fmt.Errorf("cannot serve TLS: %w", err)
			}
		}()
	}
	return nil
}

// adminTLS wraps the Admin API's listener where https_admin asks for it.
func (g *gateway) adminTLS(ln net.Listener) (net.Listener, error) {
	a := g.cfg.Deployment.Admin
	if !a.HTTPS {
		return ln, nil
	}
	const at = "deployment.admin.admin_api_mtls"
	if a.Cert == "" || a.CertKey == "" {
		return nil, errors.New("deployment.admin.https_admin needs " + at + ".admin_ssl_cert and admin_ssl_cert_key")
	}
	pair, err := tls.LoadX509KeyPair(a.Cert, a.CertKey)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read admin_ssl_cert %q with its key", at, a.Cert)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if a.ClientCA != "" {
		text, err := os.ReadFile(a.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("%s.admin_ssl_ca_cert: %w", at, err)
		}
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !cfg.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s.admin_ssl_ca_cert: no certificate in %q", at, a.ClientCA)
		}
	}
	return tls.NewListener(ln, cfg), nil
}
