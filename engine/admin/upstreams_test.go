package admin

import (
	"fmt"
	"sync"
	"testing"

	"headrace/conf"
)

// T: admin/upstream.t, upstream-force-delete.t, routes.t 16, routes4.t 6-8.
func TestUpstreams(t *testing.T) {
	g := newGate(t, nil)
	const key = `{"key":"/apisix/upstreams/1","value":`
	const nodes = `{"nodes":{"127.0.0.1:80":1}}`
	g.f("GET /upstreams", "", 200, `{"list":[],"total":0}`)
	g.f("PUT /upstreams/1", nodes, 201, key+`{"nodes":{"127.0.0.1:80":1},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PUT /upstreams/1", `{"type":"chash","key":"arg_x","nodes":[{"host":"a","weight":1}]}`, 200,
		key+`{"type":"chash","key":"arg_x","nodes":[{"host":"a","weight":1}],"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PATCH /upstreams/1/retries", `2`, 200,
		key+`{"type":"chash","key":"arg_x","nodes":[{"host":"a","weight":1}],"id":"1","create_time":$now,"update_time":$now,"retries":2}}`)
	g.f("POST /upstreams", nodes, 201,
		`{"key":"/apisix/upstreams/00000000000000000004","value":{"nodes":{"127.0.0.1:80":1},"id":"00000000000000000004","create_time":$now,"update_time":$now}}`)
	g.f("DELETE /upstreams/00000000000000000004", "", 200, `{"key":"/apisix/upstreams/00000000000000000004","deleted":"1"}`)
	if it, ok := g.engine.Snapshot().Item(conf.Upstreams, "1"); !ok || it.Rev != 3 {
		t.Errorf("in force: %+v", it)
	}

	bad := func(body, text string) {
		t.Helper()
		g.f("PUT /upstreams/2", body, 400, string(appendQuoted([]byte(`{"error_msg":`), text))+"}")
	}
	bad(`{"type":"chash","nodes":{"a:80":1}}`, "missing key")
	bad(`{"type":"chash","hash_on":"header","nodes":{"a:80":1}}`, "missing key")
	bad(`{"type":"roundrobin"}`, "invalid configuration: value should match only one schema, but matches none")
	bad(`{"nodes":{"a:80":1},"scheme":"grpc"}`, "upstream scheme grpc is not supported: use http or https")
	bad(`{"nodes":{"a:80":1},"create_time":1}`, "the property is forbidden:  create_time")
	bad(`{"id":"3","nodes":{"a:80":1}}`, "wrong upstream id")
	g.f("PUT /upstreams", nodes, 400, `$e"missing upstream id"}`)
}

func TestReferences(t *testing.T) {
	g := newGate(t, nil)
	const nodes = `{"nodes":{"127.0.0.1:80":1}}`
	g.f("PUT /routes/1", `{"uri":"/a","upstream_id":99999999}`, 400,
		`$e"failed to fetch upstream info by upstream id [99999999], response code: 404"}`)
	g.f("PUT /routes/1", `{"uri":"/a","upstream_id":"x","plugins":{"nobody":{}}}`, 400,
		`$e"failed to fetch upstream info by upstream id [x], response code: 404"}`)
	g.f("PUT /routes/1", `{"uri":"/a","upstream_id":"x","nothing":1}`, 400, `$e"invalid configuration: additional properties forbidden, found nothing"}`)
	g.f("PUT /routes/1", `{"uri":"/a","upstream":{"type":"chash","nodes":{"a:80":1}}}`, 400, `$e"missing key"}`)
	g.do("PUT /upstreams/7", nodes)
	if res, body := g.do("PUT /routes/1", `{"uri":"/a","upstream_id":7}`); res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	g.f("PATCH /routes/1", `{"upstream_id":8}`, 400, `$e"failed to fetch upstream info by upstream id [8], response code: 404"}`)
	g.f("DELETE /upstreams/7", "", 400, `$e"can not delete this upstream, route [1] is still using it now"}`)
	g.f("DELETE /upstreams/7?force=1", "", 400, `$e"can not delete this upstream, route [1] is still using it now"}`)
	g.f("DELETE /upstreams/8", "", 404, `{"message":"Key not found"}`)
	g.f("DELETE /upstreams/7?force=true", "", 200, `{"key":"/apisix/upstreams/7","deleted":"1"}`)
	g.do("PUT /upstreams/7", nodes)
	g.do("DELETE /routes/1", "")
	g.f("DELETE /upstreams/7", "", 200, `{"key":"/apisix/upstreams/7","deleted":"1"}`)
}

// A route that is accepted never refers to what was deleted meanwhile.
func TestReferencesRace(t *testing.T) {
	g := newGate(t, nil)
	for i := range 20 {
		g.do("PUT /upstreams/1", `{"nodes":{"a:1":1}}`)
		var wg sync.WaitGroup
		var created, deleted int
		wg.Go(func() {
			res, _ := g.do(fmt.Sprintf("PUT /routes/%d", i+1), `{"uri":"/a","upstream_id":1}`)
			created = res.StatusCode
		})
		wg.Go(func() {
			res, _ := g.do("DELETE /upstreams/1", "")
			deleted = res.StatusCode
		})
		wg.Wait()
		if (created == 201) == (deleted == 200) {
			t.Fatalf("route %d, upstream %d", created, deleted)
		}
		g.do(fmt.Sprintf("DELETE /routes/%d", i+1), "")
	}
}
