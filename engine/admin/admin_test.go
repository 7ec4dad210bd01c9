package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/engine"
	"headrace/plugin"
)

const (
	adminKey  = "edd1c9f034335f136f87ad84b625c8f1"
	viewerKey = "4054f7cf07e344346cd3f287985e76a2"
	startTime = 1700000000
)

var testSpec = plugin.Spec{
	Name: "test-plugin", Priority: 77, Kind: plugin.Auth,
	Schema: schema.MustCompile("test-plugin", `{"type":"object","properties":{"n":{"type":"integer","minimum":1},"token":{"type":"string"},
		"keys":{"type":"array"},"deep":{"type":"array"}},"required":["n"]}`),
	Metadata: schema.MustCompile("test-plugin metadata", `{"type":"object","properties":{"ikey":{"type":"integer"},"token":{"type":"string"}},"required":["ikey"]}`),
	Secrets:  []string{"token", "keys", "deep.auth.header"},
	Credential: &plugin.CredentialSpec{
		Schema: schema.MustCompile("test-plugin consumer", `{"type":"object","properties":{"key":{"type":"string"},"note":{"type":"string"}},"required":["key"]}`),
		Key:    "key", Secrets: []string{"key"},
	},
	New: func([]byte, *plugin.Env) (any, error) { return struct{}{}, nil },
}

// gate is an Admin API over a real store, with an engine that follows it.
type gate struct {
	t      *testing.T
	store  *conf.Embedded
	engine *engine.Engine
	api    *API
	client *http.Client
	log    lockedBuffer
	key    string
}

func newGate(t *testing.T, change func(*Options)) *gate {
	t.Helper()
	g := &gate{t: t, key: adminKey}
	var err error
	if g.store, err = conf.OpenEmbedded(filepath.Join(t.TempDir(), "data")); err != nil {
		t.Fatal(err)
	}
	if g.engine, err = engine.New(engine.Options{Env: func(string) (string, bool) { return "", false }}, []plugin.Spec{testSpec}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		_ = g.engine.Follow(ctx, g.store, g.store.Applied)
	}()
	t.Cleanup(func() {
		cancel()
		<-followed
		g.engine.Close()
		g.store.Close()
	})
	o := Options{
		Store: g.store, Applied: g.store.WaitApplied, Registry: g.engine.Registry(), Server: "headrace/test",
		Log:         slog.New(slog.NewTextHandler(&g.log, nil)),
		Keys:        []conf.AdminKeyEntry{{Name: "none", Key: "", Role: "admin"}, {Name: "boss", Key: adminKey, Role: "admin"}, {Name: "guest", Key: viewerKey, Role: "viewer"}},
		KeyRequired: true, CORS: true,
	}
	if change != nil {
		change(&o)
	}
	g.api = New(o)
	g.api.now = func() time.Time { return time.Unix(startTime, 0) }
	g.client = serve(t, g.api.Handler, "127.0.0.1:4711")
	return g
}

// serve runs a handler on a listener in memory whose peers have the address.
func serve(t *testing.T, h fasthttp.RequestHandler, from string) *http.Client {
	t.Helper()
	mem := fasthttputil.NewInmemoryListener()
	ln := addressed{mem, net.TCPAddrFromAddrPort(mustAddrPort(from))}
	s := NewServer(h, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln)
	}()
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return mem.Dial() }, MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = s.Shutdown()
		<-done
	})
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

type addressed struct {
	net.Listener
	from net.Addr
}

func (l addressed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressedConn{c, l.from}, nil
}

type addressedConn struct {
	net.Conn
	from net.Addr
}

func (c addressedConn) RemoteAddr() net.Addr { return c.from }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// do sends "PUT /routes/1" with a body below the base path; a path that
// begins with "//" is taken as it is, without one slash.
func (g *gate) do(call, body string, header ...string) (*http.Response, string) {
	g.t.Helper()
	verb, path, _ := strings.Cut(call, " ")
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	} else {
		path = basePath + path
	}
	if g.key != "" {
		header = append(header, "X-API-KEY", g.key)
	}
	return exchange(g.t, g.client, verb, path, body, header...)
}

func exchange(t *testing.T, c *http.Client, verb, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(verb, "http://gw"+path, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", verb, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", verb, path, err)
	}
	return res, strings.TrimSuffix(string(b), "\n")
}

// f checks one exchange; the body may have $now for the time and $e for `{"error_msg":`.
func (g *gate) f(call, body string, status int, want string) {
	g.t.Helper()
	res, got := g.do(call, body)
	want = strings.NewReplacer("$now", fmt.Sprint(startTime), "$e", `{"error_msg":`).Replace(want)
	if res.StatusCode != status || got != want {
		g.t.Errorf("%s %s\ngot  %d %s\nwant %d %s", call, body, res.StatusCode, got, status, want)
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/json" {
		g.t.Errorf("%s: content type %q", call, ct)
	}
}
