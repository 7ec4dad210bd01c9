package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"headrace/conf"
	"headrace/conf/crypt"
	"headrace/conf/etcd"
	"headrace/plugin"
)

const (
	roleDataPlane    = "data_plane"
	roleControlPlane = "control_plane"
)

// etcdFile is the last good configuration in headrace.data_dir.
const etcdFile = "etcd.json"

// openEtcd opens the store that deployment.etcd describes. A data plane may
// only read it.
func openEtcd(c *conf.Config, log *slog.Logger) (*etcd.Store, error) {
	e := c.Deployment.Etcd
	o := etcd.Options{
		Hosts: e.Hosts, Prefix: e.Prefix, User: e.User, Password: e.Password,
		Timeout: e.Timeout, WatchTimeout: e.WatchTimeout, ResyncDelay: e.ResyncDelay, HealthCheckTimeout: e.HealthCheckTimeout,
		StartupRetry: e.StartupRetry, ReadOnly: c.Deployment.Role == roleDataPlane,
		Fields: plugin.Encrypted, CredentialFields: plugin.EncryptedCredential,
		File: filepath.Join(c.Headrace.DataDir, etcdFile), Log: log,
	}
	var err error
	if c.APISIX.Encryption.Enable {
		if o.Keyring, err = crypt.New(c.APISIX.Encryption.Keyring); err != nil {
			return nil, fmt.Errorf("apisix.data_encryption.keyring: %w", err)
		}
	}
	if o.TLS, err = etcdTLS(c); err != nil {
		return nil, err
	}
	return etcd.Open(o)
}

// etcdTLS is how https hosts are spoken to.
func etcdTLS(c *conf.Config) (*tls.Config, error) {
	e := c.Deployment.Etcd
	roots, err := trusted(c.APISIX.SSL.TrustedCertificate)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{RootCAs: roots, ServerName: e.TLSSNI, InsecureSkipVerify: !e.TLSVerify}
	if e.TLSCert == "" && e.TLSKey == "" {
		return t, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(e.TLSCert, e.TLSKey)
		return &cert, err
	}
	if _, err := load(nil); err != nil {
		return nil, fmt.Errorf("deployment.etcd.tls: %w", err)
	}
	t.GetClientCertificate = load // read anew for each connection: certificates are replaced
	return t, nil
}

// etcdHosts are the hosts without what URLs may hold besides.
func etcdHosts(urls []string) (hosts []string) {
	for _, u := range urls {
		if p, err := url.Parse(u); err == nil {
			hosts = append(hosts, strings.TrimSuffix(p.Scheme+"://"+p.Host, "/"))
		}
	}
	return hosts
}
