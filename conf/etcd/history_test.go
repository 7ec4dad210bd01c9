package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"headrace/conf"
)

// numbered are n routes by their ids.
func numbered(n int, raw string) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("routes/%d", i)] = raw
	}
	return m
}

func (a *apisix) putAll(items map[string]string) {
	a.t.Helper()
	for k, v := range items {
		a.put("/apisix/"+k, v)
	}
}

// TestBrokenLink loses its connection again and again while others write.
func TestBrokenLink(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	l := newLink(t, srv.url)
	o := options(t, l.url())
	f := follow(t, o)
	want := map[string]string{}
	for round := range 5 {
		for i := range 20 {
			k := fmt.Sprintf("routes/%d", i)
			if want[k] != "" && (i+round)%3 == 0 {
				db.del("/apisix/" + k)
				delete(want, k)
			} else {
				want[k] = fmt.Sprintf(`{"round":%d}`, round)
				db.put("/apisix/"+k, want[k])
			}
			switch i {
			case 5:
				l.pull()
			case 15:
				l.plug()
			}
		}
	}
	f.has(want)
	if f.store.resyncs.Load() > 0 || f.store.Status().Held != "" {
		t.Errorf("a broken link cost more than a look at the history: %+v", f.store.Status())
	}
	l.pull()
	f.metric("apisix_etcd_reachable 0")
	start := time.Now()
	if _, _, err := f.store.Put(route("x", "{}"), 0); err == nil || time.Since(start) > 2*downTimeout {
		t.Errorf("a write without etcd: %v after %v", err, time.Since(start))
	}
	if _, err := f.store.Get(conf.Routes, "0"); err == nil || errors.Is(err, conf.ErrNotFound) {
		t.Errorf("a read without etcd: %v", err)
	}
	l.plug()
	f.metric("apisix_etcd_reachable 1")
	f.has(want)
}

// TestRestart stops etcd and starts it again with its data.
func TestRestart(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	want := numbered(3, "{}")
	db.putAll(want)
	f := follow(t, options(t, srv.url))
	srv.kill()
	f.metric("apisix_etcd_reachable 0")
	f.has(want)
	srv.start()
	db.put("/apisix/routes/0", `{"n":1}`)
	db.del("/apisix/routes/1")
	want["routes/0"] = `{"n":1}`
	delete(want, "routes/1")
	f.has(want)
}

// TestCompacted loses history while the link is cut: what differs is applied,
// and nothing else.
func TestCompacted(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	l := newLink(t, srv.url)
	want := numbered(6, "{}")
	db.putAll(want)
	f := follow(t, options(t, l.url()))
	l.pull()
	f.metric("apisix_etcd_reachable 0")
	db.put("/apisix/routes/0", `{"n":1}`)
	db.put("/apisix/routes/new", `{}`)
	db.del("/apisix/routes/5")
	db.compact()
	l.plug()
	want["routes/0"], want["routes/new"] = `{"n":1}`, "{}"
	delete(want, "routes/5")
	f.has(want)
	if got := fmt.Sprint(f.takeBatches()); got != "[[-routes/5 routes/0 routes/new]]" {
		t.Errorf("batches %s", got)
	}
	f.metric("headrace_etcd_resyncs_total 1")
	db.put("/apisix/routes/0", `{"n":2}`)
	want["routes/0"] = `{"n":2}`
	f.has(want)
}

// TestAllDeleted deletes everything while the link is cut. As long as etcd can
// show the deletions they are applied.
func TestAllDeleted(t *testing.T) {
	t.Parallel()
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprintf("compact=%v", compact), func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			db := srv.client()
			l := newLink(t, srv.url)
			had := numbered(3, "{}")
			db.putAll(had)
			f := follow(t, options(t, l.url()))
			l.pull()
			f.metric("apisix_etcd_reachable 0")
			db.del("/apisix/", clientv3.WithPrefix())
			db.put("/apisix/routes/", "init_dir")
			if compact {
				db.compact()
			}
			l.plug()
			if !compact {
				f.has(map[string]string{})
				return
			}
			f.held("all 3 items are gone")
			f.has(had)
			f.metric("headrace_config_held 1")
			if rev, n, err := f.store.Accept(context.Background()); err != nil || n != 3 || rev != db.rev() {
				t.Errorf("Accept: %d, %d, %v", rev, n, err)
			}
			f.has(map[string]string{})
			f.metric("headrace_config_held 0")
		})
	}
}

