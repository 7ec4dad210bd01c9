package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// tlsConfig returns nil without TLS, else the server side and the PEM that
// clients have to trust. The mock speaks HTTP/1.1 only and says so by ALPN.
func tlsConfig(o Options) (*tls.Config, []byte, error) {
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return nil, nil, fmt.Errorf("cannot speak TLS: a certificate needs a key and a key a certificate")
	}
	if !o.TLS && o.TLSCert == "" {
		return nil, nil, nil
	}
	var cert tls.Certificate
	var ca []byte
	var err error
	if o.TLSCert != "" {
		if cert, err = tls.LoadX509KeyPair(o.TLSCert, o.TLSKey); err == nil {
			ca, err = os.ReadFile(o.TLSCert)
		}
	} else {
		cert, ca, err = selfSigned()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot speak TLS: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}, ca, nil
}

// selfSigned makes a certificate for this machine that is its own authority.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	names := []string{"localhost", "mock.localhost"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "headrace mock"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:              names,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca, nil
}
