package conf

import "fmt"

// Certificate is an ssl object (gateway.md 3.6): a certificate for clients, or one of
// the gateway's own for upstreams (type client). It is decoded but not validated.
type Certificate struct {
	ID        ID                 `json:"id"`
	Type      string             `json:"type"` // "": server
	SNI       string             `json:"sni"`
	SNIs      []string           `json:"snis"`
	Cert      string             `json:"cert"` // PEM, or a reference
	Key       string             `json:"key"`
	Certs     []string           `json:"certs"` // more of them, for other kinds of keys
	Keys      []string           `json:"keys"`
	Client    *CertificateClient `json:"client"`
	Protocols []string           `json:"ssl_protocols"` // empty: the listener's
	Status    *integer           `json:"status"`        // nil: 1
}

// CertificateClient asks clients for a certificate.
type CertificateClient struct {
	CA    string   `json:"ca"`                  // PEM
	Depth *integer `json:"depth"`               // nil: 1
	Skip  []string `json:"skip_mtls_uri_regex"` // paths that need none
}

// DecodeCertificate decodes a stored ssl object, as DecodeRoute does.
func DecodeCertificate(raw []byte) (*Certificate, error) {
	s := &Certificate{}
	if err := decode(raw, s); err != nil {
		return nil, fmt.Errorf("cannot decode ssl: %w", err)
	}
	return s, nil
}

// Server reports whether the object is a certificate for clients that is
// switched on.
func (s *Certificate) Server() bool {
	return (s.Type == "" || s.Type == "server") && (s.Status == nil || *s.Status != 0)
}

// MaxDepth is how many certificates may stand above a client's.
func (c *CertificateClient) MaxDepth() int {
	if c.Depth == nil {
		return 1
	}
	return int(*c.Depth)
}
