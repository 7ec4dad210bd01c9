package etcd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"headrace/conf"
	"headrace/conf/crypt"
)

func TestMain(m *testing.M) {
	// These tests mostly wait: many can run at once on few cores.
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		_ = p.Value.Set("8")
	}
	os.Exit(m.Run())
}

// server is an etcd of its own, with a data directory that survives restarts.
type server struct {
	t    testing.TB
	url  string
	args []string
	dir  string
	cmd  *exec.Cmd
	out  bytes.Buffer
}

// newServer starts an etcd; the test is skipped where there is none.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("needs etcd (Debian package etcd-server): " + err.Error())
	}
	s := &server{t: t, args: args, dir: filepath.Join(t.TempDir(), "etcd"), url: "http://" + freeAddr(t)}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// nextPort begins below the range that the system gives to outgoing
// connections, elsewhere for each process.
var nextPort atomic.Int64

func init() { nextPort.Store(int64(12000 + os.Getpid()*61%18000)) }

// freeAddr is an address that nobody listens on. Each is given out only once.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+nextPort.Add(1)%20000)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func (s *server) start() {
	s.t.Helper()
	peer := "http://" + freeAddr(s.t)
	s.cmd = exec.Command("etcd", append([]string{
		"--data-dir", s.dir, "--listen-client-urls", s.url, "--advertise-client-urls", s.url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--heartbeat-interval", "20", "--election-timeout", "200",
	}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	addr := s.url[strings.LastIndex(s.url, "/")+1:]
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.kill()
			s.t.Fatalf("etcd does not start: %v\n%s", err, &s.out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kill ends etcd as a crash would.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// wipe begins anew with nothing.
func (s *server) wipe() {
	s.t.Helper()
	s.kill()
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// apisix writes to etcd as somebody else.
type apisix struct {
	*clientv3.Client
	t testing.TB
}

func (s *server) client() *apisix {
	s.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.url}, Logger: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return &apisix{c, s.t}
}

func (a *apisix) retry(what string, f func(ctx context.Context) error) {
	a.t.Helper()
	eventually(a.t, what, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		return f(ctx)
	})
}

func (a *apisix) put(key, value string) (rev int64) {
	a.t.Helper()
	a.retry("put", func(ctx context.Context) error {
		r, err := a.Put(ctx, key, value)
		if err == nil {
			rev = r.Header.Revision
		}
		return err
	})
	return rev
}

func (a *apisix) del(key string, opts ...clientv3.OpOption) {
	a.t.Helper()
	a.retry("delete", func(ctx context.Context) error {
		_, err := a.Delete(ctx, key, opts...)
		return err
	})
}

func (a *apisix) get(key string) (value string) {
	a.t.Helper()
	a.retry("get", func(ctx context.Context) error {
		r, err := a.Get(ctx, key)
		if err == nil && len(r.Kvs) > 0 {
			value = string(r.Kvs[0].Value)
		}
		return err
	})
	return value
}

func (a *apisix) rev() (rev int64) {
	a.t.Helper()
	a.retry("get", func(ctx context.Context) error {
		r, err := a.Get(ctx, "x")
		if err == nil {
			rev = r.Header.Revision
		}
		return err
	})
	return rev
}

// compact makes etcd forget everything up to now.
func (a *apisix) compact() {
	a.t.Helper()
	rev := a.rev()
	a.retry("compact", func(ctx context.Context) error {
		_, err := a.Compact(ctx, rev, clientv3.WithCompactPhysical())
		return err
	})
}

// follower is what the engine is to a store.
type follower struct {
	t      testing.TB
	store  *Store
	log    lockedBuffer
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex
	items   map[string]string
	batches [][]string // keys of each apply, deleted ones with a minus
	rev     int64
}

// follow opens a store and follows it.
func follow(t testing.TB, o Options) *follower {
	t.Helper()
	f := &follower{t: t, items: map[string]string{}, ended: make(chan error, 1)}
	o.Log = slog.New(slog.NewTextHandler(&f.log, nil))
	if o.ResyncDelay == 0 {
		o.ResyncDelay = 500 * time.Millisecond
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	items, rev, err := s.Load(ctx)
	if err != nil {
		cancel()
		s.Close()
		t.Fatalf("Load: %v\n%s", err, &f.log)
	}
	for _, it := range items {
		f.items[it.Kind.String()+"/"+it.ID] = string(it.Raw)
	}
	f.rev = rev
	s.Applied(rev)
	go func() { f.ended <- s.Watch(ctx, rev, f.apply) }()
	t.Cleanup(f.close)
	return f
}

func (f *follower) close() {
	if f.cancel == nil {
		return
	}
	f.cancel()
	f.cancel = nil
	if err := <-f.ended; !errors.Is(err, context.Canceled) && !errors.Is(err, conf.ErrClosed) {
		f.t.Errorf("Watch ended with %v", err)
	}
	f.store.Close()
	if f.t.Failed() {
		f.t.Logf("log:\n%s", &f.log)
	}
}

func (f *follower) apply(changes []conf.Change, rev int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for _, ch := range changes {
		k := ch.Kind.String() + "/" + ch.ID
		if ch.Deleted {
			if _, ok := f.items[k]; !ok || ch.Raw != nil {
				f.t.Errorf("deletion of %s, which is not there", k)
			}
			delete(f.items, k)
			k = "-" + k
		} else {
			f.items[k] = string(ch.Raw)
		}
		keys = append(keys, k)
	}
	f.batches = append(f.batches, keys)
	f.rev = rev
	f.store.Applied(rev)
}

func (f *follower) all() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.items)
}

// has waits until the items are exactly those.
func (f *follower) has(want map[string]string) {
	f.t.Helper()
	eventually(f.t, "items", func() error {
		if got := f.all(); !maps.Equal(got, want) {
			return fmt.Errorf("got  %v\nwant %v", got, want)
		}
		return nil
	})
}

func (f *follower) takeBatches() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.batches
	f.batches = nil
	return b
}