// TestWiped empties etcd under a running gateway.
func TestWiped(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	had := numbered(4, "{}")
	db.putAll(had)
	o := options(t, srv.url)
	f := follow(t, o)
	if _, _, err := f.store.Accept(context.Background()); !errors.Is(err, conf.ErrNotHeld) {
		t.Errorf("Accept while nothing is held: %v", err)
	}
	srv.wipe()
	f.held("went back from 5 to 1")
	f.has(had)

	// What is written now is stored and waits.
	db.put("/apisix/routes/other", `{}`)
	now, _, err := f.store.Put(route("mine", "{}"), 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := f.store.WaitApplied(context.Background(), now.Rev); err == nil || time.Since(start) > time.Second {
		t.Errorf("WaitApplied while changes are held: %v", err)
	}
	// So does what comes after the old revision.
	for range 10 {
		db.put("/apisix/routes/other", `{}`)
	}
	time.Sleep(pulseEvery + 500*time.Millisecond)
	f.has(had)

	// A restart does not forget it.
	f.close()
	f = follow(t, o)
	f.held("another history")
	f.has(had)
	f.metric("headrace_config_from_snapshot 1")

	if _, n, err := f.store.Accept(context.Background()); err != nil || n != 6 {
		t.Errorf("Accept: %d changes, %v", n, err)
	}
	f.has(map[string]string{"routes/other": "{}", "routes/mine": "{}"})
	now, _, err = f.store.Put(route("mine", `{"n":1}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.store.WaitApplied(ctx, now.Rev); err != nil || f.all()["routes/mine"] != `{"n":1}` {
		t.Errorf("a write after Accept: %v, %v", err, f.all())
	}
}

// TestWipedAndGrown empties etcd and fills it beyond the old revision before
// the gateway can look: revisions alone would not tell.
func TestWipedAndGrown(t *testing.T) {
	t.Parallel()
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprintf("compact=%v", compact), func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			db := srv.client()
			l := newLink(t, srv.url)
			had := numbered(4, "{}")
			db.putAll(had)
			f := follow(t, options(t, l.url()))
			l.pull()
			f.metric("apisix_etcd_reachable 0")
			srv.wipe()
			db = srv.client()
			db.put("/apisix/routes/first", `{}`)
			for i := range 9 {
				db.put("/apisix/routes/0", fmt.Sprintf(`{"n":%d}`, i))
			}
			db.put("/apisix/routes/1", `{}`)
			if compact {
				db.compact()
			}
			l.plug()
			f.held("another history")
			f.has(had)
		})
	}
}

// TestNothingToLose empties an etcd that held no item.
func TestNothingToLose(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.client().put("/apisix/routes/", "init_dir")
	o := options(t, srv.url)
	f := follow(t, o)
	f.metric(`apisix_etcd_modify_indexes{key="x_etcd_index"} 2`)
	srv.wipe()
	f.metric("apisix_etcd_reachable 1")
	eventually(t, "resync", func() error {
		if f.store.resyncs.Load() != 1 {
			return errors.New("none yet")
		}
		return nil
	})
	srv.client().put("/apisix/routes/1", "{}")
	want := map[string]string{"routes/1": "{}"}
	f.has(want)
	now, _, err := f.store.Put(route("1", `{"n":1}`), 0)
	if err == nil {
		err = f.store.WaitApplied(context.Background(), now.Rev)
	}
	if err != nil || f.all()["routes/1"] != `{"n":1}` {
		t.Errorf("a write afterwards: %v, %v", err, f.all())
	}
}

// TestBack exchanges etcd for an empty one and back again.
func TestBack(t *testing.T) {
	t.Parallel()
	srv, empty := newServer(t), newServer(t)
	db := srv.client()
	want := numbered(3, "{}")
	db.putAll(want)
	l := newLink(t, srv.url)
	f := follow(t, options(t, l.url()))
	right := l.to
	l.pull()
	l.to = strings.TrimPrefix(empty.url, "http://")
	l.plug()
	f.held("went back")
	db.put("/apisix/routes/0", `{"n":1}`)
	l.pull()
	l.to = right
	l.plug()
	want["routes/0"] = `{"n":1}`
	f.has(want)
	f.metric("headrace_config_held 0")
	if !strings.Contains(f.log.String(), "changes are no longer held") {
		t.Error("nothing is said about the end of it")
	}
}

// TestStartWithoutEtcd serves the file, and recovers by itself.
func TestStartWithoutEtcd(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	raw := `{"plugins":{"ai-proxy":{"auth":{"header":{"A":"s3cret"}}}}}`
	f := follow(t, options(t, srv.url))
	if _, _, err := f.store.Put(route("1", raw), 0); err != nil {
		t.Fatal(err)
	}
	db.put("/apisix/routes/2", "{}")
	want := map[string]string{"routes/1": raw, "routes/2": "{}"}
	f.has(want)
	o := f.store.opts
	f.close() // writes what is pending

	fi, err := os.Stat(o.File)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", fi, err)
	}
	text, _ := os.ReadFile(o.File)
	if strings.Contains(string(text), "s3cret") || !strings.Contains(string(text), testRing(t).Encrypt("s3cret")) {
		t.Errorf("the file holds the secret in clear, or not at all:\n%s", text)
	}
	srv.kill()
	o.StartupRetry = 1
	f = follow(t, o)
	f.has(want)
	f.metric("headrace_config_from_snapshot 1")
	f.metric("apisix_etcd_reachable 0")
	if !strings.Contains(f.log.String(), "serving the last good configuration from disk") {
		t.Errorf("nothing is said:\n%s", &f.log)
	}
	srv.start()
	db.put("/apisix/routes/2", `{"n":1}`)
	want["routes/2"] = `{"n":1}`
	f.has(want)
	f.metric("headrace_config_from_snapshot 0")
	f.close()

	// What was deleted meanwhile is gone at the next start.
	db.del("/apisix/", clientv3.WithPrefix())
	f = follow(t, o)
	f.has(map[string]string{})
	f.close()

	// A file of another prefix, or none at all, is not used.
	for _, text := range []string{`{"format":1,"prefix":"/other","revision":9,"keys":[{"key":"/other/routes/1","value":"{}"}]}`, `{"format":1`, `{}`, `{"format":2,"revision":1}`} {
		if err := os.WriteFile(o.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f = follow(t, o)
		f.has(map[string]string{})
		f.close()
	}
}

// TestSilentEtcd has a host that takes connections and says nothing.
func TestSilentEtcd(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o := options(t, "http://"+ln.Addr().String())
	if err := os.MkdirAll(filepath.Dir(o.File), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.File, []byte(`{"format":1,"prefix":"/apisix","revision":9,"keys":[{"key":"/apisix/routes/1","value":"{}","create_revision":1,"mod_revision":1}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f := follow(t, o)
	f.has(map[string]string{"routes/1": "{}"})
	if took := time.Since(start); took > 2*dialTimeout {
		t.Errorf("the start took %v", took)
	}
	start = time.Now()
	if _, _, err := f.store.Put(route("1", "{}"), 0); err == nil || time.Since(start) > 2*downTimeout {
		t.Errorf("a write took %v: %v", time.Since(start), err)
	}
}

// TestWaitForEtcd starts without etcd and without a file.
func TestWaitForEtcd(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.kill()
	s, err := Open(options(t, srv.url))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loaded := make(chan error, 1)
	go func() {
		_, _, err := s.Load(context.Background())
		loaded <- err
	}()
	select {
	case err := <-loaded:
		t.Fatalf("Load returned: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	srv.start()
	select {
	case err = <-loaded:
	case <-time.After(10 * time.Second):
	}
	if err != nil {
		t.Error(err)
	}
	// Close ends a Load that waits.
	srv.kill()
	s2, err := Open(options(t, srv.url))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _, err := s2.Load(context.Background())
		loaded <- err
	}()
	s2.Close()
	if err := <-loaded; !errors.Is(err, conf.ErrClosed) {
		t.Errorf("Load of a closed store: %v", err)
	}
}

// TestFileKeepsAll holds that the file follows every change, and that a
// directory that cannot be written stops nothing.
func TestFileKeepsAll(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	o := options(t, srv.url)
	f := follow(t, o)
	want := numbered(20, "{}")
	db.putAll(want)
	eventually(t, "file", func() error {
		var d saved
		text, _ := os.ReadFile(o.File)
		_ = json.Unmarshal(text, &d)
		if len(d.Keys) != len(want) || d.Revision != db.rev() {
			return fmt.Errorf("%d keys at revision %d", len(d.Keys), d.Revision)
		}
		return nil
	})
	if files, _ := filepath.Glob(filepath.Dir(o.File) + "/*"); len(files) != 1 {
		t.Errorf("left over: %q", files)
	}
	f.close()
	if err := os.WriteFile(filepath.Dir(filepath.Dir(o.File))+"/flat", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.File = filepath.Join(filepath.Dir(filepath.Dir(o.File)), "flat", "etcd.json")
	f = follow(t, o)
	f.has(want)
	eventually(t, "log", func() error {
		if !strings.Contains(f.log.String(), "cannot keep the last good configuration") {
			return errors.New(f.log.String())
		}
		return nil
	})
}

// TestPassword has an etcd with users and TLS.
func TestPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := writeCert(t, dir)
	srv := &server{t: t, dir: filepath.Join(dir, "etcd"), url: "https://" + freeAddr(t), args: []string{"--cert-file", dir + "/cert.pem", "--key-file", dir + "/key.pem"}}
	t.Cleanup(srv.kill)
	newServer(t).kill() // skips without etcd
	srv.start()
	conn := func(user, password string) clientv3.Config {
		return clientv3.Config{Endpoints: []string{srv.url}, TLS: &tls.Config{RootCAs: pool}, Username: user, Password: password}
	}
	db, err := clientv3.New(conn("", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []string{"root", "gate"} {
		must(db.UserAdd(ctx, u, "pw-"+u))
		must(db.RoleAdd(ctx, u))
		must(db.UserGrantRole(ctx, u, u))
	}
	must(db.RoleGrantPermission(ctx, "gate", "/apisix/", clientv3.GetPrefixRangeEnd("/apisix/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	must(db.Put(ctx, "/apisix/routes/1", "{}"))
	must(db.AuthEnable(ctx))

	o := options(t, srv.url)
	o.User, o.Password, o.TLS = "gate", "pw-gate", &tls.Config{RootCAs: pool}
	f := follow(t, o)
	want := map[string]string{"routes/1": "{}"}
	f.has(want)
	if _, _, err := f.store.Put(route("2", "{}"), time.Hour); err != nil {
		t.Error(err)
	}
	want["routes/2"] = "{}"
	f.has(want)
	// Tokens die with etcd.
	srv.kill()
	srv.start()
	eventually(t, "write", func() error { _, _, err := f.store.Put(route("3", "{}"), 0); return err })
	want["routes/3"] = "{}"
	f.has(want)

	bad := func(change func(*Options), text string) {
		t.Helper()
		o := o
		o.File = ""
		change(&o)
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, _, err = s.Load(ctx); err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "pw-") {
			t.Errorf("Load: %v, want %s", err, text)
		}
	}
	bad(func(o *Options) { o.Password = "pw-wrong" }, "authentication failed")
	bad(func(o *Options) { o.User = "" }, "user name is empty")
	bad(func(o *Options) { o.Prefix = "/other" }, "permission denied")
}

// writeCert makes cert.pem and key.pem for 127.0.0.1.
func writeCert(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

func TestContradicts(t *testing.T) {
	ours := &state{10, map[string]entry{"a": {mod: 5, create: 2}, "b": {mod: 9, create: 9}}}
	f := func(want string, rev int64, kvs map[string]entry) {
		t.Helper()
		theirs := &state{rev, kvs}
		got := ""
		if err := contradicts(ours, theirs); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("", 10, ours.kvs)
	f("", 12, map[string]entry{"a": {mod: 11, create: 2}, "c": {mod: 12, create: 12}})
	f("", 12, map[string]entry{"a": {mod: 12, create: 12}}) // deleted and made again
	f("", 20, nil)
	f("went back from 10 to 9", 9, ours.kvs)
	f("another history", 12, map[string]entry{"a": {mod: 4, create: 2}})
	f("another history", 12, map[string]entry{"a": {mod: 5, create: 3}})
	f("another history", 12, map[string]entry{"c": {mod: 5, create: 5}})
	f("another history", 12, map[string]entry{"c": {mod: 12, create: 5}})
	f("another history", 12, map[string]entry{"a": {mod: 12, create: 3}})
}

func FuzzSaved(f *testing.F) {
	f.Add([]byte(`{"format":1,"prefix":"/apisix","revision":9,"keys":[{"key":"/apisix/routes/1","value":"{}","create_revision":1,"mod_revision":1}]}`))
	f.Add([]byte(`{"format":1,"prefix":"/apisix","revision":9,"keys":null}`))
	s, err := Open(Options{Hosts: []string{"http://127.0.0.1:1"}})
	if err != nil {
		f.Fatal(err)
	}
	file := &file{path: filepath.Join(f.TempDir(), "etcd.json")}
	f.Fuzz(func(t *testing.T, text []byte) {
		st, err := parseSaved(text, "/apisix")
		if err != nil || st == nil {
			return
		}
		s.items(st)
		if err := file.write("/apisix", st); err != nil {
			t.Fatal(err)
		}
		back, err := file.read("/apisix")
		if err != nil || back.rev != st.rev || !same(back.kvs, st.kvs) {
			t.Errorf("%+v came back as %+v, %v", st, back, err)
		}
	})
}
