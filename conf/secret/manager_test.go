package secret

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// vaultServer is a Vault that knows one secret of each version of the store.
type vaultServer struct {
	*httptest.Server
	mu     sync.Mutex
	key    string
	status int
	calls  atomic.Int64
	gate   chan struct{} // nil: answers at once
}

func newVault(t *testing.T) *vaultServer {
	v := &vaultServer{key: "one", status: 200}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.calls.Add(1)
		v.mu.Lock()
		key, status, gate := v.key, v.status, v.gate
		v.mu.Unlock()
		if gate != nil {
			<-gate
		}
		switch {
		case r.Header.Get("X-Vault-Token") != "root" || r.Header.Get("X-Vault-Namespace") != "ns":
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		case status != 200:
			http.Error(w, key, status)
		case r.URL.Path == "/v1/kv/apisix/a/b":
			fmt.Fprintf(w, `{"data":{"key":%q,"n":7,"o":{}}}`, key)
		case r.URL.Path == "/v1/kv/apisix/v2":
			fmt.Fprintf(w, `{"data":{"data":{"key":%q},"metadata":{"version":1}}}`, key)
		case r.URL.Path == "/v1/kv/apisix/moved":
			http.Redirect(w, r, "/v1/kv/apisix/a/b", http.StatusFound)
		default:
			http.Error(w, `{"errors":[]}`, 404)
		}
	}))
	t.Cleanup(v.Server.Close)
	return v
}

func (v *vaultServer) set(key string, status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.key, v.status = key, status
}

func (v *vaultServer) entry() []byte {
	return fmt.Appendf(nil, `{"uri":%q,"prefix":"kv/apisix","token":"$env://TOKEN","namespace":"ns"}`, v.URL)
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newManager(t *testing.T, log *bytes.Buffer) (*Manager, *clock, *atomic.Int64) {
	changed := new(atomic.Int64)
	o := Options{Changed: func() { changed.Add(1) }, Env: func(ref string) (string, error) {
		if ref == "$env://TOKEN" {
			return "root", nil
		}
		return "", errors.New("no " + ref)
	}}
	if log != nil {
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	m := New(o)
	c := &clock{t: time.Unix(1e9, 0)}
	m.mu.Lock()
	m.now = c.now
	m.mu.Unlock()
	t.Cleanup(m.Close)
	return m, c, changed
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within five seconds: %s", what)
		}
	}
}

func TestVault(t *testing.T) {
	v := newVault(t)
	m, _, _ := newManager(t, nil)
	m.Configure(map[string][]byte{"vault/1": v.entry(), "vault/broken": []byte(`{"uri":"x"}`), "vault/env": bytes.Replace(v.entry(), []byte("TOKEN"), []byte("NONE"), 1)})
	for _, tt := range []struct{ ref, want, err string }{
		{"$secret://vault/1/a/b/key", "one", ""},
		{"$secret://vault/1/a/b/n", "7", ""},
		{"$secret://vault/1/v2/key", "one", ""},
		{"$secret://vault/1/a/b/o", "", `member "o" of the secret is no string`},
		{"$secret://vault/1/a/b/none", "", `the secret has no member "none"`},
		{"$secret://vault/1/c/key", "", "vault answered 404"},
		{"$secret://vault/1/moved/key", "", "vault answered 302"},
		{"$secret://vault/1/key", "", "the reference names no path and field"},
		{"$secret://vault/2/a/b/key", "", "there is no secret manager vault/2"},
		{"$secret://vault/broken/a/b/key", "", `property "prefix" is required`},
		{"$secret://vault/env/a/b/key", "", "token: no $env://NONE"},
		{"$secret://vault/1", "", "it names no manager, entry and secret"},
		{"$secret://", "", "it names no manager, entry and secret"},
	} {
		got, err := m.Resolve(tt.ref)
		want := ""
		if tt.err != "" {
			want = fmt.Sprintf("cannot resolve %q: %s", tt.ref, tt.err)
		}
		if got != tt.want || fmt.Sprint(err) != want && !(err == nil && want == "") {
			t.Errorf("%s: %q, %v; want %q, %s", tt.ref, got, err, tt.want, want)
		}
	}
}

