package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"headrace/conf/schema"
)

// T: admin/plugins.t 1,2,13, schema-validate.t, plugins-reload.t.
func TestSchemas(t *testing.T) {
	g := newGate(t, nil)
	route := string(schema.Resource("route").JSON())
	names := []string{}
	for _, s := range g.engine.Registry().Specs() { // by priority
		names = append(names, s.Name)
	}
	list, _ := json.Marshal(names)
	g.f("GET /plugins/list", "", 200, string(list))
	g.f("GET /plugins/list?subsystem=http", "", 200, string(list))
	g.f("GET /plugins/list?subsystem=stream", "", 200, `[]`)
	g.f("GET /plugins/list?subsystem=asdf", "", 400, `invalid subsystem passed`)
	g.f("GET /plugins/nobody", "", 404, `$e"plugin not found in subsystem http"}`)
	g.f("GET /plugins", "", 404, `$e"plugin not found in subsystem http"}`)
	g.f("GET /plugins/test-plugin?subsystem=stream", "", 404, `$e"plugin not found in subsystem stream"}`)
	g.f("GET /plugins/test-plugin?subsystem=asdf", "", 400, `$e"unsupported subsystem: asdf"}`)
	g.f("GET /plugins/test-plugin?schema_type=consumer", "", 200, string(testSpec.Credential.Schema.JSON()))
	g.f("GET /schema/plugins/test-plugin?schema_type=consumer", "", 200, string(testSpec.Credential.Schema.JSON()))
	g.f("GET /plugins/prometheus?schema_type=consumer", "", 400, `$e"not found schema"}`)
	g.f("GET /plugins?all=true&subsystem=stream", "", 200, `{}`)
	g.f("PUT /plugins/reload", "", 200, `done`)
	g.f("GET /plugins/reload", "", 405, `$e"please use PUT method to reload the plugins, GET method is not allowed."}`)
	g.f("GET /schema/route", "", 200, route)
	g.f("GET /schema/noone", "", 400, `$e"not found schema: noone"}`)
	g.f("GET /schema", "", 400, `$e"not found schema: "}`)
	g.f("GET /schema/plugins/nobody", "", 404, `$e"plugin not found in subsystem http"}`)
	for _, name := range schema.Names {
		g.f("GET /schema/"+name, "", 200, string(schema.Resource(name).JSON()))
	}

	g.f("POST /schema/validate/routes", okRoute, 200, "")
	g.f("POST /schema/validate/routes", `{"uri":"","plugins":{"nobody":{}}}`, 400, `$e"property \"uri\" validation failed: string too short, expected at least 1, got 0"}`)
	g.f("POST /schema/validate/routes", `{"uris":["/a","/a"],"plugins":{}}`, 400, `$e"property \"uris\" validation failed: expected unique items but items 1 and 2 are equal"}`)
	g.f("POST /schema/validate/routes", ``, 400, `$e"missing configurations"}`)
	g.f("POST /schema/validate/routes", `{`, 400, `$e"invalid request body: unexpected end of JSON input","req_body":"{"}`)
	g.f("POST /schema/validate/global_rules", `{"id":1,"plugins":{}}`, 200, "")
	g.f("POST /schema/validate/plugin_metadata", `[]`, 400, `$e"wrong type: expected object, got array"}`)
	g.f("POST /schema/validate/upstreams", `{}`, 400, `$e"value should match only one schema, but matches none"}`)
	g.f("POST /schema/validate/upstreams", `{"nodes":{"a":1}}`, 200, "")
	g.f("POST /schema/validate/services", `{}`, 200, "")
	g.f("POST /schema/validate/services", `{"uri":"/"}`, 400, `$e"additional properties forbidden, found uri"}`)
	g.f("POST /schema/validate/consumers", `{}`, 400, `$e"property \"username\" is required"}`)
	g.f("POST /schema/validate/credentials", `{"plugins":{"a":{},"b":{}}}`, 400,
		`$e"property \"plugins\" validation failed: expect object to have at most 1 properties"}`)
	g.f("POST /schema/validate/secrets", `{}`, 200, "")
	g.f("POST /schema/validate/protos", `{}`, 400, `$e"property \"content\" is required"}`)
	g.f("POST /schema/validate/routs", `{}`, 404, `$e"Unsupported resource type: routs"}`)

	_, one := g.do("GET /plugins/test-plugin", "")
	_, same := g.do("GET /schema/plugins/test-plugin", "")
	_, all := g.do("GET /plugins?all=true", "")
	if one != same || !strings.Contains(one, `"_meta":{"type":"object","properties":{"disable":`) || !strings.Contains(one, pluginMark) || !strings.HasPrefix(one, `{"type":"object","properties":{"n":`) {
		t.Errorf("schema %s\nsecond way %s", one, same)
	}
	var plugins map[string]struct {
		Priority       int
		Version        float64
		Type           string
		Schema         json.RawMessage
		MetadataSchema json.RawMessage `json:"metadata_schema"`
		ConsumerSchema json.RawMessage `json:"consumer_schema"`
	}
	if err := json.Unmarshal([]byte(all), &plugins); err != nil {
		t.Fatal(err)
	}
	p := plugins["test-plugin"]
	if p.Priority != 77 || p.Version != 0.1 || p.Type != "auth" || string(p.Schema) != one || !strings.Contains(string(p.MetadataSchema), "ikey") ||
		string(p.ConsumerSchema) != string(testSpec.Credential.Schema.JSON()) || plugins["prometheus"].ConsumerSchema != nil || len(plugins) != len(names) {
		t.Errorf("plugins %s", all)
	}
}
