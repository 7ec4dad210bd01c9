package engine

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"headrace/conf"
	"headrace/conf/schema"
)

// checkSSL validates an ssl object. No text shows anything of a key.
func checkSSL(raw []byte) []Finding {
	if err := faultOfSSL(raw); err != nil {
		return []Finding{{Level: Invalid, Text: err.Error()}}
	}
	return nil
}

func faultOfSSL(raw []byte) error {
	checked, err := schema.Resource("ssl").Check(raw)
	if err != nil {
		return fmt.Errorf("invalid configuration: %w", err)
	}
	o, err := conf.DecodeCertificate(checked)
	if err != nil {
		return fmt.Errorf("invalid configuration: %w", err)
	}
	if err := checkPair(o.Cert, o.Key); err != nil {
		return err
	}
	if o.Type == "client" {
		return nil
	}
	if len(o.Certs) != len(o.Keys) {
		return errors.New("mismatched number of certs and keys")
	}
	for i := range o.Certs {
		if err := checkPair(o.Certs[i], o.Keys[i]); err != nil {
			return fmt.Errorf("failed to handle cert-key pair[%d]: %w", i+1, err)
		}
	}
	if o.Client == nil {
		return nil
	}
	if !conf.IsReference(o.Client.CA) {
		if err := checkCert(o.Client.CA); err != nil {
			return fmt.Errorf("failed to validate client_cert: %w", err)
		}
	}
	for _, text := range o.Client.Skip {
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Errorf("invalid configuration: client.skip_mtls_uri_regex: %w", err)
		}
	}
	return nil
}

// checkPair also finds a key that belongs to another certificate: APISIX
// accepts it, and then no handshake succeeds.
func checkPair(cert, key string) error {
	if conf.IsReference(cert) || conf.IsReference(key) {
		return nil
	}
	if err := checkCert(cert); err != nil {
		return err
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		return errors.New("failed to parse key: " + strings.TrimPrefix(err.Error(), "tls: "))
	}
	return nil
}

func checkCert(text string) error {
	block, rest := pem.Decode([]byte(text))
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return errors.New("failed to parse cert: it has no PEM block CERTIFICATE")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return fmt.Errorf("failed to parse cert: %w", err)
	}
	return nil
}
