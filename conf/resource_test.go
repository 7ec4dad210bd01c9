package conf

import (
	"slices"
	"strings"
	"testing"
)

func TestDecodeRoute(t *testing.T) {
	r, err := DecodeRoute([]byte(` {"id":7,"uri":"/a","priority":1.0,"methods":["POST"],"status":0,"x_unknown":1,
		"plugins":{"z":{"n":12345678901234567890},"ai-proxy":{}, "a":{},"z":{"k":2}},"timeout":{"connect":1,"send":2.5,"read":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Plugins {
		names = append(names, p.Name+string(p.Conf))
	}
	if want := []string{`z{"k":2}`, "ai-proxy{}", "a{}"}; !slices.Equal(names, want) {
		t.Errorf("plugins %v, want %v", names, want)
	}
	if r.ID != "7" || r.Priority != 1 || r.Enabled() || r.Timeout.Send != 2.5 || !r.AIProxy() {
		t.Errorf("decoded %+v", r)
	}
	if r, err := DecodeRoute([]byte(`{"uri":"/"}`)); err != nil || !r.Enabled() {
		t.Errorf("a route without status: %v, %v", r, err)
	}
}

func TestDecodeRouteErrors(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		_, err := DecodeRoute([]byte(in))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want %q in it", in, err, w)
			}
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error quotes a value: %v", in, err)
		}
	}
	f(`{"uri":1}`, `property "uri" validation failed: wrong type: expected string, got number`)
	f(`{"uris":"s3cret","hosts":{}}`, `property "uris" validation failed: wrong type: expected array, got string`, `property "hosts"`)
	f(`{"uris":[true]}`, `property "uris" validation failed: wrong type: expected string, got boolean`)
	f(`{"priority":"1"}`, `property "priority" validation failed: wrong type: expected integer, got string`)
	f(`{"priority":1.5}`, `property "priority"`)
	f(`{"id":true}`, `property "id" validation failed: wrong type: expected string or integer, got boolean`)
	f(`{"plugins":["s3cret"]}`, `property "plugins" validation failed: wrong type: expected object, got array`)
	f(`{"enable_websocket":"s3cret"}`, `expected boolean, got string`)
	f(`{"timeout":5}`, `property "timeout" validation failed: wrong type: expected object, got number`)
	f(`{"uri":"s3cret"`, "no valid JSON")
	f(`[]`, "expected object, got array")
	f(``, "no valid JSON")
}

func TestUnsupported(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		r, err := DecodeRoute([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Unsupported(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	f(`{"uri":"/","plugins":{"ai-proxy":{}},"upstream":{"nodes":{}},"upstream_id":"1","vars":[ ],"timeout":{}}`)
	f(`{"uri":"/","plugins":{"ai-proxy-multi":{}},"vars":[["a","==","b"]],"remote_addrs":["1.1.1.1"]}`)
	f(`{"uri":"/","upstream":{},"upstream_id":1}`)
	f(`{"filter_func":"function(vars) end","script":"x","script_id":"1","service_id":1,"plugin_config_id":2}`,
		"filter_func is not supported: it needs a Lua runtime; use vars instead",
		"script is not supported: it needs a Lua runtime", "script_id is not supported: it needs a Lua runtime")
}

func TestDecodeGlobalRule(t *testing.T) {
	g, err := DecodeGlobalRule([]byte(`{"id":"1","plugins":{"prometheus":{}}}`))
	if err != nil || g.ID != "1" || len(g.Plugins) != 1 {
		t.Errorf("%+v, %v", g, err)
	}
}
