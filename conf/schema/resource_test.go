package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestResource(t *testing.T) {
	f := func(name, value, want string) {
		t.Helper()
		_, err := Resource(name).Check([]byte(value))
		if got := errText(err); got != want {
			t.Errorf("%s %s\ngot  %q\nwant %q", name, value, got, want)
		}
	}
	cert := strings.Repeat("c", 128)
	none := "object matches none of the required"

	f("route", `{"uri":"/a","plugins":{}}`, "")
	f("route", `{"uri":"/a","plugins":[]}`, "")
	f("route", `{"uris":["/a"],"service_id":7}`, "")
	f("route", `{"uri":"/a","upstream_id":"1","methods":[],"status":0,"vars":[],"host":"*.foo.com","labels":{"env":"x"},"timeout":{"connect":1,"send":0.5,"read":6}}`, "")
	f("route", `{"uri":"/a","plugins":{},"hosts":["[::1]:80"],"remote_addrs":["10.0.0.0/8","::1","fe80::/10","127.0.0.1"]}`, "")
	f("route", `{"uri":"/a","plugins":{},"model":"x"}`, "additional properties forbidden, found model")
	f("route", `{"plugins":{}}`, "allOf 1 failed: value should match only one schema, but matches none")
	f("route", `{"uri":"/a","uris":["/b"],"plugins":{}}`, "allOf 1 failed: value should match only one schema, but matches both schemas 1 and 2")
	f("route", `{"uri":"/a","host":"a","hosts":["b"],"plugins":{}}`, "allOf 2 failed: value should match only one schema, but matches both schemas 2 and 3")
	f("route", `{"uri":"/a","remote_addr":"1.1.1.1","remote_addrs":["1.1.1.1"],"plugins":{}}`, "allOf 3 failed: value should match only one schema, but matches both schemas 2 and 3")
	f("route", `{"uri":"/a","script":"return {..}","plugins":{}}`, "value wasn't supposed to match schema")
	f("route", `{"uri":"/a","name":"","plugins":{}}`, `property "name" validation failed: string too short, expected at least 1, got 0`)
	f("route", `{"uri":"/a","id":"a b","plugins":{}}`, `property "id" validation failed: `+none)
	f("route", `{"uri":"/a","id":0,"plugins":{}}`, `property "id" validation failed: `+none)
	f("route", `{"uri":"/a","remote_addr":"127.0.0.","plugins":{}}`, `property "remote_addr" validation failed: `+none)
	f("route", `{"uri":"/a","methods":["GEET"],"plugins":{}}`, `property "methods" validation failed: failed to validate item 1: matches none of the enum values`)
	f("route", `{"uri":"/a","methods":["GET","GET"],"plugins":{}}`, `property "methods" validation failed: expected unique items but items 1 and 2 are equal`)
	f("route", `{"uri":"/a","uris":[],"plugins":{}}`, `property "uris" validation failed: expect array to have at least 1 items`)
	f("route", `{"uri":"/a","labels":{"env":"a b"},"plugins":{}}`, `property "labels" validation failed: failed to validate env (matching ".*"): failed to match pattern "^\\S+$" with "a b"`)
	f("route", `{"uri":"/a","labels":{"env":1},"plugins":{}}`, `property "labels" validation failed: failed to validate env (matching ".*"): wrong type: expected string, got number`)
	f("route", `{"uri":"/a","timeout":{"connect":1},"plugins":{}}`, `property "timeout" validation failed: property "send" is required`)
	f("route", `{"uri":"/a","timeout":{"connect":0},"plugins":{}}`, `property "timeout" validation failed: property "connect" validation failed: expected 0 to be greater than 0`)
	f("route", `{"uri":"/a","status":2,"plugins":{}}`, `property "status" validation failed: matches none of the enum values`)
	f("route", `{"uri":"/a","filter_func":"x function(vars)","plugins":{}}`, `property "filter_func" validation failed: failed to match pattern "^function" with "x function(vars)"`)
	f("route", `{"uri":"/a","host":"a/b","plugins":{}}`, `property "host" validation failed: failed to match pattern "^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$" with "a/b"`)
	f("route", `{"uri":"/a","upstream":{"type":"roundrobin"}}`, `property "upstream" validation failed: value should match only one schema, but matches none`)
	f("route", `{"uri":"/a","upstream":{"nodes":{"a:80":-1}}}`, `property "upstream" validation failed: property "nodes" validation failed: `+none)
	f("route", `{"uri":"/a","upstream":{"nodes":{"a:80":1},"checks":{}}}`, `property "upstream" validation failed: property "checks" validation failed: `+none+`: ["active"] or ["active","passive"]`)

	f("service", `{}`, "")
	f("service", `{"hosts":["a","a"]}`, `property "hosts" validation failed: expected unique items but items 1 and 2 are equal`)
	f("upstream", `{"nodes":[{"host":"a","port":80,"weight":1}],"type":"chash","key":"arg_x","scheme":"https","pass_host":"node"}`, "")
	f("upstream", `{"service_name":"x","discovery_type":"dns"}`, "")
	f("upstream", `{"nodes":{},"service_name":"x","discovery_type":"dns"}`, "value should match only one schema, but matches both schemas 1 and 2")
	f("upstream", `{"nodes":[{"host":"a"}]}`, `property "nodes" validation failed: `+none)
	f("upstream", `{"nodes":{},"scheme":"ftp"}`, `property "scheme" validation failed: matches none of the enum values`)
	f("upstream", `{"nodes":{},"tls":{"client_cert":"`+cert+`"}}`, `property "tls" validation failed: failed to validate dependent schema for "client_cert": property "client_key" is required`)
	f("consumer", `{"username":"jack-1_a"}`, "")
	f("consumer", `{"username":"a b"}`, `property "username" validation failed: failed to match pattern "^[a-zA-Z0-9_\\-]+$" with "a b"`)
	f("consumer", `{}`, `property "username" is required`)
	f("credential", `{"id":"jack/credentials/a.b","plugins":{"key-auth":{}}}`, "")
	f("credential", `{"plugins":{"key-auth":{},"b":{}}}`, `property "plugins" validation failed: expect object to have at most 1 properties`)
	f("consumer_group", `{"id":"g","plugins":{}}`, "")
	f("consumer_group", `{"id":"g"}`, `property "plugins" is required`)
	f("plugin_config", `{"plugins":{}}`, `property "id" is required`)
	f("global_rule", `{"id":1,"plugins":{}}`, "")
	f("global_rule", `{"id":1,"plugins":{},"name":"x"}`, "additional properties forbidden, found name")
	f("ssl", `{"sni":"a.com","cert":"`+cert+`","key":"`+cert+`"}`, "")
	f("ssl", `{"sni":"a.com","cert":"$secret://vault/1/a/b","key":"$env://KEY"}`, "")
	f("ssl", `{"cert":"`+cert+`","key":"`+cert+`"}`, "then clause did not match")
	f("ssl", `{"type":"client","cert":"`+cert+`","key":"`+cert+`"}`, "")
	f("ssl", `{"type":"client","cert":"`+cert+`"}`, "else clause did not match")
	f("plugins", `[{"name":"ai-proxy"},{"name":"mqtt-proxy","stream":true}]`, "")
	f("plugins", `[{}]`, `failed to validate item 1: property "name" is required`)
	f("proto", `{"content":""}`, `property "content" validation failed: string too short, expected at least 1, got 0`)
	f("stream_route", `{"server_port":9100,"upstream_id":1}`, "")
	f("stream_route", `{"server_port":0}`, `property "server_port" validation failed: expected 0 to be at least 1`)
}