func TestRefresh(t *testing.T) {
	var log bytes.Buffer
	v := newVault(t)
	m, c, changed := newManager(t, &log)
	m.Configure(map[string][]byte{"vault/1": v.entry()})
	const ref = "$secret://vault/1/a/b/key"
	is := func(want string) func() bool {
		return func() bool { got, err := m.Resolve(ref); return got == want && err == nil }
	}
	if !is("one")() || changed.Load() != 0 {
		t.Fatalf("the first value: %d changes told", changed.Load())
	}
	// Not before it is due, then by itself, and told once.
	v.set("two", 200)
	c.pass(299 * time.Second)
	time.Sleep(1100 * time.Millisecond)
	if !is("one")() {
		t.Error("asked again before it was due")
	}
	c.pass(2 * time.Second)
	poll(t, "the second value", is("two"))
	poll(t, "it is told", func() bool { return changed.Load() == 1 })
	// A manager that fails leaves the last value in force.
	calls := v.calls.Load()
	v.set("hunter2 in an error", 500)
	c.pass(301 * time.Second)
	poll(t, "another attempt", func() bool { return v.calls.Load() > calls })
	if !is("two")() {
		t.Error("the last good value is gone")
	}
	// A refused credential is asked for again, at most every ten seconds.
	v.set("three", 200)
	c.pass(9 * time.Second)
	calls = v.calls.Load()
	m.Suspect([]string{ref, "$secret://unknown"})
	if c.pass(time.Second); v.calls.Load() != calls {
		t.Error("asked again after nine seconds")
	}
	m.Suspect([]string{ref})
	poll(t, "the third value", is("three"))
	// Taken away by the operator, it is gone.
	m.Configure(nil)
	poll(t, "no value", func() bool { _, err := m.Resolve(ref); return err != nil })
	m.Configure(map[string][]byte{"vault/1": v.entry()})
	poll(t, "the value comes back", is("three"))
	m.Retain(map[string]bool{ref: true}, 0)
	if m.Retain(map[string]bool{}, time.Second); !is("three")() || len(m.values) != 1 {
		t.Error("a value in use was let go")
	}
	c.pass(time.Second)
	if m.Retain(map[string]bool{}, time.Second); len(m.values) != 0 {
		t.Error("a value that nobody uses is kept")
	}
	m.Close()
	for _, bad := range []string{"root", "one", "two", "three", "hunter2"} {
		if strings.Contains(log.String(), bad) {
			t.Errorf("the log shows %q:\n%s", bad, &log)
		}
	}
}

func TestPeek(t *testing.T) {
	v := newVault(t)
	v.gate = make(chan struct{})
	m, _, changed := newManager(t, nil)
	m.Configure(map[string][]byte{"vault/1": v.entry()})
	const ref = "$secret://vault/1/a/b/key"
	if _, err := m.Peek(ref); !errors.Is(err, ErrPending) {
		t.Errorf("got %v", err)
	}
	// Many that wait are one call.
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got, err := m.Resolve(ref); got != "one" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	close(v.gate)
	all.Wait()
	if n := v.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
	poll(t, "those that did not wait are told", func() bool { return changed.Load() == 1 })
	if got, err := m.Peek(ref); got != "one" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ id, raw, want string }{
		{"vault/1", `{"uri":"http://v","prefix":"p","token":"t"}`, ""},
		{"vault/1", `{"uri":"http://v","prefix":"p"}`, `property "token" is required`},
		{"vault/1", `{"uri":"ftp://v","prefix":"p","token":"t"}`, `property "uri" validation failed: it is no http or https address`},
		{"vault", `{}`, "no secret id"},
		{"file/1", `{}`, "invalid secret manager: file"},
		{"aws/1", `{"access_key_id":"a","secret_access_key":"b"}`, ""},
		{"aws/1", `{"access_key_id":"a"}`, `property "secret_access_key" is required`},
		{"gcp/1", `{}`, "value should match only one schema: auth_config or auth_file"},
		{"gcp/1", `{"auth_file":"x"}`, ""},
		{"gcp/1", `{"auth_config":{"client_email":"a","private_key":"b"}}`, `property "project_id" is required`},
		{"gcp/1", `{"auth_file":"x","ssl_verify":false}`, "ssl_verify: false is not supported: credentials go over this connection"},
	} {
		if got := fmt.Sprint(Check(tt.id, []byte(tt.raw))); got != tt.want && !(tt.want == "" && got == "<nil>") {
			t.Errorf("%s %s: %s, want %s", tt.id, tt.raw, got, tt.want)
		}
	}
}
