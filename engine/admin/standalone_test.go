package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"headrace/conf"
	"headrace/engine"
	"headrace/plugin"
)

// newStandalone is an API over a document in memory, with an engine that follows it.
func newStandalone(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, key: adminKey}
	src := conf.NewStandalone(slog.New(slog.NewTextHandler(&g.log, nil)))
	var err error
	if g.engine, err = engine.New(engine.Options{Env: func(string) (string, bool) { return "", false }}, []plugin.Spec{testSpec}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		_ = g.engine.Follow(ctx, src, src.Applied)
	}()
	t.Cleanup(func() { cancel(); <-followed; g.engine.Close() })
	g.api = New(Options{
		Standalone: src, Applied: src.WaitApplied, Registry: g.engine.Registry(), Server: "headrace/test",
		Log:  slog.New(slog.NewTextHandler(&g.log, nil)),
		Keys: []conf.AdminKeyEntry{{Name: "boss", Key: adminKey, Role: "admin"}, {Name: "guest", Key: viewerKey, Role: "viewer"}}, KeyRequired: true,
	})
	g.api.now = func() time.Time { return time.Unix(startTime, 0) }
	g.client = serve(t, g.api.Handler, "127.0.0.1:4711")
	return g
}

// sync puts a document and checks status and body.
func (g *gate) sync(digest, body string, status int, want string, header ...string) *http.Response {
	g.t.Helper()
	if digest != "" {
		header = append(header, headerDigest, digest)
	}
	res, got := g.do("PUT /configs", body, header...)
	if res.StatusCode != status || got != strings.ReplaceAll(want, "$e", `{"error_msg":`) {
		g.t.Errorf("PUT %.200s\ngot  %d %s\nwant %d %s", body, res.StatusCode, got, status, want)
	}
	if res.StatusCode == 202 && (res.Header.Get(headerDigest) != digest || res.Header.Get(headerModified) != strconv.Itoa(startTime)) {
		g.t.Errorf("headers %v", res.Header)
	}
	return res
}

// document reads what is held.
func (g *gate) document() map[string]any {
	g.t.Helper()
	res, got := g.do("GET /configs", "")
	var doc map[string]any
	if err := json.Unmarshal([]byte(got), &doc); err != nil || res.StatusCode != 200 {
		g.t.Fatalf("%d %s: %v", res.StatusCode, got, err)
	}
	return doc
}

func (g *gate) versions(want float64, except map[string]float64) {
	g.t.Helper()
	doc := g.document()
	for _, kind := range conf.Kinds() {
		name := kind.String() + versionSuffix
		w := want
		if x, ok := except[name]; ok {
			w = x
		}
		if doc[name] != w {
			g.t.Errorf("%s is %v, want %v", name, doc[name], w)
		}
	}
}

// route returns the uri of a route in force, "" if it is not there.
func (g *gate) route(id string) string {
	it, ok := g.engine.Snapshot().Item(conf.Routes, id)
	if !ok {
		return ""
	}
	return mustParse(it.Raw).get("uri").text()
}

