package engine

import (
	"testing"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// TestSkipUnknown compares what becomes of plugins that are not there, for
// sources in general and for etcd (gateway.md 2.3, 5.3).
func TestSkipUnknown(t *testing.T) {
	value := func([]byte, *plugin.Env) (any, error) { return struct{}{}, nil }
	object := schema.MustCompile("object", `{"type":"object"}`)
	specs := []plugin.Spec{
		{Name: "file-logger", Schema: object, New: value},
		{Name: "key-auth", Schema: object, New: value, Kind: plugin.Auth},
	}
	strict := NewRegistry(specs, func(name string) bool { return name != "file-logger" && name != "key-auth" })
	f := func(it conf.Item, want, wantSkipping Level) {
		t.Helper()
		for r, want := range map[*Registry]Level{strict: want, strict.skipping(true): wantSkipping, strict.skipping(false): want} {
			found := r.CheckItem(it)
			if len(found) != 1 || found[0].Level != want {
				t.Errorf("%s %s: %+v, want one of level %d", it.ID, it.Raw, found, want)
			}
		}
	}
	route := func(name, config string) conf.Item {
		return conf.Item{Kind: conf.Routes, ID: "1", Raw: []byte(`{"uri":"/a","plugins":{"ai-proxy":{"provider":"openai","auth":{}},"` + name + `":` + config + `}}`)}
	}
	f(route("nobody-has-it", "{}"), Invalid, Warned)
	f(route("openid-connect", "{}"), Refused, Refused)
	f(route("kafka-logger", "{}"), Warned, Warned)
	f(route("file-logger", "{}"), Refused, Warned) // switched off
	f(route("key-auth", "{}"), Refused, Refused)
	f(conf.Item{Kind: conf.GlobalRules, ID: "1", Raw: []byte(`{"id":"1","plugins":{"nobody-has-it":{}}}`)}, Invalid, Warned)
	f(conf.Item{Kind: conf.PluginMetadata, ID: "nobody-has-it", Raw: []byte(`{}`)}, Invalid, Warned)
}
