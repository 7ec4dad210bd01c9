package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/conf"
)

const head = `{"key":"/apisix/routes/1","value":`

// T: admin/routes.t 1-13,17,18, routes2.t 9, credentials.t 13.
func TestRoutes(t *testing.T) {
	g := newGate(t, nil)
	g.f("GET /routes", "", 200, `{"list":[],"total":0}`)
	g.f("PUT /routes/1", ` {"uri" : "/a", "plugins":{"test-plugin":{"n":1.0}},"priority":1e1, "desc":"a\u0062<"} `, 201,
		head+`{"uri":"/a","plugins":{"test-plugin":{"n":1.0}},"priority":1e1,"desc":"a\u0062<","id":"1","create_time":$now,"update_time":$now}}`)
	g.api.now = func() time.Time { return time.Unix(startTime+5, 0) }
	g.f("PUT /routes/1", `{"id":1,"uri":"/b","plugins":{}}`, 200,
		head+`{"id":"1","uri":"/b","plugins":{},"create_time":$now,"update_time":1700000005}}`)
	g.f("GET /routes/1", "", 200,
		head+`{"id":"1","uri":"/b","plugins":{},"create_time":$now,"update_time":1700000005},"createdIndex":1,"modifiedIndex":2}`)
	g.f("PUT /routes", `{"id":7,"uri":"/7","plugins":{}}`, 201,
		`{"key":"/apisix/routes/7","value":{"id":7,"uri":"/7","plugins":{},"create_time":1700000005,"update_time":1700000005}}`)
	g.f("POST /routes", okRoute, 201, `{"key":"/apisix/routes/00000000000000000004","value":`+
		`{"uri":"/a","plugins":{},"id":"00000000000000000004","create_time":1700000005,"update_time":1700000005}}`)
	g.f("DELETE /routes/1", "", 200, `{"key":"/apisix/routes/1","deleted":"1"}`)
	g.f("DELETE /routes/7?force=true", "", 200, `{"key":"/apisix/routes/7","deleted":"1"}`)
	for _, call := range []string{"GET /routes/1", "DELETE /routes/1", "PATCH /routes/1"} {
		g.f(call, `{"uri":"/"}`, 404, `{"message":"Key not found"}`)
	}
	g.f("PUT /routes/1", okRoute, 201, head+`{"uri":"/a","plugins":{},"id":"1","create_time":1700000005,"update_time":1700000005}}`)
}

// T: admin/routes.t 12,16-18, routes2.t 14, routes3.t 14, routes4.t 1-3,22.
func TestRouteErrors(t *testing.T) {
	g := newGate(t, nil)
	g.f("PUT /routes/1", okRoute, 201, head+`{"uri":"/a","plugins":{},"id":"1","create_time":$now,"update_time":$now}}`)
	f := func(call, body, text string) {
		t.Helper()
		g.f(call, body, 400, string(appendQuoted([]byte(`{"error_msg":`), text))+"}")
	}
	f("PUT /routes/1", "", "missing configurations")
	f("POST /routes", "null", "missing configurations")
	f("PUT /routes", okRoute, "missing route id")
	f("DELETE /routes", "", "missing route id")
	f("PATCH /routes", "{}", "missing route id")
	f("PUT /routes/1", `{"id":"2","uri":"/a","plugins":{}}`, "wrong route id")
	f("POST /routes", `{"id":1,"uri":"/a","plugins":{}}`, "wrong route id, do not need it")
	f("POST /routes/1", okRoute, "wrong route id, do not need it")
	f("PUT /routes/1", `{"uri":"/a","plugins":{},"create_time":1}`, "the property is forbidden:  create_time")
	f("POST /routes", `{"uri":"/a","plugins":{},"update_time":1}`, "the property is forbidden:  update_time")
	f("PUT /routes/1", `{"uri":"/a","upstream":{"create_time":1}}`, "the property is forbidden:  upstream.create_time")
	f("PUT /routes/1", `{"uri":"/a","plugins":{"update_time":1}}`, "the property is forbidden:  plugins.update_time")
	f("PUT /routes/1", `[]`, "invalid configuration: wrong type: expected object, got array")
	f("PUT /routes/1", `"x"`, "invalid configuration: wrong type: expected object, got string")
	f("PUT /routes/1", `{"uri":"/a","plugins":{},"host":"a","hosts":["b"]}`, "only one of host or hosts is allowed")
	f("PUT /routes/1", `{"uri":"/a","plugins":{},"remote_addr":"::1","remote_addrs":["::1"]}`, "only one of remote_addr or remote_addrs is allowed")
	f("PUT /routes/1", `{"uri":"/a","plugins":{},"x":1}`, "invalid configuration: additional properties forbidden, found x")
	f("PUT /routes/a%20b", okRoute, `invalid configuration: property "id" validation failed: object matches none of the required`)
	f("PUT /routes/1", `{"uri":"/a","plugins":{"nobody":{}}}`, "unknown plugin [nobody]")
	f("PUT /routes/1", `{"uri":"/a","plugins":{"test-plugin":{"n":0}}}`,
		`failed to check the configuration of plugin test-plugin err: property "n" validation failed: expected 0 to be at least 1`)
	f("PUT /routes/1", `{"uri":"/a","plugins":{"key-auth":{}}}`, "plugin key-auth is not supported yet and must not be left out")
	f("PUT /routes/1", `{"uri":"/a","plugins":{},"vars":["a","==","b"]}`, "failed to validate the 'vars' expression: rule should be wrapped inside brackets")
	f("PUT /routes/1", `{"uri":"/a","service_id":"1"}`, "failed to fetch service info by service id [1], response code: 404")
	f("PUT /routes/1", `{"uri":"/a","service_id":"1","vars":["a","==","b"]}`, "failed to fetch service info by service id [1], response code: 404")
	f("PUT /routes/1?ttl=a", okRoute, "invalid argument ttl: should be a number")
	f("PUT /routes/1?ttl=-1", okRoute, "invalid argument ttl: should be greater than 0")
	if it, err := g.store.Get(conf.Routes, "1"); err != nil || it.Rev != 1 {
		t.Errorf("something was stored: %+v, %v", it, err)
	}
	// What this version lacks but may leave out is stored.
	if res, body := g.do("PUT /routes/2", `{"uri":"/a","plugins":{"http-logger":{"uri":"http://l"}}}`); res.StatusCode != 201 {
		t.Errorf("a missing logger: %d %s", res.StatusCode, body)
	}
}