// held waits for changes to be held, for a reason that contains text.
func (f *follower) held(text string) {
	f.t.Helper()
	eventually(f.t, "held", func() error {
		if st := f.store.Status(); st.Held == "" || !strings.Contains(st.Held, text) {
			return fmt.Errorf("status %+v, want it held: %s", st, text)
		}
		return nil
	})
	if !strings.Contains(f.log.String(), "ALERT: changes of the configuration are held") {
		f.t.Error("no alert in the log")
	}
}

func (f *follower) metric(line string) {
	f.t.Helper()
	eventually(f.t, line, func() error {
		var b strings.Builder
		f.store.WriteMetrics(&b, "apisix_")
		if !strings.Contains("\n"+b.String(), "\n"+line+"\n") {
			return errors.New(b.String())
		}
		return nil
	})
}

func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(pause)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// link is a network cable between a store and its etcd.
type link struct {
	t    testing.TB
	ln   net.Listener
	to   string
	mu   sync.Mutex
	cut  bool
	live map[net.Conn]bool
}

func newLink(t testing.TB, url string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, ln: ln, to: strings.TrimPrefix(url, "http://"), live: map[net.Conn]bool{}}
	go l.serve()
	t.Cleanup(func() { ln.Close(); l.pull() })
	return l
}

func (l *link) url() string { return "http://" + l.ln.Addr().String() }

func (l *link) serve() {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			return
		}
		go l.pass(c)
	}
}

func (l *link) pass(c net.Conn) {
	defer c.Close()
	l.mu.Lock()
	if l.cut {
		l.mu.Unlock()
		return
	}
	l.live[c] = true
	l.mu.Unlock()
	defer func() { l.mu.Lock(); delete(l.live, c); l.mu.Unlock() }()
	up, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { _, _ = io.Copy(up, c); up.Close() }()
	_, _ = io.Copy(c, up)
}

// pull breaks every connection and lets none through until plug.
func (l *link) pull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.live {
		c.Close()
	}
}

func (l *link) plug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

// The keyring that APISIX comes with, and the fields that these tests encrypt.
var (
	testFields      = map[string][]string{"ai-proxy": {"auth.header"}, "limit-count": {"redis_password"}}
	testCredentials = map[string][]string{"key-auth": {"key"}}
)

func testRing(t testing.TB) *crypt.Keyring {
	t.Helper()
	r, err := crypt.New([]string{"qeddd145sfvddff3", "edd1c9f0985e76a2"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func options(t testing.TB, url string) Options {
	return Options{
		Hosts: []string{url}, Prefix: "/apisix", Keyring: testRing(t), Fields: testFields, CredentialFields: testCredentials,
		File: filepath.Join(t.TempDir(), "data", "etcd.json"),
	}
}
