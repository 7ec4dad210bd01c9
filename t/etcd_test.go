package t

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"
)

// Gateways on one etcd, and what becomes of their clients when it stops, loses
// its history or all of its data.

// etcdServer is an etcd whose data survive its process.
type etcdServer struct {
	t    *testing.T
	url  string
	dir  string
	args []string
	cmd  *exec.Cmd
	db   *clientv3.Client
}

func startEtcd(t *testing.T) *etcdServer { return startEtcdWith(t, "http", nil) }

func startEtcdWith(t *testing.T, scheme string, secure *tls.Config, args ...string) *etcdServer {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("needs etcd (Debian package etcd-server): " + err.Error())
	}
	e := &etcdServer{t: t, dir: filepath.Join(t.TempDir(), "etcd"), url: scheme + "://127.0.0.1:" + strconv.Itoa(freePort()), args: args}
	t.Cleanup(e.stop)
	e.start()
	var err error
	if e.db, err = clientv3.New(clientv3.Config{Endpoints: []string{e.url}, TLS: secure, Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.db.Close() })
	return e
}

func (e *etcdServer) start() {
	e.t.Helper()
	peer := "http://127.0.0.1:" + strconv.Itoa(freePort())
	e.cmd = exec.Command("etcd", append([]string{
		"--data-dir", e.dir, "--listen-client-urls", e.url, "--advertise-client-urls", e.url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--heartbeat-interval", "50", "--election-timeout", "500",
	}, e.args...)...)
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *etcdServer) stop() {
	if e.cmd == nil {
		return
	}
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
	e.cmd = nil
}

func (e *etcdServer) wipe() {
	e.t.Helper()
	e.stop()
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Fatal(err)
	}
	e.start()
}

// do repeats a request until etcd takes it.
func (e *etcdServer) do(f func(ctx context.Context) error) {
	e.t.Helper()
	err := eventually(10*time.Second, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return f(ctx)
	})
	if err != nil {
		e.t.Fatalf("etcd: %v", err)
	}
}

func (e *etcdServer) put(key, value string) {
	e.t.Helper()
	e.do(func(ctx context.Context) error { _, err := e.db.Put(ctx, "/apisix/"+key, value); return err })
}

func (e *etcdServer) get(key string) (value string, rev int64) {
	e.t.Helper()
	e.do(func(ctx context.Context) error {
		r, err := e.db.Get(ctx, "/apisix/"+key)
		if err == nil {
			rev = r.Header.Revision
			if len(r.Kvs) > 0 {
				value = string(r.Kvs[0].Value)
			}
		}
		return err
	})
	return value, rev
}

func (e *etcdServer) compact() {
	e.t.Helper()
	_, rev := e.get("x")
	e.do(func(ctx context.Context) error { _, err := e.db.Compact(ctx, rev); return err })
}

// sealed is a text as APISIX stores it with the keyring that it comes with.
func sealed(text string) string {
	const key = "qeddd145sfvddff3"
	n := 16 - len(text)%16
	b := append([]byte(text), bytes.Repeat([]byte{byte(n)}, n)...)
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, []byte(key)).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// etcdRoute is a route to the mock, which answers with the name of the model.
func etcdRoute(mock, id, auth, model string) string {
	return fmt.Sprintf(`{"id":"%s","uri":"/%s","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"%s"}},"options":{"model":"%s"},"override":{"endpoint":"http://%s"}}},"create_time":1,"update_time":1}`,
		id, id, auth, model, mock)
}

// gate is a gateway of its own folder and ports.
type gate struct {
	*state
	p *process
}

func newGate(t *testing.T, extra string) *gate {
	t.Helper()
	g := &gate{state: newState(t, &testscript.Env{WorkDir: t.TempDir(), Vars: os.Environ()})}
	setPorts(g.env)
	g.env.Setenv("CHAT", `{"model":"m","messages":[]}`)
	conf := filepath.Join(g.env.WorkDir, "conf", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(conf), "extra.yaml"), []byte(extra), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := g.writeConfig(conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.cleanup)
	return g
}