func TestTTL(t *testing.T) {
	g := newGate(t, nil)
	if res, body := g.do("PUT /routes/1?ttl=0.3", okRoute); res.StatusCode != 201 {
		t.Fatalf("PUT: %d %s", res.StatusCode, body)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if res, _ := g.do("GET /routes/1", ""); res.StatusCode == 404 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the route did not go away")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The next request must see what was written.
func TestInForce(t *testing.T) {
	g := newGate(t, nil)
	there := func() bool { _, ok := g.engine.Snapshot().Item(conf.Routes, "1"); return ok }
	for range 20 {
		if res, body := g.do("PUT /routes/1", okRoute); res.StatusCode != 201 || !there() {
			t.Fatalf("after PUT: %d %s, in force %v", res.StatusCode, body, there())
		}
		if res, body := g.do("DELETE /routes/1", ""); res.StatusCode != 200 || there() {
			t.Fatalf("after DELETE: %d %s, in force %v", res.StatusCode, body, there())
		}
	}
}

// What is stored but late to come into force is no error.
func TestLate(t *testing.T) {
	g := newGate(t, func(o *Options) {
		o.Applied = func(context.Context, int64) error { return context.DeadlineExceeded }
	})
	if res, body := g.do("PUT /routes/1", okRoute); res.StatusCode != 201 || !strings.Contains(g.log.String(), "not in force yet") {
		t.Errorf("%d %s, log %s", res.StatusCode, body, g.log.String())
	}
}

func TestIDText(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := idText(mustParse([]byte(in))); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	f(`7`, "7")
	f(`7.0`, "7")
	f(`1e2`, "100")
	f(`7.5`, "7.5")
	f(`9223372036854775807`, "9223372036854775807")
	f(`"7.0"`, "7.0")
}

// A deletion's revision is found even if the item is older than the store's history.
func TestDeleteAfterReopen(t *testing.T) {
	dir := t.TempDir()
	open := func() *conf.Embedded {
		s, err := conf.OpenEmbedded(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for _, id := range []string{"1", "2", "3"} {
		if _, _, err := s.Put(conf.Item{Kind: conf.Routes, ID: id, Raw: []byte(okRoute)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open()
	defer s.Close()
	a := New(Options{Store: s})
	c := call{API: a, verb: "DELETE", res: resourceByName("routes")}
	for i, id := range []string{"1", "2"} {
		c.id = id
		w := c.delete()
		c.await(&w)
		if w.status != 200 || w.now.Rev != int64(4+i) {
			t.Errorf("delete %s: %+v", id, w)
		}
	}
}

func TestAudit(t *testing.T) {
	g := newGate(t, nil)
	g.do("PUT /routes/1", `{"uri":"/s3cret","plugins":{}}`)
	g.do("PATCH /routes/1", `{"desc":"s3cret"}`)
	g.do("PUT /routes/1", `{"uri":"/a","plugins":{},"methods":["s3cret"]}`)
	g.do("POST /routes", okRoute)
	g.do("DELETE /routes/1", "")
	g.do("DELETE /routes/1", "")
	log := g.log.String()
	for _, want := range []string{
		`key=boss client=127.0.0.1 verb=PUT item=routes/1 old_rev=0 new_rev=1 result=created`,
		`verb=PATCH item=routes/1 old_rev=1 new_rev=2 result=updated`,
		`verb=PUT item=routes/1 old_rev=0 new_rev=0 result=refused`,
		`verb=POST item=routes/00000000000000000003 old_rev=0 new_rev=3 result=created`,
		`verb=DELETE item=routes/1 old_rev=2 new_rev=4 result=deleted`,
		`verb=DELETE item=routes/1 old_rev=0 new_rev=0 result="not found"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no line %q", want)
		}
	}
	if n := strings.Count(log, "admin change"); n != 6 || strings.Contains(log, "s3cret") || strings.Contains(log, adminKey) {
		t.Errorf("%d lines: %s", n, log)
	}
}

// faulty is a store whose writes fail.
type faulty struct {
	*conf.Embedded
	err error
}

func (f faulty) Swap(conf.Item, int64, time.Duration) (conf.Item, error) { return conf.Item{}, f.err }
func (f faulty) List(conf.Kind) ([]conf.Item, error)                     { return nil, f.err }

func TestStoreErrors(t *testing.T) {
	f := func(err error, call, want string) {
		t.Helper()
		g := newGate(t, nil)
		g.do("PUT /routes/1", okRoute)
		g.api.Store = faulty{g.store, err}
		g.f(call, okRoute, 503, want)
	}
	f(conf.ErrConflict, "PATCH /routes/1", `$e"value changed before overwritten"}`)
	f(conf.ErrConflict, "PUT /routes/1", `$e"value changed before overwritten"}`)
	f(errors.New("disk is full"), "PUT /routes/1", `$e"disk is full"}`)
	f(errors.New("disk is full"), "GET /routes", `$e"disk is full"}`)
}

// 32 writers on one id and each on one of its own: no write is lost, every
// answer is what is in force, and creation is answered once.
func TestConcurrentWriters(t *testing.T) {
	g := newGate(t, nil)
	const writers = 32
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for i := range writers {
		wg.Go(func() {
			if res, body := g.do("PUT /routes/shared", okRoute); res.StatusCode == 201 {
				mu.Lock()
				created++
				mu.Unlock()
			} else if res.StatusCode != 200 {
				t.Errorf("PUT: %d %s", res.StatusCode, body)
			}
			if res, body := g.do(fmt.Sprintf("PUT /routes/own-%d", i), okRoute); res.StatusCode != 201 {
				t.Errorf("PUT: %d %s", res.StatusCode, body)
			}
			if res, body := g.do("POST /routes", okRoute); res.StatusCode != 201 {
				t.Errorf("POST: %d %s", res.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if created != 1 {
		t.Errorf("the shared route was created %d times", created)
	}
	for i := range writers {
		wg.Go(func() {
			if res, body := g.do("PATCH /routes/shared", fmt.Sprintf(`{"labels":{"w%d":"x"}}`, i)); res.StatusCode != 200 {
				t.Errorf("PATCH: %d %s", res.StatusCode, body)
			}
			body := fmt.Sprintf(`{"plugins":{"test-plugin":{"n":%d}}}`, i+1)
			if res, text := g.do(fmt.Sprintf("PUT /global_rules/%d", i+1), body); res.StatusCode != 201 && res.StatusCode != 400 {
				t.Errorf("PUT: %d %s", res.StatusCode, text)
			}
		})
	}
	wg.Wait()
	var got struct {
		Value struct{ Labels map[string]string }
	}
	_, body := g.do("GET /routes/shared", "")
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Value.Labels) != writers {
		t.Errorf("%d labels, %v: %s", len(got.Value.Labels), err, body)
	}
	if rules, err := g.store.List(conf.GlobalRules); err != nil || len(rules) != 1 {
		t.Errorf("%d global rules have the same plugin, %v", len(rules), err)
	}
	if n := g.engine.Snapshot().Routes(); n != 1+2*writers {
		t.Errorf("%d routes in force", n)
	}
}

// Two gateways on one store: no PATCH loses what the other wrote, and the time
// of creation stays.
func TestTwoGateways(t *testing.T) {
	g := newGate(t, nil)
	other := New(g.api.Options)
	g.do("PUT /routes/1", okRoute)
	clients := []*http.Client{g.client, serve(t, other.Handler, "127.0.0.1:4712")}
	var wg sync.WaitGroup
	for i, client := range clients {
		wg.Go(func() {
			for n := range 20 {
				label := fmt.Sprintf(`{"labels":{"l%d_%d":"x"}}`, i, n)
				for {
					res, body := exchange(t, client, "PATCH", basePath+"/routes/1", label, "X-API-KEY", adminKey)
					if res.StatusCode == 200 {
						break
					}
					if res.StatusCode != 503 || !strings.Contains(body, "value changed before overwritten") {
						t.Errorf("%d %s", res.StatusCode, body)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	it, err := g.store.Get(conf.Routes, "1")
	if err != nil {
		t.Fatal(err)
	}
	v := mustParse(it.Raw)
	if n := len(v.get("labels").members); n != 40 || v.get("create_time").text() != fmt.Sprint(startTime) {
		t.Errorf("%d labels are left of 40: %s", n, it.Raw)
	}
}
