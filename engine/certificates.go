package engine

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"headrace/conf"
)

// certificate is one ssl object of a snapshot, ready for handshakes.
type certificate struct {
	item   conf.Item
	snis   []string // lower case
	config *tls.Config
	mutual *mutual  // nil: clients need no certificate
	refs   []string // to secret managers
	once   sync.Once
}

// mutual is what an ssl object wants of its clients.
type mutual struct {
	skip []*regexp.Regexp // of paths that need no certificate
}

// certificates finds the certificate for a server name. It is immutable.
type certificates struct {
	byID   map[string]*certificate
	exact  map[string]*certificate
	wild   map[string]*certificate // by what follows the star, ".x.com"
	mutual bool                    // one of them wants certificates of clients
}

// find returns the certificate for a name in lower case: its own, else a
// wildcard's, which stands for one label, else the one for every name.
func (cs *certificates) find(name string) *certificate {
	if cs == nil {
		return nil
	}
	name = strings.TrimSuffix(name, ".")
	if c := cs.exact[name]; c != nil {
		return c
	}
	if i := strings.IndexByte(name, '.'); i >= 0 {
		if c := cs.wild[name[i:]]; c != nil {
			return c
		}
	}
	return cs.wild[""]
}

// certificatesOf makes the table of the objects in byID. Of two for one name
// the one that was created first counts.
func certificatesOf(byID map[string]*certificate) *certificates {
	if len(byID) == 0 {
		return nil
	}
	cs := &certificates{byID: byID, exact: map[string]*certificate{}, wild: map[string]*certificate{}}
	all := make([]*certificate, 0, len(byID))
	for _, c := range byID {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *certificate) int {
		return cmp.Or(cmp.Compare(a.item.Created, b.item.Created), cmp.Compare(a.item.ID, b.item.ID))
	})
	for _, c := range all {
		if c.config == nil {
			continue
		}
		cs.mutual = cs.mutual || c.mutual != nil
		for _, sni := range c.snis {
			table := cs.exact
			if rest, wild := strings.CutPrefix(sni, "*"); wild {
				table, sni = cs.wild, rest
			}
			if table[sni] == nil {
				table[sni] = c
			}
		}
	}
	return cs
}

// newCertificate prepares an ssl object that was admitted. One that cannot be
// used, because a secret of it is missing for example, has no config.
func (e *Engine) newCertificate(it conf.Item) *certificate {
	c := &certificate{item: it}
	cfg, err := conf.DecodeCertificate(it.Raw)
	if err == nil && cfg.Server() {
		err = c.build(cfg, e.resolver(&c.refs, false))
	}
	if err != nil {
		c.config = nil
		e.log.Error("a certificate cannot be used", "kind", conf.SSLs.String(), "id", it.ID, "err", err)
	}
	return c
}

func (c *certificate) build(cfg *conf.Certificate, resolve func(string) (string, error)) error {
	for _, sni := range allOf(cfg.SNI, cfg.SNIs) {
		c.snis = append(c.snis, strings.ToLower(sni))
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	certs, keys := append([]string{cfg.Cert}, cfg.Certs...), append([]string{cfg.Key}, cfg.Keys...)
	if len(certs) != len(keys) {
		return errors.New("there are not as many keys as certificates")
	}
	for i := range certs {
		pair, err := pairOf(certs[i], keys[i], resolve)
		if err != nil {
			return err
		}
		t.Certificates = append(t.Certificates, pair)
	}
	if len(cfg.Protocols) > 0 {
		t.MinVersion, t.MaxVersion = versions(cfg.Protocols)
	}
	if cfg.Client != nil {
		if err := c.verify(t, cfg.Client, resolve); err != nil {
			return err
		}
	}
	c.config = t
	return nil
}

// pairOf reads a certificate with its key. The error shows nothing of them.
func pairOf(cert, key string, resolve func(string) (string, error)) (pair tls.Certificate, err error) {
	for _, s := range []*string{&cert, &key} {
		if conf.IsReference(*s) {
			if *s, err = resolve(*s); err != nil {
				return pair, err
			}
		}
	}
	if pair, err = tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		return pair, errors.New("certificate and key are not a pair in PEM")
	}
	return pair, nil
}

// versions are the bounds of the named protocols; those before TLS 1.2 are not offered.
func versions(names []string) (low, high uint16) {
	for _, name := range names {
		v := uint16(tls.VersionTLS12)
		if name == "TLSv1.3" {
			v = tls.VersionTLS13
		}
		if low == 0 || v < low {
			low = v
		}
		high = max(high, v)
	}
	return low, high
}

// verify has t ask clients for certificates. Where some paths need none the
// handshake goes on without, and the request is judged.
func (c *certificate) verify(t *tls.Config, cl *conf.CertificateClient, resolve func(string) (string, error)) error {
	ca := cl.CA
	if conf.IsReference(ca) {
		var err error
		if ca, err = resolve(ca); err != nil {
			return err
		}
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM([]byte(ca)) {
		return errors.New("client.ca holds no certificate in PEM")
	}
	c.mutual = new(mutual)
	t.ClientAuth = tls.RequireAndVerifyClientCert
	for _, text := range cl.Skip {
		re, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("client.skip_mtls_uri_regex: %w", err)
		}
		c.mutual.skip = append(c.mutual.skip, re)
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	depth := cl.MaxDepth()
	t.VerifyConnection = func(cs tls.ConnectionState) error {
		for _, chain := range cs.VerifiedChains {
			if len(chain)-1 <= depth {
				return nil
			}
		}
		if len(cs.VerifiedChains) > 0 {
			return errors.New("the client's certificate chain is too long")
		}
		return nil
	}
	return nil
}

// admits judges a request over TLS by the certificate that its host has: where
// that wants one of clients, the handshake must have been for this host and
// the client's certificate good (gateway.md 3.6).
func (cs *certificates) admits(f *flow) bool {
	if cs == nil || !cs.mutual {
		return true
	}
	host := strings.ToLower(string(hostOf(&f.Req)))
	c := cs.find(host)
	if c == nil || c.mutual == nil {
		return true
	}
	if f.conn.sni == host && f.conn.verified {
		return true
	}
	if f.conn.sni != host {
		return false
	}
	return slices.ContainsFunc(c.mutual.skip, func(re *regexp.Regexp) bool { return re.Match(f.Req.Path) })
}

// applySSL takes over one change of an ssl object.
func (b *batch) applySSL(ch *conf.Change) {
	if b.certificates == nil {
		b.certificates = map[string]*certificate{}
		if old := b.next.certificates; old != nil {
			for id, c := range old.byID {
				b.certificates[id] = c
			}
		}
	}
	b.ssls = slices.DeleteFunc(b.ssls, func(it conf.Item) bool { return it.ID == ch.ID })
	if ch.Deleted {
		delete(b.certificates, ch.ID)
		return
	}
	b.ssls = append(b.ssls, ch.Item)
}

// renewed are the certificates of a snapshot, those with secrets made anew.
func (cs *certificates) renewed(e *Engine) *certificates {
	if cs == nil {
		return nil
	}
	byID := make(map[string]*certificate, len(cs.byID))
	for id, c := range cs.byID {
		if len(c.refs) > 0 || bytes.Contains(c.item.Raw, []byte("$secret://")) {
			c = e.newCertificate(c.item)
		}
		byID[id] = c
	}
	return certificatesOf(byID)
}