// T: admin/standalone.spec.ts, "Normal".
func TestStandaloneSequence(t *testing.T) {
	g := newStandalone(t)
	g.versions(0, nil)
	for _, verb := range []string{"GET", "HEAD"} {
		if res, _ := g.do(verb+" /configs", ""); res.StatusCode != 200 || res.Header.Get(headerDigest) != "" || res.Header.Get(headerModified) != "" {
			t.Errorf("%s: %d %v", verb, res.StatusCode, res.Header)
		}
	}
	const r1, r2 = `{"routes":[{"id":"r1","uri":"/r1","plugins":{}}]}`, "routes:\n- id: r2\n  uri: /r2\n  plugins: {}\n"
	g.sync("1", r1, 202, "")
	g.sync("1", r2, 204, "", "Content-Type", "application/yaml")
	if g.route("r1") != "/r1" {
		t.Error("r1 is not in force")
	}
	g.versions(1, nil)
	if routes, _ := json.Marshal(g.document()["routes"]); string(routes) != `[{"id":"r1","plugins":{},"uri":"/r1"}]` {
		t.Errorf("routes %s", routes)
	}
	res, text := g.do("GET /configs", "", "Accept", "application/yaml")
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || res.Header.Get("Content-Type") != "application/yaml" || doc["routes_conf_version"] != 1 ||
		!strings.Contains(text, "id: r1") || strings.HasPrefix(text, "---") || strings.HasSuffix(text, "...") || res.Header.Get(headerDigest) != "1" {
		t.Errorf("as YAML: %v %s", err, text)
	}

	g.sync("2", r2, 202, "", "Content-Type", "application/yaml")
	g.versions(2, nil)
	if g.route("r1") != "" || g.route("r2") != "/r2" {
		t.Error("r2 is not in force instead of r1")
	}
	g.sync("3", `{}`, 202, "")
	if g.route("r2") != "" {
		t.Error("r2 is still in force")
	}
	g.sync("4", "routes_conf_version: 15", 202, "", "Content-Type", "application/yaml")
	g.versions(4, map[string]float64{"routes_conf_version": 15})
	g.sync("5", `{"routes_conf_version":1751350000123}`, 202, "")
	g.versions(5, map[string]float64{"routes_conf_version": 1751350000123})
	// A version that did not move keeps its list, whatever is sent.
	g.sync("6", `{"routes_conf_version":1751350000124,"routes":[{"id":"r1","uri":"/r1","plugins":{}}]}`, 202, "")
	g.sync("7", `{"routes_conf_version":1751350000124,"routes":[{"id":"r9","uri":"/r9","plugins":{}}]}`, 202, "")
	if g.route("r1") != "/r1" || g.route("r9") != "" {
		t.Error("a list was replaced at the same version")
	}
	g.sync("8", `{"routes_conf_version":1751350000125}`, 202, "")
	if g.route("r1") != "" {
		t.Error("an absent list at a higher version leaves the old one")
	}
}

// T: admin/standalone.spec.ts, "control resource changes using modifiedIndex" and after.
func TestStandaloneModifiedIndex(t *testing.T) {
	g := newStandalone(t)
	route := func(uri string, index int) string {
		return fmt.Sprintf(`{"routes":[{"id":"r1","uri":%q,"modifiedIndex":%d,"plugins":{}}]}`, uri, index)
	}
	g.sync("1", route("/r1", 1), 202, "")
	g.sync("2", route("/r2", 1), 202, "")
	if g.route("r1") != "/r1" {
		t.Errorf("applied with the same modifiedIndex: %s", g.route("r1"))
	}
	if routes := fmt.Sprint(g.document()["routes"]); !strings.Contains(routes, "/r2") || !strings.Contains(routes, "modifiedIndex:1") {
		t.Errorf("the document is not what was sent: %s", routes)
	}
	g.sync("3", route("/r2", 2), 202, "")
	if g.route("r1") != "/r2" {
		t.Errorf("not applied: %s", g.route("r1"))
	}

	who := func(key string) string {
		if p := g.engine.Snapshot().ByKey("test-plugin", []byte(key)); p != nil {
			return p.Name + "/" + p.Credential
		}
		return ""
	}
	jack := func(key string, index int) string {
		return fmt.Sprintf(`{"consumers":[{"username":"jack","modifiedIndex":%d,"plugins":{"test-plugin":{"key":%q}}}]}`, index, key)
	}
	g.sync("4", jack("one", 10), 202, "")
	g.sync("5", jack("two", 10), 202, "")
	if who("one") != "jack/" || who("two") != "" {
		t.Errorf("one %q, two %q", who("one"), who("two"))
	}
	g.sync("6", jack("two", 11), 202, "")
	if who("one") != "" || who("two") != "jack/" {
		t.Errorf("one %q, two %q", who("one"), who("two"))
	}
	g.sync("7", `{"consumers":[{"username":"john_1"},{"id":"john_1/credentials/john-a","plugins":{"test-plugin":{"key":"a"}}},
		{"id":"john_1/credentials/john-b","plugins":{"test-plugin":{"key":"b"}}}]}`, 202, "")
	if who("a") != "john_1/john-a" || who("b") != "john_1/john-b" || who("two") != "" {
		t.Errorf("a %q, b %q, two %q", who("a"), who("b"), who("two"))
	}
}

