package admin

import "testing"

func TestMerge(t *testing.T) {
	f := func(old, with, want string) {
		t.Helper()
		v := mustParse([]byte(old))
		merge(v, mustParse([]byte(with)))
		if got := string(v.append(nil)); got != want {
			t.Errorf("%s + %s\ngot  %s\nwant %s", old, with, got, want)
		}
	}
	f(`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":4.0,"e":5},"f":6}`, `{"a":1,"b":{"c":2,"d":4.0,"e":5},"f":6}`)
	f(`{"a":[1,2],"b":1}`, `{"a":[3]}`, `{"a":[3],"b":1}`)
	f(`{"a":1,"b":{"c":2,"d":3}}`, `{"a":null,"b":{"c":null},"x":null}`, `{"b":{"d":3}}`)
	f(`{"a":1}`, `{"a":{"b":null}}`, `{"a":{"b":null}}`)
	f(`{"a":{"b":1}}`, `{"a":[]}`, `{"a":[]}`)
	f(`{"a":{"b":1}}`, `{"a":{}}`, `{"a":{}}`)
	f(`{"a":{}}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`)
	f(`{"a":[]}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`)
}

func TestSetPath(t *testing.T) {
	f := func(old, path, to, want string) {
		t.Helper()
		v := mustParse([]byte(old))
		got := setPath(v, segments(path), mustParse([]byte(to)))
		if got == "" {
			got = string(v.append(nil))
		}
		if got != want {
			t.Errorf("%s %s=%s\ngot  %s\nwant %s", old, path, to, got, want)
		}
	}
	f(`{"a":1}`, "a", `[2]`, `{"a":[2]}`)
	f(`{"a":1}`, "b/c/d", `"x"`, `{"a":1,"b":{"c":{"d":"x"}}}`)
	f(`{"a":1}`, "a/b", `2`, `invalid sub-path: /a`)
	f(`{"a":{"b":[{"c":1}]}}`, "a/b/0/c", `2`, `invalid sub-path: /a/b`)
	f(`{"a":[]}`, "a/b", `2`, `{"a":{"b":2}}`)
	f(`{"a":{"b":1}}`, "a/b", `null`, `{"a":{"b":null}}`)
}

// T: admin/routes2.t and routes4.t, PATCH.
func TestPatch(t *testing.T) {
	g := newGate(t, nil)
	const times = `"id":"1","create_time":$now,"update_time":$now`
	g.f("PUT /routes/1", `{"uri":"/a","methods":["GET"],"plugins":{"test-plugin":{"n":1}}}`, 201,
		head+`{"uri":"/a","methods":["GET"],"plugins":{"test-plugin":{"n":1}},`+times+`}}`)
	g.f("PATCH /routes/1", `{"methods":["PUT","POST"],"plugins":{"test-plugin":{"token":"t"}}}`, 200,
		head+`{"uri":"/a","methods":["PUT","POST"],"plugins":{"test-plugin":{"n":1,"token":"t"}},`+times+`}}`)
	g.f("PATCH /routes/1/methods", `["DELETE"]`, 200,
		head+`{"uri":"/a","methods":["DELETE"],"plugins":{"test-plugin":{"n":1,"token":"t"}},`+times+`}}`)
	g.f("PATCH /routes/1/plugins/test-plugin/n", `2`, 200,
		head+`{"uri":"/a","methods":["DELETE"],"plugins":{"test-plugin":{"n":2,"token":"t"}},`+times+`}}`)
	g.f("PATCH /routes/1", `{"methods":null,"plugins":{},"create_time":5,"update_time":6}`, 200,
		head+`{"uri":"/a","plugins":{},"id":"1","create_time":5,"update_time":6}}`)
	g.f("PATCH /routes/1", `{"create_time":null,"update_time":null}`, 200, head+`{"uri":"/a","plugins":{},`+times+`}}`)
	g.f("PATCH /routes/1", "", 400, `$e"missing new configuration"}`)
	g.f("PATCH /routes/1", "3", 400, `$e"invalid configuration"}`)
	g.f("PATCH /routes/1", "null", 400, `$e"invalid configuration"}`)
	g.f("PATCH /routes/1/uri/x", "1", 400, `$e"invalid sub-path: /uri"}`)
	g.f("PATCH /routes/1", `{"id":2}`, 400, `$e"wrong route id"}`)
	g.f("PATCH /routes/1", `{"uri":null}`, 400, `$e"invalid configuration: allOf 1 failed: value should match only one schema, but matches none"}`)
	g.f("PATCH /routes/1", `{"plugins":{"key-auth":{}}}`, 400, `$e"plugin key-auth is not supported yet and must not be left out"}`)
	g.f("GET /routes/1", "", 200, head+`{"uri":"/a","plugins":{},`+times+`},"createdIndex":1,"modifiedIndex":6}`)
}
