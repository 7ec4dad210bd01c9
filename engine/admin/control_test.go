package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"headrace/conf"
)

// T: control/healthcheck.t 2,4-6 and control/*.t.
func TestControl(t *testing.T) {
	g := newGate(t, nil)
	c := NewControl(ControlOptions{
		Registry: g.engine.Registry(), Server: "headrace/test",
		Snapshot: g.engine.Snapshot,
	})
	client := serve(t, c.Handler, "127.0.0.1:4711")
	f := func(call string, status int, want string) {
		t.Helper()
		verb, path, _ := strings.Cut(call, " ")
		res, got := exchange(t, client, verb, path, "")
		if want = strings.Replace(want, "$e", `{"error_msg":`, 1); res.StatusCode != status || got != want {
			t.Errorf("%s\ngot  %d %s\nwant %d %s", call, res.StatusCode, got, status, want)
		}
		if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Server") != "headrace/test" {
			t.Errorf("%s: headers %v", call, res.Header)
		}
	}
	f("GET /v1/routes", 200, `[]`)
	f("GET /v1/plugin_metadatas", 200, `[]`)
	g.do("PUT /routes/1", `{"uri":"/a","plugins":{"test-plugin":{"n":1,"token":"s3cret"}}}`)
	g.do("PUT /plugin_metadata/test-plugin", `{"ikey":1}`)
	route := head + `{"uri":"/a","plugins":{"test-plugin":{"n":1,"token":"********"}},"id":"1","create_time":1700000000,"update_time":1700000000},"createdIndex":1,"modifiedIndex":1}`
	f("GET /v1/routes", 200, "["+route+"]")
	f("GET /v1/route/1", 200, route)
	f("GET /v1/route/2", 404, `$e"route[2] not found"}`)
	f("GET /v1/services", 200, `[]`)
	f("GET /v1/upstreams", 200, `[]`)
	f("GET /v1/service/1", 404, `$e"service[1] not found"}`)
	f("GET /v1/upstream/1", 404, `$e"upstream[1] not found"}`)
	g.do("PUT /upstreams/1", `{"nodes":{"a:1":1}}`)
	upstream := `{"key":"/apisix/upstreams/1","value":{"nodes":{"a:1":1},"id":"1","create_time":1700000000,"update_time":1700000000},"createdIndex":3,"modifiedIndex":3}`
	f("GET /v1/upstreams", 200, "["+upstream+"]")
	f("GET /v1/upstream/1", 200, upstream)
	f("GET /v1/plugin_metadatas", 200, `[{"ikey":1,"id":"test-plugin"}]`)
	f("GET /v1/plugin_metadata/test-plugin", 200, `{"ikey":1,"id":"test-plugin"}`)
	f("GET /v1/plugin_metadata/x", 404, `$e"plugin metadata[x] not found"}`)
	f("GET /v1/healthcheck", 200, `{}`)
	f("GET /v1/healthcheck/routes/1", 404, `$e"no checker for routes[1]"}`)
	f("GET /v1/healthcheck/routes/2", 404, `$e"routes[2] not found"}`)
	f("GET /v1/healthcheck/upstreams/1", 404, `$e"no checker for upstreams[1]"}`)
	f("GET /v1/healthcheck/upstreams/2", 404, `$e"upstreams[2] not found"}`)
	f("GET /v1/healthcheck/route/1", 400, `$e"invalid src type route"}`)
	f("PUT /v1/plugins/reload", 200, `done`)
	f("POST /v1/gc", 200, ``)
	f("GET /v1/config", 404, `$e"not found"}`)
	f("PUT /v1/config/accept", 404, `$e"not found"}`)
	f("GET /v1/gc", 404, `$e"not found"}`)
	f("GET /v1/route/1/x", 404, `$e"not found"}`)
	f("GET /v2/routes", 404, `$e"not found"}`)
	f("GET /", 404, `$e"not found"}`)

	var all struct {
		Main          map[string]json.RawMessage
		Plugins       map[string]struct{ Schema json.RawMessage }
		StreamPlugins json.RawMessage `json:"stream_plugins"`
	}
	_, body := exchange(t, client, "GET", "/v1/schema", "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || all.Main["route"] == nil || all.Main["upstream"] == nil || all.Plugins["ai-proxy"].Schema == nil || string(all.StreamPlugins) != "{}" {
		t.Errorf("schema: %v: %s", err, body)
	}

	for path, want := range map[string]string{"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile", "/debug/pprof/cmdline": "admin.test"} {
		if res, body := exchange(t, client, "GET", path, ""); res.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, res.StatusCode, body)
		}
		far := serve(t, c.Handler, "192.0.2.1:9")
		if res, body := exchange(t, far, "GET", path, ""); res.StatusCode != 403 {
			t.Errorf("%s from afar: %d %.200s", path, res.StatusCode, body)
		}
	}
}