// T: admin/standalone.spec.ts, "Exceptions". Nothing of it is stored.
func TestStandaloneErrors(t *testing.T) {
	g := newStandalone(t)
	g.sync("", `{"routes_conf_version":100}`, 400, `$e"missing digest header"}`)
	g.sync("1", `{"routes_conf_version":100}`, 202, "")
	yamlBody := []string{"Content-Type", "application/yaml"}
	g.sync("2", "routes_conf_version: -1", 400, `$e"routes_conf_version must be greater than or equal to (100)"}`, yamlBody...)
	g.sync("2", "routes_conf_version: 99", 400, `$e"routes_conf_version must be greater than or equal to (100)"}`, yamlBody...)
	g.sync("2", "routes_conf_version: adc", 400, `$e"routes_conf_version must be a number"}`, yamlBody...)
	g.sync("2", `{"routes_conf_version":1.5}`, 400, `$e"routes_conf_version must be an integer"}`)
	g.sync("2", ``, 400, `$e"invalid request body: empty request body"}`)
	g.sync("2", `{abcd`, 400, `$e"invalid request body: invalid character 'a' looking for beginning of object key string"}`)
	g.sync("2", `7`, 400, `$e"invalid request body: expected an object with lists of resources"}`)
	g.sync("2", "invalid: yaml: [", 400, `$e"invalid request body: mapping values are not allowed in this context"}`, yamlBody...)
	g.sync("2", `{"routes":[{"id":"r1","uri":123}]}`, 400, `$e"invalid configuration: property \"uri\" validation failed: wrong type: expected string, got number"}`)
	g.sync("2", `{"services":[{"id":"s1","plugins":{"invalid-plugin":{}}}]}`, 400, `$e"unknown plugin [invalid-plugin]"}`)
	g.sync("2", `{"routes":[{"id":"r1","uri":"/r1","plugins":{"invalid-plugin":{}}}]}`, 400, `$e"unknown plugin [invalid-plugin]"}`)
	g.sync("2", `{"upstreams":[{"id":"u","type":"chash","nodes":{"a:1":1}}]}`, 400, `$e"missing key"}`)
	g.sync("2", `{"routes":[{"id":"r1","uri":"/a","plugins":{}},{"id":"r1","uri":"/b","plugins":{}}]}`, 400, `$e"found duplicate id r1 in routes"}`)
	g.sync("2", `{"routes":{"a":1}}`, 400, `$e"routes must be a list"}`)
	g.sync("2", `{"consumers":[{"username":"a","plugins":{"nobody":{}}}]}`, 400, `$e"invalid plugins configuration: unknown plugin [nobody]"}`)
	g.sync("2", `{"stream_routes":[{"id":"1"}]}`, 400, `$e"stream mode is disabled, can not add stream routes"}`)
	g.sync("2", `{"plugins":[{"stream":true}]}`, 400, `$e"invalid configuration: failed to validate item 1: property \"name\" is required"}`)
	g.sync("2", `{"protos":[{"id":"1"}]}`, 400, `$e"protos are not supported: this gateway does not transcode gRPC"}`)
	g.sync("2", `{"routes":[{"id":"r1","uri":"/a","plugins":{"test-plugin":{"n":1,"token":"********"}}}]}`, 400,
		`$e"property \"plugins.test-plugin.token\" holds ********, which stands for a secret that a viewer may not see: send the secret itself"}`)
	g.versions(1, map[string]float64{"routes_conf_version": 100})
	// References are not looked at: what they name may come later.
	g.sync("3", `{"routes":[{"id":"r1","uri":"/a","service_id":"none"}],"plugins":[{"name":"ai-proxy"},{"name":"mqtt-proxy","stream":true}],"ruotes":[]}`, 202, "")
	if !strings.Contains(g.log.String(), "keys=[ruotes]") {
		t.Errorf("an unknown key is not said: %s", &g.log)
	}

	for _, call := range []string{"GET /routes", "PUT /routes/1", "GET /plugins/list", "GET /schema/route", "POST /configs", "DELETE /configs",
		"GET /configs/validate", "HEAD /routes", "GET /configs/routes", "POST /schema/validate/routes"} {
		if res, got := g.do(call, ""); res.StatusCode != 404 {
			t.Errorf("%s: %d %s", call, res.StatusCode, got)
		}
	}
}

