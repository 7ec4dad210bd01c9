package conf

import (
	"math"
	"strconv"
	"strings"
)

func (s *settings) etcd(e *Etcd, b *block) {
	e.Hosts = b.list("host")
	if len(e.Hosts) == 0 {
		b.fail("host", "expected at least one URL")
	}
	for i, h := range e.Hosts {
		if !strings.HasPrefix(h, "http://") && !strings.HasPrefix(h, "https://") {
			// Not quoted: an URL may carry a password.
			b.fail("host["+strconv.Itoa(i)+"]", "expected an http:// or https:// URL")
		}
	}
	e.Prefix = b.str("prefix")
	if !strings.HasPrefix(e.Prefix, "/") || strings.Trim(e.Prefix, "/") == "" {
		b.fail("prefix", "%q is no path as /apisix", e.Prefix)
	}
	e.Timeout, e.WatchTimeout = b.time("timeout"), b.time("watch_timeout")
	e.StartupRetry = b.int("startup_retry", 0, math.MaxInt32)
	e.ResyncDelay = b.time("resync_delay")
	// APISIX takes the default for a negative number.
	if n, ok := wholeNumber(b.vals["health_check_timeout"]); ok && n < 0 {
		delete(b.vals, "health_check_timeout")
	}
	e.HealthCheckTimeout = b.time("health_check_timeout")
	e.User, e.Password = b.str("user"), b.str("password")
	t := b.block("tls")
	e.TLSCert, e.TLSKey, e.TLSVerify, e.TLSSNI = t.str("cert"), t.str("key"), t.bool("verify"), t.str("sni")
	t.done()
	b.done()
}

func (s *settings) encryption(e *Encryption, b *block) {
	e.Enable = b.bool("enable_encrypt_fields")
	e.Keyring = b.keyring("keyring")
	b.done()
}

// keyring takes one key or a list. A key is never quoted in a problem.
func (b *block) keyring(key string) (keys []string) {
	v := b.removable(key)
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for i, x := range items {
		s, ok := text(x)
		if len(s) != 16 && len(s) != 32 || !ok {
			b.fail(key+"["+strconv.Itoa(i)+"]", "expected a text of 16 or 32 characters")
		}
		keys = append(keys, s)
	}
	return keys
}
