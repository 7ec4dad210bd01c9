package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"headrace/conf"
)

func route(id, raw string) conf.Item {
	return conf.Item{Kind: conf.Routes, ID: id, Raw: []byte(raw)}
}

// TestWrites holds what stands in etcd after each write: APISIX reads it.
func TestWrites(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	f := follow(t, options(t, srv.url))
	s := f.store

	now, old, err := s.Put(route("b", `{"uri":"/1"}`), 0)
	if err != nil || now.Rev != db.rev() || now.Created != now.Rev || old.Raw != nil || string(now.Raw) != `{"uri":"/1"}` {
		t.Fatalf("Put: %+v, %+v, %v", now, old, err)
	}
	first := now.Rev
	now, old, err = s.Put(route("b", `{"uri":"/2"}`), 0)
	if err != nil || now.Created != first || now.Rev <= first || string(old.Raw) != `{"uri":"/1"}` || old.Rev != first {
		t.Errorf("second Put: %+v, %+v, %v", now, old, err)
	}
	if _, err := s.Swap(route("b", `{}`), first, 0); !errors.Is(err, conf.ErrConflict) {
		t.Errorf("Swap of an old revision: %v", err)
	}
	if _, err := s.Swap(route("b", `{}`), 0, 0); !errors.Is(err, conf.ErrConflict) {
		t.Errorf("Swap of what should not be there: %v", err)
	}
	if _, err := s.Swap(route("c", `{}`), 7, 0); !errors.Is(err, conf.ErrConflict) {
		t.Errorf("Swap of what is not there: %v", err)
	}
	swapped, err := s.Swap(route("b", `{"uri":"/3"}`), now.Rev, 0)
	if err != nil || swapped.Created != first {
		t.Errorf("Swap: %+v, %v", swapped, err)
	}
	if got := db.get("/apisix/routes/b"); got != `{"uri":"/3"}` {
		t.Errorf("etcd has %s", got)
	}
	before := db.rev()
	made, err := s.Create(conf.Routes, 0, func(id string) ([]byte, error) { return []byte(`{"id":"` + id + `"}`), nil })
	if err != nil || made.ID != fmt.Sprintf("%020d", before+1) || made.Rev != before+2 || string(made.Raw) != `{"id":"`+made.ID+`"}` {
		t.Errorf("Create: %+v, %v", made, err)
	}
	if got := db.get("/apisix/gen_id"); got != "1" {
		t.Errorf("gen_id is %q", got)
	}
	if _, err := s.Create(conf.Routes, 0, func(string) ([]byte, error) { return nil, errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Create with a failing fill: %v", err)
	}
	for _, bad := range []conf.Item{route("", "{}"), route("a/b", "{}"), {ID: "x"}, {Kind: conf.Secrets, ID: "x"}, {Kind: conf.Consumers, ID: "u/credentials"}} {
		if _, _, err := s.Put(bad, 0); err == nil {
			t.Errorf("Put of %v %q was accepted", bad.Kind, bad.ID)
		}
	}
	for _, it := range []conf.Item{{Kind: conf.Consumers, ID: "u"}, {Kind: conf.Consumers, ID: "u/credentials/c"}, {Kind: conf.Secrets, ID: "vault/1"}} {
		it.Raw = []byte("{}")
		if _, _, err := s.Put(it, 0); err != nil {
			t.Error(err)
		}
	}
	if items, err := s.List(conf.Consumers); err != nil || len(items) != 2 || items[0].ID != "u" || items[1].ID != "u/credentials/c" {
		t.Errorf("List: %+v, %v", items, err)
	}
	if items, err := s.List(conf.Upstreams); err != nil || len(items) != 0 {
		t.Errorf("List of nothing: %+v, %v", items, err)
	}
	if it, err := s.Get(conf.Routes, "b"); err != nil || string(it.Raw) != `{"uri":"/3"}` || it.Rev != swapped.Rev || it.Created != first {
		t.Errorf("Get: %+v, %v", it, err)
	}
	if _, err := s.Get(conf.Routes, "none"); !errors.Is(err, conf.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	gone, rev, err := s.Delete(conf.Routes, "b")
	if err != nil || string(gone.Raw) != `{"uri":"/3"}` || rev != db.rev() {
		t.Errorf("Delete: %+v, %d, %v", gone, rev, err)
	}
	if _, _, err := s.Delete(conf.Routes, "b"); !errors.Is(err, conf.ErrNotFound) {
		t.Errorf("Delete of nothing: %v", err)
	}
	if err := s.WaitApplied(context.Background(), rev); err != nil {
		t.Error(err)
	}
	f.has(map[string]string{"routes/" + made.ID: string(made.Raw), "consumers/u": "{}", "consumers/u/credentials/c": "{}", "secrets/vault/1": "{}"})

	// A time to live is a lease, and only that of the latest write.
	if _, _, err := s.Put(route("short", `{"uri":"/s"}`), time.Second); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Put(route("stays", `{}`), time.Second); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Put(route("stays", `{}`), 0); err != nil {
		t.Error(err)
	}
	eventually(t, "expiry", func() error {
		if _, err := s.Get(conf.Routes, "short"); !errors.Is(err, conf.ErrNotFound) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
	if _, err := s.Get(conf.Routes, "stays"); err != nil {
		t.Errorf("the lease of an older write counted: %v", err)
	}
	l, err := db.Leases(context.Background())
	if err != nil || len(l.Leases) > 1 {
		t.Errorf("leases are left: %v, %v", l, err)
	}
}

// TestAPISIX reads what an APISIX cluster leaves in its etcd.
func TestAPISIX(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	for k, v := range map[string]string{
		"routes/":                               "init_dir",
		"consumers/":                            "init_dir",
		"services/":                             "init_dir",
		"gen_id":                                "1",
		"routes/2":                              `{"id":"2","uri":"/2","plugins":{"ai-proxy":{"auth":{"header":{"Authorization":"MwyzIum5fVAGWep8G34o9g=="}}}}}`,
		"routes/10":                             `{"id":10,"plugins":{"ai-proxy":{"auth":{"header":{"A":"mt39FazQccyMqt4ctoRV7w==","B":"plain","C":"AAAAAAAAAAAAAAAAAAAAAA=="}}}}}`,
		"services/s":                            `{"id":"s"}`,
		"services/s/graphql_cost_decorations/1": `{"id":"1"}`,
		"consumers/jack":                        `{"username":"jack","plugins":{"key-auth":{"key":"9QKrmTT3TkWGvjlIoe5XXw=="},"limit-count":{"redis_password":"77+NmbYqNfN+oLm0aX5akg=="}}}`,
		"consumers/jack/credentials/one":        `{"id":"one","plugins":{"key-auth":{"key":"vU/ZHVJw7b0XscDJ1Fhtig=="}}}`,
		"secrets/vault/1":                       `{"id":"vault/1"}`,
		"plugin_metadata/file-logger":           `{"id":"file-logger"}`,
		"plugins":                               `[{"name":"ai-proxy"}]`,
		"data_plane/server_info/x":              `{}`,
		"unknown_kind/1":                        `{}`,
		"routes/a/b":                            `{}`,
		"plugin_configs/1":                      `{"plugins":{"key-auth":{"key":"9QKrmTT3TkWGvjlIoe5XXw=="}}}`,
		"ssls/1":                                `{"key":"` + testRing(t).Encrypt("-----BEGIN") + `","keys":["---x"],"cert":"MwyzIum5fVAGWep8G34o9g=="}`,
	} {
		db.put("/apisix/"+k, v)
	}
	db.put("/apisix2/routes/1", `{}`)
	f := follow(t, options(t, srv.url))
	want := map[string]string{
		"routes/2":                       `{"id":"2","uri":"/2","plugins":{"ai-proxy":{"auth":{"header":{"Authorization":"userkey"}}}}}`,
		"routes/10":                      `{"id":10,"plugins":{"ai-proxy":{"auth":{"header":{"A":"userkey","B":"plain","C":"AAAAAAAAAAAAAAAAAAAAAA=="}}}}}`,
		"services/s":                     `{"id":"s"}`,
		"consumers/jack":                 `{"username":"jack","plugins":{"key-auth":{"key":"test"},"limit-count":{"redis_password":"bar"}}}`,
		"consumers/jack/credentials/one": `{"id":"one","plugins":{"key-auth":{"key":"auth-two"}}}`,
		"secrets/vault/1":                `{"id":"vault/1"}`,
		"plugin_metadata/file-logger":    `{"id":"file-logger"}`,
		"plugins/plugins":                `[{"name":"ai-proxy"}]`,
		// key-auth has no secret on a route, and a certificate is none.
		"plugin_configs/1": `{"plugins":{"key-auth":{"key":"9QKrmTT3TkWGvjlIoe5XXw=="}}}`,
		"ssls/1":           `{"key":"-----BEGIN","keys":["---x"],"cert":"MwyzIum5fVAGWep8G34o9g=="}`,
	}
	f.has(want)
	if log := f.log.String(); !strings.Contains(log, "fit no key") || !strings.Contains(log, "id=10") {
		t.Errorf("nothing is said about a field that fits no key:\n%s", log)
	}
	// What is written back is encrypted with the first key.
	if _, _, err := f.store.Put(conf.Item{Kind: conf.Consumers, ID: "jack", Raw: []byte(want["consumers/jack"])}, 0); err != nil {
		t.Fatal(err)
	}
	r := testRing(t)
	if got := db.get("/apisix/consumers/jack"); got != `{"username":"jack","plugins":{"key-auth":{"key":"`+r.Encrypt("test")+`"},"limit-count":{"redis_password":"`+r.Encrypt("bar")+`"}}}` {
		t.Errorf("etcd has %s", got)
	}
	if _, _, err := f.store.Put(conf.Item{Kind: conf.SSLs, ID: "1", Raw: []byte(want["ssls/1"])}, 0); err != nil {
		t.Fatal(err)
	}
	if got := db.get("/apisix/ssls/1"); got != `{"key":"`+r.Encrypt("-----BEGIN")+`","keys":["`+r.Encrypt("---x")+`"],"cert":"MwyzIum5fVAGWep8G34o9g=="}` {
		t.Errorf("etcd has %s", got)
	}
	f.has(want)
	f.metric("apisix_etcd_reachable 1")
	f.metric(fmt.Sprintf(`apisix_etcd_modify_indexes{key="x_etcd_index"} %d`, db.rev()))
	f.metric(`apisix_etcd_modify_indexes{key="stream_routes"} 0`)
}

// TestLoadOrder holds the order of keys, over more than a page of them.
func TestLoadOrder(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	const n = 2*pageSize + 7
	for from := 0; from < n; from += 100 {
		var ops []clientv3.Op
		for i := from; i < min(from+100, n); i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/apisix/routes/%05d", n-i), "{}"))
		}
		db.retry("fill", func(ctx context.Context) error {
			_, err := db.Txn(ctx).Then(ops...).Commit()
			return err
		})
	}
	s, err := Open(options(t, srv.url))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	items, rev, err := s.Load(context.Background())
	if err != nil || len(items) != n || rev != db.rev() {
		t.Fatalf("%d items, revision %d, %v", len(items), rev, err)
	}
	for i, it := range items {
		if it.ID != fmt.Sprintf("%05d", i+1) {
			t.Fatalf("item %d is %s", i, it.ID)
		}
	}
}

// TestWatch follows changes, each revision in one batch.
func TestWatch(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	db.put("/apisix/routes/1", `{"n":1}`)
	f := follow(t, options(t, srv.url))
	db.put("/apisix/routes/1", `{"n":2}`)
	db.put("/apisix/routes/", `init_dir`)
	db.put("/apisix/gen_id", `1`)
	db.put("/apisix2/routes/1", `{}`)
	db.retry("transaction", func(ctx context.Context) error {
		_, err := db.Txn(ctx).Then(clientv3.OpPut("/apisix/routes/2", `{}`), clientv3.OpPut("/apisix/upstreams/2", `{}`), clientv3.OpDelete("/apisix/routes/1")).Commit()
		return err
	})
	f.has(map[string]string{"routes/2": "{}", "upstreams/2": "{}"})
	if got := fmt.Sprint(f.takeBatches()); !strings.HasPrefix(got, "[[routes/1") || !strings.HasSuffix(got, " routes/2 upstreams/2 -routes/1]]") && !strings.HasSuffix(got, "[routes/2 upstreams/2 -routes/1]]") {
		t.Errorf("batches %s", got)
	}
	// A request that waits for a revision of ours hears of it.
	now, _, err := f.store.Put(route("3", "{}"), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.store.WaitApplied(ctx, now.Rev); err != nil {
		t.Error(err)
	}
	if f.all()["routes/3"] != "{}" {
		t.Error("WaitApplied returned before the change was applied")
	}
}

// TestReadOnly is a data plane.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	db.put("/apisix/routes/1", `{}`)
	o := options(t, srv.url)
	o.ReadOnly = true
	f := follow(t, o)
	s := f.store
	_, _, err1 := s.Put(route("1", "{}"), time.Minute)
	_, err2 := s.Swap(route("1", "{}"), 1, 0)
	_, err3 := s.Create(conf.Routes, 0, func(string) ([]byte, error) { return []byte("{}"), nil })
	_, _, err4 := s.Delete(conf.Routes, "1")
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("a write of a data plane: %v", err)
		}
	}
	db.put("/apisix/routes/2", `{}`)
	f.has(map[string]string{"routes/1": "{}", "routes/2": "{}"})
	if l, err := db.Leases(context.Background()); err != nil || len(l.Leases) > 0 || db.rev() != 3 {
		t.Errorf("etcd was written to: revision %d, %v, %v", db.rev(), l, err)
	}
}

// TestHosts has one host that is down.
func TestHosts(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	db := srv.client()
	db.put("/apisix/routes/1", `{}`)
	o := options(t, srv.url)
	o.Hosts = []string{"http://" + freeAddr(t), srv.url}
	f := follow(t, o)
	db.put("/apisix/routes/2", `{}`)
	f.has(map[string]string{"routes/1": "{}", "routes/2": "{}"})
	if _, _, err := f.store.Put(route("3", "{}"), 0); err != nil {
		t.Error(err)
	}
	f.has(map[string]string{"routes/1": "{}", "routes/2": "{}", "routes/3": "{}"})
}

func TestKeys(t *testing.T) {
	s, err := Open(Options{Hosts: []string{"http://127.0.0.1:1"}, Prefix: "/a/b/"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := map[string]string{}
	for _, k := range []string{
		"/a/b/routes/1", "/a/b/routes/", "/a/b/routes", "/a/b/routes/1/", "/a/b/routes/1/2", "/a/b//1", "/a/b", "/a/bc/routes/1", "/routes/1", "",
		"/a/b/consumers/u", "/a/b/consumers/u/credentials/1", "/a/b/consumers/u/credentials/", "/a/b/consumers/u/other/1", "/a/b/consumers//credentials/1",
		"/a/b/secrets/vault/1", "/a/b/secrets/vault", "/a/b/secrets/vault/1/2", "/a/b/plugins", "/a/b/plugins/1", "/a/b/services/1/graphql_cost_decorations/1",
	} {
		if kind, id, ok := s.parse(k); ok {
			got[k] = kind.String() + " " + id
			if s.key(kind, id) != k {
				t.Errorf("%s became %s", k, s.key(kind, id))
			}
		}
	}
	want := map[string]string{
		"/a/b/routes/1": "routes 1", "/a/b/consumers/u": "consumers u", "/a/b/consumers/u/credentials/1": "consumers u/credentials/1",
		"/a/b/secrets/vault/1": "secrets vault/1", "/a/b/plugins": "plugins plugins",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func FuzzItem(f *testing.F) {
	for _, k := range []string{"/apisix/routes/1", "/apisix/consumers/u/credentials/1", "/apisix/plugins", "/apisix/secrets/vault/1", "/apisix/ssls/1"} {
		f.Add(k, []byte(`{"plugins":{"ai-proxy":{"auth":{"header":{"A":"MwyzIum5fVAGWep8G34o9g=="}}}},"key":"---"}`))
	}
	s, err := Open(Options{Hosts: []string{"http://127.0.0.1:1"}, Keyring: testRing(f), Fields: testFields, CredentialFields: testCredentials})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		it, ok := s.item(key, entry{value: value})
		if !ok {
			return
		}
		if s.key(it.Kind, it.ID) != key {
			t.Errorf("%q became %q", key, s.key(it.Kind, it.ID))
		}
		s.fields.seal(it.Kind, it.Raw)
	})
}