// A source that may hold changes back.
func TestControlAccept(t *testing.T) {
	var err error
	c := NewControl(ControlOptions{
		Source: func() any { return map[string]any{"held": "why"} },
		Accept: func(context.Context) (int64, int, error) { return 7, 2, err },
	})
	client := serve(t, c.Handler, "127.0.0.1:4711")
	f := func(call string, accept error, status int, want string) {
		t.Helper()
		err = accept
		verb, path, _ := strings.Cut(call, " ")
		if res, got := exchange(t, client, verb, path, ""); res.StatusCode != status || got != want {
			t.Errorf("%s: %d %s, want %d %s", call, res.StatusCode, got, status, want)
		}
	}
	f("GET /v1/config", nil, 200, `{"held":"why"}`)
	f("PUT /v1/config/accept", nil, 200, `{"revision":7,"changes":2}`)
	f("PUT /v1/config/accept", conf.ErrNotHeld, 409, `{"error_msg":"no change of the configuration is held"}`)
	f("PUT /v1/config/accept", errors.New("away"), 503, `{"error_msg":"away"}`)
	f("GET /v1/config/accept", nil, 404, `{"error_msg":"not found"}`)
}

func TestStatus(t *testing.T) {
	var why error
	client := serve(t, NewStatus(func() error { return why }, "headrace/test"), "192.0.2.1:9")
	f := func(call string, ready error, status int, want string) {
		t.Helper()
		why = ready
		verb, path, _ := strings.Cut(call, " ")
		res, got := exchange(t, client, verb, path, "")
		if res.StatusCode != status || got != want || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v, want %d %s", call, res.StatusCode, got, res.Header, status, want)
		}
	}
	draining := errors.New("shutting down")
	f("GET /status", nil, 200, `{"status":"ok"}`)
	f("HEAD /status", nil, 200, ``)
	f("GET /status", draining, 200, `{"status":"ok"}`)
	f("GET /status/ready", nil, 200, `{"status":"ok"}`)
	f("GET /status/ready", draining, 503, `{"status":"error","error":"shutting down"}`)
	f("GET /status/x", nil, 404, `{"error_msg":"not found"}`)
	f("POST /status", nil, 404, `{"error_msg":"not found"}`)
}

func TestMetrics(t *testing.T) {
	client := serve(t, Metrics("/apisix/prometheus/metrics", func(w io.Writer) { _, _ = io.WriteString(w, "up 1\n") }), "192.0.2.1:9")
	f := func(call string, status int, want, contentType string) {
		t.Helper()
		verb, path, _ := strings.Cut(call, " ")
		res, got := exchange(t, client, verb, path, "")
		if res.StatusCode != status || got != want || res.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d %s %v, want %d %s", call, res.StatusCode, got, res.Header, status, want)
		}
	}
	const text = "text/plain; version=0.0.4; charset=utf-8"
	f("GET /apisix/prometheus/metrics", 200, "up 1", text)
	f("GET /apisix/prometheus/metrics?x=1", 200, "up 1", text)
	f("HEAD /apisix/prometheus/metrics", 200, "", text)
	f("POST /apisix/prometheus/metrics", 404, `{"error_msg":"not found"}`, "application/json")
	f("GET /apisix/prometheus/metrics/", 404, `{"error_msg":"not found"}`, "application/json")
	f("GET /metrics", 404, `{"error_msg":"not found"}`, "application/json")
}
