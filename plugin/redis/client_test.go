package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"headrace/plugin/limit/limittest"
	"headrace/plugin/redis"
	"headrace/plugin/redis/redistest"
)

func config(s *redistest.Server) *redis.Config {
	return &redis.Config{Policy: redis.Single, Host: "127.0.0.1", Port: s.Port, Timeout: 1000, KeepAlive: 10000, KeepAlivePool: 100}
}

var one = goredis.NewScript(`redis.call('SET', KEYS[1], 1) return {1}`)

func open(t *testing.T, g *limittest.Gateway, c *redis.Config) *redis.Client {
	t.Helper()
	r, err := redis.Open(g.PluginEnv("routes/1"), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestShared holds that there is one client for a configuration, and that
// nothing that differs is mixed up.
func TestShared(t *testing.T) {
	s := redistest.Start(t)
	g := limittest.New(t)
	a := open(t, g, config(s))
	if open(t, g, config(s)) != a {
		t.Error("the same configuration has two clients")
	}
	other := config(s)
	other.Database = 3
	b := open(t, g, other)
	if b == a {
		t.Error("two databases have one client")
	}
	for _, r := range []*redis.Client{a, b, a, b} {
		if _, err := r.Eval(one, []string{fmt.Sprint(r == b)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Do("INFO", "keyspace"); !strings.Contains(got, "db0:keys=1,") || !strings.Contains(got, "db3:keys=1,") {
		t.Errorf("the databases hold %s", got)
	}
}

func TestUsers(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "topsecret", "--user", "alice", "on", ">alicesecret", "~*", "&*", "+@all")
	f := func(user, password string, ok bool) {
		t.Helper()
		c := config(s)
		c.Username, c.Password = user, password
		_, err := open(t, limittest.New(t), c).Eval(one, []string{"k"})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q %q: %v", user, password, err)
		}
	}
	f("", "topsecret", true)
	f("alice", "alicesecret", true)
	f("alice", "topsecret", false)
	f("bob", "bobsecret", false)
	f("", "", false)
	f("alice", "", false) // without a password nobody logs in, as in APISIX
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	roots := certificate(t, dir)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", filepath.Join(dir, "cert.pem"),
		"--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"))
	f := func(verify, trusted, ok bool) {
		t.Helper()
		c := &redis.Config{Policy: redis.Single, Host: "127.0.0.1", Port: port, Timeout: 1000, TLS: true, TLSVerify: verify}
		env := limittest.New(t).PluginEnv("routes/1")
		if trusted {
			env.RootCAs = roots
		}
		r, err := redis.Open(env, c)
		if err == nil {
			_, err = r.Eval(one, []string{"k"})
		}
		if (err == nil) != ok {
			t.Errorf("verify %v, trusted %v: %v", verify, trusted, err)
		}
	}
	f(false, false, true)
	f(true, true, true)
	f(true, false, false)
}

// certificate writes one for 127.0.0.1 to dir.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return pool
}

func push(key, value string) redis.Command {
	return redis.Command{Add: func(ctx context.Context, p goredis.Pipeliner) { p.RPush(ctx, key, value) }}
}

// TestLater holds that commands arrive once, in order, and all of them before
// the client is closed.
func TestLater(t *testing.T) {
	s := redistest.Start(t)
	g := limittest.New(t)
	r := open(t, g, config(s))
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprint(i))
		r.Later(push("list", want[i]))
	}
	g.Close()
	if got := s.Do("LRANGE", "list", "0", "-1"); got != strings.Join(want, "\n") {
		t.Errorf("%d bytes are there, want %d: %.100s", len(got), len(strings.Join(want, "\n")), got)
	}
	r.Later(push("list", "late")) // is dropped
	if err := r.Close(); err == nil {
		t.Error("closed twice without a word")
	}
}

// TestLaterDown holds that what may be repeated outlives an absence of the
// server, and what may not does not, and that a close does not wait for it.
func TestLaterDown(t *testing.T) {
	s := redistest.Start(t)
	g := limittest.New(t)
	r := open(t, g, config(s))
	r.Later(push("list", "before"))
	s.Await("before", "LRANGE", "list", "0", "-1")
	s.Stop()
	again := push("list", "again")
	again.Until = time.Now().Add(time.Minute)
	r.Later(push("list", "lost"))
	r.Later(again)
	late := push("list", "too late")
	late.Until = time.Now().Add(10 * time.Millisecond)
	r.Later(late)
	for end := time.Now().Add(5 * time.Second); !strings.Contains(g.Log.String(), "cannot write to redis"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is said")
		}
	}
	s.Restart()
	s.Await("again", "LRANGE", "list", "0", "-1")
	if got := s.Do("LRANGE", "list", "0", "-1"); got != "again" {
		t.Errorf("there is %q", got)
	}
	s.Stop()
	r.Later(again)
	start := time.Now()
	g.Close()
	if d := time.Since(start); d > 1500*time.Millisecond {
		t.Errorf("the close took %v", d)
	}
}