func TestResourceDefaults(t *testing.T) {
	f := func(name, value, want string) {
		t.Helper()
		got, err := Resource(name).Check([]byte(value))
		if err != nil || string(got) != want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", name, got, err, want)
		}
	}
	f("route", `{"uri":"/a","plugins":[]}`, `{"plugins":{},"priority":0,"status":1,"uri":"/a"}`)
	f("upstream", `{"nodes":[{"host":"a","weight":1.0}]}`,
		`{"hash_on":"vars","nodes":[{"host":"a","priority":0,"weight":1}],"pass_host":"pass","scheme":"http","type":"roundrobin"}`)
	f("upstream", `{"nodes":{"a:80":1},"checks":{"active":{"unhealthy":{}}},"keepalive_pool":{}}`,
		`{"checks":{"active":{"concurrency":10,"http_method":"GET","http_path":"/","http_req_body":"","https_verify_certificate":true,"timeout":1,"type":"http","unhealthy":{"http_failures":5,"http_statuses":[429,404,500,501,502,503,504,505],"interval":1,"tcp_failures":2,"timeouts":3}}},"hash_on":"vars","keepalive_pool":{"idle_timeout":60,"requests":1000,"size":320},"nodes":{"a:80":1},"pass_host":"pass","scheme":"http","type":"roundrobin"}`)
}

func TestResourceJSON(t *testing.T) {
	for _, name := range Names {
		s := Resource(name)
		if s == nil || !json.Valid(s.JSON()) {
			t.Errorf("%s: no schema, or no JSON", name)
		}
	}
	if Resource("routs") != nil {
		t.Error("a schema for an unknown resource")
	}
	if !json.Valid(Meta().JSON()) {
		t.Error("_meta: no JSON")
	}
}