func TestStandaloneAccess(t *testing.T) {
	g := newStandalone(t)
	cert, key := certificate(t)
	g.sync("1", `{"ssls":[{"id":"1","sni":"a.test","cert":`+cert+`,"key":`+key+`}],"consumers":[{"username":"a","plugins":{"test-plugin":{"key":"s3cret"}}}],"plugin_metadata":[{"id":"test-plugin","ikey":1,"token":"s3cret"}]}`, 202, "")
	g.key = ""
	if res, _ := g.do("HEAD ", ""); res.StatusCode != 200 {
		t.Errorf("HEAD of the base: %d", res.StatusCode)
	}
	for _, call := range []string{"GET /configs", "HEAD /configs", "PUT /configs", "POST /configs/validate"} {
		if res, got := g.do(call, "{}"); res.StatusCode != 401 {
			t.Errorf("%s without a key: %d %s", call, res.StatusCode, got)
		}
	}
	g.key = viewerKey
	if res, got := g.do("GET /configs", ""); res.StatusCode != 200 || strings.Contains(got, "s3cret") ||
		strings.Contains(got, "PRIVATE") || strings.Count(got, mask) != 2 {
		t.Errorf("a viewer reads %s", got)
	}
	if res, _ := g.do("PUT /configs", "{}", headerDigest, "2"); res.StatusCode != 401 {
		t.Errorf("a viewer writes: %d", res.StatusCode)
	}
	g.key = adminKey
	if _, got := g.do("GET /configs", ""); strings.Count(got, "s3cret") != 2 || !strings.Contains(got, "PRIVATE KEY") {
		t.Errorf("an admin reads %s", got)
	}
	g.do("PUT /configs", `{"routes":7}`, headerDigest, "3")
	g.do("PUT /configs", `{}`, headerDigest, "1")
	log := g.log.String()
	for _, want := range []string{`key=boss client=127.0.0.1 verb=PUT item=configs old_rev=0 new_rev=`, `new_rev=0 result=refused`, `new_rev=0 result=unchanged`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in %s", want, log)
		}
	}
	if strings.Count(log, "admin change") != 3 || strings.Contains(log, "s3cret") {
		t.Errorf("log %s", log)
	}
}

// Documents of several clients replace each other as a whole, and an answer
// means that the document is in force.
func TestStandaloneWriters(t *testing.T) {
	g := newStandalone(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 5 {
				body := fmt.Sprintf(`{"routes":[{"id":"a","uri":"/%d","plugins":{}},{"id":"b","uri":"/%d","plugins":{}}]}`, i, i)
				if res, got := g.do("PUT /configs", body, headerDigest, fmt.Sprintf("%d-%d", i, n)); res.StatusCode != 202 {
					t.Errorf("%d %s", res.StatusCode, got)
				}
				s := g.engine.Snapshot()
				a, _ := s.Item(conf.Routes, "a")
				b, _ := s.Item(conf.Routes, "b")
				if string(mustParse(a.Raw).get("uri").raw) != string(mustParse(b.Raw).get("uri").raw) {
					t.Errorf("half a document: %s %s", a.Raw, b.Raw)
				}
			}
		})
	}
	wg.Wait()
	g.versions(40, nil)
}

