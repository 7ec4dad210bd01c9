package etcd

import (
	"strings"

	"headrace/conf"
	"headrace/conf/crypt"
)

// fields knows what is encrypted in which kind of resource.
type fields struct {
	keyring *crypt.Keyring
	plain   map[conf.Kind]conf.Paths // any text
	pem     map[conf.Kind]conf.Paths // private keys, encrypted when they are PEM
}

const pemMark = "---"

func newFields(keyring *crypt.Keyring, plugins, credentials map[string][]string) fields {
	f := fields{keyring: keyring, plain: map[conf.Kind]conf.Paths{}, pem: map[conf.Kind]conf.Paths{}}
	if keyring == nil {
		return f
	}
	everywhere, consumers := conf.Paths{}, conf.Paths{}
	for name, paths := range plugins {
		for _, p := range paths {
			everywhere.Add("plugins", name, p)
			if credentials[name] == nil {
				consumers.Add("plugins", name, p)
			}
		}
	}
	for name, paths := range credentials {
		for _, p := range paths {
			consumers.Add("plugins", name, p)
		}
	}
	for _, k := range []conf.Kind{conf.Routes, conf.Services, conf.PluginConfigs, conf.ConsumerGroups, conf.GlobalRules} {
		f.plain[k] = everywhere
	}
	f.plain[conf.Consumers] = consumers
	pem := func(k conf.Kind, paths ...string) {
		f.pem[k] = conf.Paths{}
		for _, p := range paths {
			f.pem[k].Add(p)
		}
	}
	pem(conf.SSLs, "key", "keys")
	pem(conf.Upstreams, "tls.client_key")
	pem(conf.Services, "upstream.tls.client_key")
	pem(conf.Routes, "upstream.tls.client_key")
	return f
}

// seal encrypts a value on its way to etcd.
func (f *fields) seal(kind conf.Kind, raw []byte) []byte {
	raw = conf.MapStrings(raw, f.plain[kind], f.keyring.Encrypt)
	return conf.MapStrings(raw, f.pem[kind], func(text string) string {
		if !strings.HasPrefix(text, pemMark) {
			return text
		}
		return f.keyring.Encrypt(text)
	})
}

// open decrypts a value that came from etcd. What no key fits stays: it is a
// plain text or a reference, or the keyring is not that of the writer. failed
// counts those that look like ciphertext.
func (f *fields) open(kind conf.Kind, raw []byte) (plain []byte, failed int) {
	open := func(text string) string {
		s, ok := f.keyring.Decrypt(text)
		if !ok && crypt.Likely(text) {
			failed++
		}
		return s
	}
	raw = conf.MapStrings(raw, f.plain[kind], open)
	raw = conf.MapStrings(raw, f.pem[kind], func(text string) string {
		if strings.HasPrefix(text, pemMark) {
			return text
		}
		return open(text)
	})
	return raw, failed
}
