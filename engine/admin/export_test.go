package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/conf"
	"headrace/engine"
	"headrace/plugin/all"
)

func TestExport(t *testing.T) {
	reg := engine.NewRegistry(all.Specs(), nil)
	item := func(kind conf.Kind, id, raw string) conf.Stored {
		return conf.Stored{Item: conf.Item{Kind: kind, ID: id, Raw: []byte(raw), Rev: 7, Created: 3}}
	}
	limited := item(conf.Routes, "2", `{"uri":"/b","id":2,"plugins":{"ai-proxy":{"provider":"openai","auth":{"query":{"k":"$env://KEY"}}}},"update_time":1}`)
	limited.Expires = time.Unix(1e9, 0)
	items := []conf.Stored{
		item(conf.Routes, "chat", `{"uri":"/a","methods":["POST"],"create_time":1,"update_time":2,"id":"chat",
			"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer sk-1"}},"options":{"model":"gpt-4","temperature":0.20}}}}`),
		limited,
		item(conf.Routes, "3", `null`),
		item(conf.Consumers, "jack", `{"username":"jack","plugins":{"key-auth":{"key":"k-1"}},"create_time":1}`),
		item(conf.Consumers, "jack/credentials/c1", `{"id":"c1","plugins":{"basic-auth":{"username":"j","password":"p-1"}}}`),
		item(conf.SSLs, "1", `{"id":"1","snis":["a.b"],"cert":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n","key":"PRIVATE","keys":["OTHER"]}`),
		item(conf.Secrets, "vault/1", `{"id":"1","uri":"http://127.0.0.1:8200","prefix":"kv","token":"t-1"}`),
		item(conf.PluginMetadata, "prometheus", `{"disabled_labels":{}}`),
		item(conf.Plugins, "plugins", `[{"name":"ai-proxy"}]`),
		item(conf.Protos, "p", `{"id":"p","content":"c-1"}`),
	}
	const clear = `routes:
  - id: chat
    uri: /a
    methods: [POST]
    plugins:
      ai-proxy:
        provider: openai
        auth:
          header:
            Authorization: Bearer sk-1
        options:
          model: gpt-4
          temperature: 0.20
  # In the store until 2001-09-09T01:46:40Z; a file has no such limit.
  - id: 2
    uri: /b
    plugins:
      ai-proxy:
        provider: openai
        auth:
          query:
            k: "$env://KEY"
consumers:
  - username: jack
    plugins:
      key-auth:
        key: k-1
  - id: jack/credentials/c1
    plugins:
      basic-auth:
        username: j
        password: p-1
ssls:
  - id: "1"
    snis: [a.b]
    cert: |
      -----BEGIN CERTIFICATE-----
      MIIB
      -----END CERTIFICATE-----
    key: PRIVATE
    keys: [OTHER]
secrets:
  - id: vault/1
    uri: "http://127.0.0.1:8200"
    prefix: kv
    token: t-1
plugin_metadata:
  - id: prometheus
    disabled_labels: {}
plugins:
  - name: ai-proxy
protos:
  - id: p
    content: c-1
`
	x := Export(reg, items, true)
	if diff := cmp.Diff(clear, string(x.Body)); diff != "" {
		t.Errorf("in clear (-want +got):\n%s", diff)
	}
	if x.Items != 9 || x.Masked != 0 || len(x.Lost) != 1 || x.Lost[0] != "routes/3" {
		t.Errorf("in clear: %d items, %d masked, lost %q", x.Items, x.Masked, x.Lost)
	}
	masked := strings.NewReplacer("Bearer sk-1", `"********"`, "k-1", `"********"`, "p-1", `"********"`, "PRIVATE", `"********"`,
		"OTHER", `"********"`, "t-1", `"********"`, "c-1", `"********"`, "username: j\n", "username: j\n").Replace(clear)
	x = Export(reg, items, false)
	if diff := cmp.Diff(masked, string(x.Body)); diff != "" {
		t.Errorf("masked (-want +got):\n%s", diff)
	}
	if x.Masked != 7 {
		t.Errorf("%d masked", x.Masked)
	}
	if x = Export(reg, nil, false); string(x.Body) != "routes: []\n" || x.Items != 0 {
		t.Errorf("an empty store: %q", x.Body)
	}
}