// T: admin/config-validate.t 1-16, standalone.spec.ts "Validate API".
func TestValidateDocument(t *testing.T) {
	for name, g := range map[string]*gate{"store": newGate(t, nil), "standalone": newStandalone(t)} {
		f := func(body string, errors ...string) {
			t.Helper()
			res, got := g.do("POST /configs/validate", body)
			want, status := "{}", 200
			if len(errors) > 0 {
				want, status = `{"error_msg":"Configuration validation failed","errors":[`+strings.Join(errors, ",")+`]}`, 400
			}
			if res.StatusCode != status || got != want {
				t.Errorf("%s: %s\ngot  %d %s\nwant %d %s", name, body, res.StatusCode, got, status, want)
			}
		}
		fault := func(kind, id string, index int, text string) string {
			return fmt.Sprintf(`{"resource_type":"%s","resource_id":%s,"index":%d,"error":%s}`, kind, id, index, appendQuoted(nil, text))
		}
		f(`{}`)
		f(`[]`)
		f(`{"routes":[],"services":{},"ssls":null}`)
		f(`{"routes":[{"id":"r1","uri":"/a","service_id":"none","plugins":{}}],"services":[{"id":"s1","upstream":{"nodes":{"127.0.0.1:1980":1}}}],
			"upstreams":[{"id":"u","nodes":{"127.0.0.1:1980":1}}],"global_rules":[{"id":"1","plugins":{"prometheus":{}}}],
			"plugin_metadata":[{"id":"test-plugin","ikey":1}],"secrets":[{"id":"vault/1","uri":"http://v","prefix":"p","token":"t"}],
			"consumers":[{"username":"john_1"},{"id":"john_1/credentials/john-a","plugins":{"test-plugin":{"key":"a"}}}],"routes_conf_version":1}`)
		f(`{"routes":[{"id":"r1","uri":123},{"id":7,"uri":456}]}`,
			fault("routes", `"r1"`, 0, `invalid configuration: property "uri" validation failed: wrong type: expected string, got number`),
			fault("routes", `7`, 1, `invalid configuration: property "uri" validation failed: wrong type: expected string, got number`))
		f(`{"routes":[{"id":"r1","uri":"/a","plugins":{}},{"id":"r1","uri":"/b","plugins":{}},{"uri":"/c","plugins":{}}]}`,
			fault("routes", `"r1"`, 1, "found duplicate id r1 in routes"))
		f(`{"consumers":[{"username":"consumer1"},{"username":"consumer1"},{"id":"john_1/credentials/john-a","plugins":{}},{"id":"john_1/credentials/john-a","plugins":{}}]}`,
			fault("consumers", `"consumer1"`, 1, "found duplicate username consumer1 in consumers"),
			fault("consumers", `"john_1/credentials/john-a"`, 3, "found duplicate credential id john_1/credentials/john-a in consumers"))
		f(`{"routes_conf_version":"x","routes":[{"id":"r1","uri":"/a","plugins":{"invalid-plugin":{}}}]}`,
			`{"resource_type":"routes","error":"routes_conf_version must be a number, got string"}`,
			fault("routes", `"r1"`, 0, "unknown plugin [invalid-plugin]"))
		f(`{"upstreams":[{"id":"ups-1","type":"chash","hash_on":"vars","nodes":{"127.0.0.1:1980":1}}]}`, fault("upstreams", `"ups-1"`, 0, "missing key"))
		f(`{"routes":[7]}`, fault("routes", `""`, 0, "expected an object, got number"))
		f(`{"secrets":[{"id":"safe/1"}]}`, fault("secrets", `"safe/1"`, 0, "invalid secret manager: safe"))
		g.f("POST /configs/validate", ``, 400, `$e"invalid request body: empty request body"}`)
		g.f("POST /configs/validate", `not json`, 400, `$e"invalid request body: invalid character 'o' in literal null (expecting 'u')"}`)
		g.f("POST /configs/validate", `{"a":"`+strings.Repeat("a", maxBody)+`"}`, 400,
			`$e"invalid request body: request size 1572872 is greater than the maximum size 1572864 allowed"}`)
		if res, got := g.do("POST /configs/validate", "routes: [{id: r1, uri: /a, plugins: {}}]", "Content-Type", "application/yaml; charset=utf-8"); res.StatusCode != 200 || got != "{}" {
			t.Errorf("YAML: %d %s", res.StatusCode, got)
		}
		if n := g.engine.Snapshot().Routes(); n != 0 {
			t.Errorf("%s: %d routes are in force", name, n)
		}
	}
}

// No document makes the check panic, and what it accepts has an item for each element.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `{"routes":[{"id":"r1","uri":"/a","plugins":{"test-plugin":{"n":1}}}],"routes_conf_version":1e3}`,
		`{"consumers":[{"username":"a"},{"id":"a/credentials/b","plugins":{"test-plugin":{"key":"k"}}}]}`, `{"routes":[null,7,"x",[],{}]}`,
		`{"plugins":[{"name":"x"}],"secrets":[{"id":"vault/1"}],"ssls":[{"cert":"x","key":"y"}]}`, `{"upstreams":[{"nodes":[]}],"routes":{"a":1}}`} {
		f.Add([]byte(seed))
	}
	reg := engine.NewRegistry([]plugin.Spec{testSpec}, nil)
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := parse(raw)
		if err != nil || doc.kind != '{' {
			return
		}
		all, many := checkDocument(reg, doc, true)
		parts, first := checkDocument(reg, doc, false)
		if (len(many) == 0) != (len(first) == 0) || len(first) > 1 || len(first) == 1 && first[0].text != many[0].text && !strings.HasPrefix(many[0].text, first[0].text) {
			t.Fatalf("%s: all faults %v, the first %v", raw, many, first)
		}
		for kind, p := range parts {
			if kind != conf.Plugins && p.list != nil && len(p.items) != len(p.list.items) {
				t.Fatalf("%s: %d items of %d", raw, len(p.items), len(p.list.items))
			}
			if len(all[kind].items) != len(p.items) {
				t.Fatalf("%s: %d items, %d when all faults are gathered", raw, len(p.items), len(all[kind].items))
			}
		}
	})
}
