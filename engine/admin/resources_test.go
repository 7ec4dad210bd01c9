package admin

import (
	"strings"
	"testing"
)

// T: admin/global-rules-conflict.t 2, plugin-metadata.t 9, consumers.t 10 (texts).
func TestGlobalRules(t *testing.T) {
	g := newGate(t, nil)
	const key = `{"key":"/apisix/global_rules/1","value":`
	g.f("GET /global_rules", "", 200, `{"list":[],"total":0}`)
	g.f("PUT /global_rules/1", `{"plugins":{"prometheus":{}}}`, 201, key+`{"plugins":{"prometheus":{}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PUT /global_rules/1", `{"plugins":{"prometheus":{"prefer_name":true}}}`, 200,
		key+`{"plugins":{"prometheus":{"prefer_name":true}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PUT /global_rules/2", `{"plugins":{"test-plugin":{"n":1},"prometheus":{}}}`, 400, `$e"plugin 'prometheus' already exists in global rule with id '1'"}`)
	g.f("PUT /global_rules/2", `{"id":2,"plugins":{"test-plugin":{"n":1}}}`, 201,
		`{"key":"/apisix/global_rules/2","value":{"id":"2","plugins":{"test-plugin":{"n":1}},"create_time":$now,"update_time":$now}}`)
	g.f("PATCH /global_rules/2/plugins", `{"prometheus":{}}`, 400, `$e"plugin 'prometheus' already exists in global rule with id '1'"}`)
	g.f("POST /global_rules", `{"plugins":{}}`, 405, "$e\"not supported `POST` method for global rule\"}")
	g.f("PUT /global_rules/3", `{"plugins":{},"uri":"/a"}`, 400, `$e"invalid configuration: additional properties forbidden, found uri"}`)
	g.f("PUT /global_rules/3", `{}`, 400, `$e"invalid configuration: property \"plugins\" is required"}`)
	g.f("PUT /global_rules/3", `{"plugins":{"limit-count":{}}}`, 400, `$e"plugin limit-count is not supported yet and must not be left out"}`)
	g.f("PUT /global_rules", `{"plugins":{}}`, 400, `$e"missing global rule id"}`)
	g.f("DELETE /global_rules/1", "", 200, `{"key":"/apisix/global_rules/1","deleted":"1"}`)
	g.f("GET /global_rules/1", "", 404, `{"message":"Key not found"}`)
}

func TestPluginMetadata(t *testing.T) {
	g := newGate(t, nil)
	const key = `{"key":"/apisix/plugin_metadata/test-plugin","value":`
	g.f("PUT /plugin_metadata/test-plugin", `{"ikey":1}`, 201, key+`{"ikey":1,"id":"test-plugin"}}`)
	g.f("PUT /plugin_metadata/test-plugin", `{"id":"other","ikey":2}`, 200, key+`{"id":"test-plugin","ikey":2}}`)
	g.f("GET /plugin_metadata/test-plugin", "", 200, key+`{"id":"test-plugin","ikey":2},"createdIndex":1,"modifiedIndex":2}`)
	g.f("GET /plugin_metadata", "", 200, `{"list":[`+key+`{"id":"test-plugin","ikey":2},"createdIndex":1,"modifiedIndex":2}],"total":1}`)
	g.f("PUT /plugin_metadata/test-plugin", `{"ikey":"1"}`, 400,
		`$e"invalid configuration: property \"ikey\" validation failed: wrong type: expected integer, got string"}`)
	g.f("PUT /plugin_metadata/nobody", `{}`, 400, `$e"invalid plugin name"}`)
	g.f("PUT /plugin_metadata", `{}`, 400, `$e"missing plugin name"}`)
	g.f("PUT /plugin_metadata/test-plugin", ``, 400, `$e"missing configurations"}`)
	g.f("PATCH /plugin_metadata/test-plugin", `{}`, 405, "$e\"not supported `PATCH` method for plugin_metadata\"}")
	g.f("POST /plugin_metadata", `{}`, 405, "$e\"not supported `POST` method for plugin_metadata\"}")
	g.f("DELETE /plugin_metadata/test-plugin", "", 200, `{"key":"/apisix/plugin_metadata/test-plugin","deleted":"1"}`)
	g.f("GET /plugin_metadata/test-plugin", "", 404, `{"message":"Key not found"}`)
}

func TestMask(t *testing.T) {
	g := newGate(t, nil)
	f := func(call, body, masked string) {
		t.Helper()
		g.key = adminKey
		if res, got := g.do("PUT "+call, body); res.StatusCode >= 300 {
			t.Fatalf("PUT %s: %d %s", call, res.StatusCode, got)
		}
		_, list, _ := strings.Cut(call, "/")
		list, _, _ = strings.Cut(list, "/")
		for _, path := range []string{"GET " + call, "GET /" + list} {
			if _, got := g.do(path, ""); !strings.Contains(got, body[1:len(body)-1]) {
				t.Errorf("an admin reads %s\nwant %s", got, body)
			}
			g.key = viewerKey
			if _, got := g.do(path, ""); !strings.Contains(got, masked[1:len(masked)-1]) || strings.Contains(got, "s3cret") {
				t.Errorf("a viewer reads %s\nwant %s", got, masked)
			}
			g.key = adminKey
		}
		if res, got := g.do("PUT "+call, masked); res.StatusCode != 400 || !strings.Contains(got, "holds ********") {
			t.Errorf("writing the mask: %d %s", res.StatusCode, got)
		}
	}
	f("/routes/1", `{"uri":"/a","plugins":{"test-plugin":{"n":1,"token":"s3cret","keys":["s3cret1",{"k":"s3cret2"}],"deep":[{"auth":{"header":{"A":"s3cret3"}},"x":"y"}]}}}`,
		`{"uri":"/a","plugins":{"test-plugin":{"n":1,"token":"********","keys":["********",{"k":"********"}],"deep":[{"auth":{"header":{"A":"********"}},"x":"y"}]}}}`)
	f("/routes/2", `{"uri":"/a","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer s3cret"},"query":{"k":"s3cret"}},"options":{"model":"m"}}}}`,
		`{"uri":"/a","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"********"},"query":{"k":"********"}},"options":{"model":"m"}}}}`)
	// Of a plugin that is not here nobody knows what is secret.
	f("/routes/3", `{"uri":"/a","plugins":{"http-logger":{"uri":"http://l","auth_header":"s3cret","_meta":{"disable":true}}}}`,
		`{"uri":"/a","plugins":{"http-logger":{"uri":"********","auth_header":"********","_meta":{"disable":true}}}}`)
	f("/global_rules/1", `{"plugins":{"test-plugin":{"n":1,"token":"s3cret"}}}`, `{"plugins":{"test-plugin":{"n":1,"token":"********"}}}`)
	f("/plugin_metadata/test-plugin", `{"ikey":1,"token":"s3cret"}`, `{"ikey":1,"token":"********"}`)
	f("/plugin_metadata/http-logger", `{"log_format":{"h":"s3cret"}}`, `{"log_format":{"h":"********"}}`)

	g.f("PATCH /routes/1/plugins/test-plugin/token", `"\u002a*******"`, 400,
		`$e"property \"plugins.test-plugin.token\" holds ********, which stands for a secret that a viewer may not see: send the secret itself"}`)
	if res, got := g.do("PATCH /routes/1", `{"desc":"********"}`); res.StatusCode != 200 {
		t.Errorf("the mask elsewhere: %d %s", res.StatusCode, got)
	}
}