// spawn starts the gateway and waits for nothing.
func (g *gate) spawn() {
	g.t.Helper()
	p, err := g.start("gateway", "serve", "-c", filepath.Join(g.env.WorkDir, "conf", "config.yaml"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.p = p
	g.gateways = append(g.gateways, p)
}

func (g *gate) up() *gate {
	g.t.Helper()
	g.spawn()
	g.banner()
	return g
}

func (g *gate) banner() {
	g.t.Helper()
	err := eventually(15*time.Second, func() error {
		if g.p.running() && strings.Count(g.p.out.String(), ": routes from etcd") < len(g.gateways) {
			return errors.New("no banner yet")
		}
		return nil
	})
	if err != nil || !g.p.running() {
		g.t.Fatalf("the gateway does not serve: %v\n%s%s", err, g.p.out, g.p.err)
	}
}

func (g *gate) down() {
	g.t.Helper()
	if _, err := g.cmdGateway([]string{"stop"}); err != nil {
		g.t.Fatal(err)
	}
}

// call sends a request to one of the gateway's ports, and returns the answer.
func (g *gate) call(port, method, path, body string) (status int, answer string) {
	req, err := http.NewRequest(method, "http://"+g.getenv(port)+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("X-API-KEY", adminKey)
	req.Header.Set("Content-Type", "application/json")
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, strings.TrimSpace(string(text))
}

// wants repeats a call until the answer is of that status and contains text.
func (g *gate) wants(status int, text, port, method, path, body string) {
	g.t.Helper()
	err := eventually(10*time.Second, func() error {
		if s, a := g.call(port, method, path, body); s != status || !strings.Contains(a, text) {
			return fmt.Errorf("%s %s: %d %s, want %d %s", method, path, s, a, status, text)
		}
		return nil
	})
	if err != nil {
		g.t.Fatalf("%v\n%s", err, g.p.err)
	}
}

// serves waits until a route answers with that model, and sends that credential.
func (g *gate) serves(route, model string) {
	g.t.Helper()
	g.wants(200, `"model":"`+model+`"`, "TRAFFIC", "POST", "/"+route, g.getenv("CHAT"))
}

func (g *gate) metric(line string) {
	g.t.Helper()
	g.wants(200, line+"\n", "METRICS", "GET", "/apisix/prometheus/metrics", "")
}

func (g *gate) loads(args ...string) {
	g.t.Helper()
	if _, err := g.cmdTraffic(args); err != nil {
		g.t.Error(err)
	}
}

func etcdConfig(e *etcdServer, role string, more ...map[string]any) string {
	c := map[string]any{
		"deployment": map[string]any{
			"role": role, "role_" + role: map[string]any{"config_provider": "etcd"},
			"etcd": map[string]any{"host": []any{e.url}, "resync_delay": 0.5, "startup_retry": 1},
		},
	}
	for _, m := range more {
		merge(c, m)
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		e.t.Fatal(err)
	}
	return string(text)
}

func TestEtcd(t *testing.T) {
	t.Parallel()
	e := startEtcd(t)
	a, b := newGate(t, etcdConfig(e, "traditional")), newGate(t, etcdConfig(e, "data_plane"))
	if _, err := a.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	mock := a.getenv("MOCK")
	raw := func(id, model string) { e.put("routes/"+id, etcdRoute(mock, id, sealed("Bearer sk-"+id), model)) }
	admin := func(id, model string) (int, string) {
		body := etcdRoute(mock, id, "Bearer sk-"+id, model)
		return a.call("ADMIN", "PUT", "/apisix/admin/routes/"+id, strings.Replace(body, `,"create_time":1,"update_time":1`, "", 1))
	}
	mustAdmin := func(id, model string) {
		t.Helper()
		if status, answer := admin(id, model); status/100 != 2 {
			t.Fatalf("PUT of %s: %d %s", id, status, answer)
		}
	}
	both := func(id, model string) {
		t.Helper()
		a.serves(id, model)
		b.serves(id, model)
	}

	// As APISIX left it.
	for _, dir := range []string{"routes", "upstreams", "consumers"} {
		e.put(dir+"/", "init_dir")
	}
	raw("steady", "v1")
	raw("chat", "v1")
	_, before := e.get("")
	b.up()
	a.up()
	both("chat", "v1")
	if _, rev := e.get(""); rev != before {
		t.Errorf("a start wrote to etcd: revision %d became %d", before, rev)
	}
	if out, err := a.call("MOCK", "GET", "/mock/last?n=1", ""); out != 200 || !strings.Contains(err, "Bearer sk-chat") {
		t.Errorf("the provider did not get the decrypted credential: %s", err)
	}
	if status, _ := b.call("ADMIN", "GET", "/apisix/admin/routes", ""); status != 0 {
		t.Errorf("a data plane has an Admin API: %d", status)
	}
	b.loads("start", "2", "200", "POST", b.getenv("TRAFFIC")+"/steady", "-d", b.getenv("CHAT"))
	a.loads("start", "2", "200", "POST", a.getenv("TRAFFIC")+"/steady", "-d", b.getenv("CHAT"))

	// Changes from either side.
	mustAdmin("chat", "v2")
	a.serves("chat", "v2")
	b.serves("chat", "v2")
	if text, _ := e.get("routes/chat"); !strings.Contains(text, sealed("Bearer sk-chat")) || strings.Contains(text, "Bearer sk-") {
		t.Errorf("etcd holds %s", text)
	}
	if _, text := a.call("ADMIN", "GET", "/apisix/admin/routes/chat", ""); !strings.Contains(text, "Bearer sk-chat") {
		t.Errorf("the Admin API shows %s", text)
	}
	raw("chat", "v3")
	both("chat", "v3")
	for i := range 200 {
		if i%2 == 0 {
			raw("steady", "v"+strconv.Itoa(i))
		} else {
			mustAdmin("steady", "v"+strconv.Itoa(i))
		}
	}
	both("steady", "v199")
	status, text := a.call("ADMIN", "POST", "/apisix/admin/routes", `{"uri":"/posted","plugins":{"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":"http://`+mock+`"}}}}`)
	_, rev := e.get("")
	if want := fmt.Sprintf(`"id":"%020d"`, rev-1); status != 201 || !strings.Contains(text, want) {
		t.Errorf("POST: %d %s, want %s", status, text, want)
	}

	// etcd stops and comes back, with changes and without its history.
	e.stop()
	a.metric("apisix_etcd_reachable 0")
	if status, text := admin("chat", "v4"); status != 503 || !strings.Contains(text, "error_msg") {
		t.Errorf("PUT without etcd: %d %s", status, text)
	}
	both("chat", "v3")
	e.start()
	raw("chat", "v5")
	raw("late", "v1")
	e.compact()
	both("chat", "v5")
	both("late", "v1")
	a.metric("apisix_etcd_reachable 1")
	mustAdmin("late", "v2")
	both("late", "v2")

	// etcd is emptied: nothing changes until somebody says so.
	e.wipe()
	for _, g := range []*gate{a, b} {
		g.metric("headrace_config_held 1")
		g.wants(200, "went back", "CONTROL", "GET", "/v1/config", "")
		if !strings.Contains(g.p.err.String(), "ALERT: changes of the configuration are held") {
			t.Error("no alert in the log")
		}
	}
	raw("steady", "anew")
	mustAdmin("chat", "anew")
	both("late", "v2")
	both("chat", "v5")
	a.loads("stop", "20")
	a.down()
	a.up()
	a.serves("late", "v2")
	for _, g := range []*gate{a, b} {
		g.wants(200, `"changes":4}`, "CONTROL", "PUT", "/v1/config/accept", "")
		g.wants(404, "", "TRAFFIC", "POST", "/late", b.getenv("CHAT"))
		g.metric("headrace_config_held 0")
		g.wants(409, "no change of the configuration is held", "CONTROL", "PUT", "/v1/config/accept", "")
	}
	both("chat", "anew")
	mustAdmin("chat", "v6")
	both("chat", "v6")

	// A start without etcd.
	a.down()
	file := filepath.Join(a.env.WorkDir, "data", "etcd.json")
	fi, err := os.Stat(file)
	saved, _ := os.ReadFile(file)
	if err != nil || fi.Mode().Perm() != 0o600 || strings.Contains(string(saved), "Bearer sk-") || !strings.Contains(string(saved), sealed("Bearer sk-chat")) {
		t.Errorf("%v, %v: %s", fi, err, saved)
	}
	e.stop()
	a.up()
	a.serves("chat", "v6")
	a.metric("headrace_config_from_snapshot 1")
	a.wants(200, "ok", "STATUS", "GET", "/status/ready", "")
	if !strings.Contains(a.p.err.String(), "serving the last good configuration from disk") {
		t.Errorf("nothing is said:\n%s", a.p.err)
	}
	e.start()
	raw("chat", "v7")
	both("chat", "v7")
	a.metric("headrace_config_from_snapshot 0")

	b.loads("stop", "100")
}

// TestEtcdUnknown has routes with plugins that Headrace does not have.
func TestEtcdUnknown(t *testing.T) {
	t.Parallel()
	e := startEtcd(t)
	g := newGate(t, etcdConfig(e, "traditional")+"plugins: [ai-proxy]\n")
	if _, err := g.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	with := func(id, name string) {
		r := etcdRoute(g.getenv("MOCK"), id, sealed("x"), "v1")
		e.put("routes/"+id, strings.Replace(r, `"plugins":{`, `"plugins":{"`+name+`":{},`, 1))
	}
	with("ours", "my-lua-plugin")
	with("logger", "kafka-logger")
	with("off", "file-logger")
	with("guard", "openid-connect")
	g.up()
	g.serves("ours", "v1")
	g.serves("logger", "v1")
	g.serves("off", "v1")
	g.wants(503, "openid-connect", "TRAFFIC", "POST", "/guard", g.getenv("CHAT"))
	if log := g.p.err.String(); !strings.Contains(log, "unknown plugin [my-lua-plugin] is left out") {
		t.Errorf("nothing is said:\n%s", log)
	}
	g.wants(400, "unknown plugin [my-lua-plugin]", "ADMIN", "PUT", "/apisix/admin/routes/1", `{"uri":"/a","plugins":{"my-lua-plugin":{}}}`)
}

// TestEtcdRoles has a control plane beside a data plane, and a gateway that
// waits for its first configuration.
func TestEtcdRoles(t *testing.T) {
	t.Parallel()
	e := startEtcd(t)
	control, data := newGate(t, etcdConfig(e, "control_plane")).up(), newGate(t, etcdConfig(e, "data_plane")).up()
	if _, err := control.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	if status, _ := control.call("TRAFFIC", "GET", "/", ""); status != 0 {
		t.Errorf("a control plane has a traffic port: %d", status)
	}
	route := func(model string) string {
		b, _ := json.Marshal(map[string]any{"uri": "/chat", "plugins": map[string]any{"ai-proxy": map[string]any{
			"provider": "openai", "auth": map[string]any{}, "options": map[string]any{"model": model}, "override": map[string]any{"endpoint": "http://" + control.getenv("MOCK")}}}})
		return string(b)
	}
	control.wants(201, `"key":"/apisix/routes/chat"`, "ADMIN", "PUT", "/apisix/admin/routes/chat", route("v1"))
	data.serves("chat", "v1")

	e.stop()
	late := newGate(t, etcdConfig(e, "data_plane"))
	late.spawn()
	late.wants(503, "no configuration was loaded yet", "STATUS", "GET", "/status/ready", "")
	late.wants(200, "ok", "STATUS", "GET", "/status", "")
	if status, _ := late.call("TRAFFIC", "GET", "/", ""); status != 0 {
		t.Errorf("a gateway that knows no route answers: %d", status)
	}
	e.start()
	late.banner()
	late.serves("chat", "v1")

	e.stop()
	gone := newGate(t, etcdConfig(e, "data_plane"))
	gone.spawn()
	gone.wants(200, "ok", "STATUS", "GET", "/status", "")
	gone.down()
}

// TestEtcdTLS asks both sides for a certificate, and a user for a password.
func TestEtcdTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	e := startEtcdWith(t, "https", selfSigned(t, cert, key), "--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", cert)
	for _, f := range []func(ctx context.Context) error{
		func(ctx context.Context) error { _, err := e.db.UserAdd(ctx, "root", "s3cret"); return err },
		func(ctx context.Context) error { _, err := e.db.UserGrantRole(ctx, "root", "root"); return err },
	} {
		e.do(f)
	}
	e.put("routes/1", `{"uri":"/a","plugins":{"ai-proxy":{"provider":"openai","auth":{}}}}`)
	e.do(func(ctx context.Context) error { _, err := e.db.AuthEnable(ctx); return err })

	config := func(password, keyFile string) string {
		return etcdConfig(e, "data_plane", map[string]any{
			"apisix": map[string]any{"ssl": map[string]any{"ssl_trusted_certificate": cert}},
			"deployment": map[string]any{"etcd": map[string]any{
				"user": "root", "password": password, "tls": map[string]any{"cert": cert, "key": keyFile},
			}},
		})
	}
	g := newGate(t, config("s3cret", key)).up()
	g.metric("headrace_config_routes 1")
	g.metric("apisix_etcd_reachable 1")

	f := func(extra, want string) {
		t.Helper()
		g := newGate(t, extra)
		g.spawn()
		if err := g.p.wait(15 * time.Second); err != nil || g.p.code() != 1 || !strings.Contains(g.p.err.String(), want) || strings.Contains(g.p.err.String(), "wr0ng") {
			t.Errorf("%v: %s\nwant %s", err, g.p.err, want)
		}
	}
	f(config("wr0ng", key), "authentication failed")
	f(config("x", cert), "deployment.etcd.tls")
}

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns what
// trusts it and shows it.
func selfSigned(t *testing.T, certFile, keyFile string) *tls.Config {
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
	for name, text := range map[string][]byte{certFile: cert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
}
