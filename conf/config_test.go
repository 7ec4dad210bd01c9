package conf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func loadText(t *testing.T, text string, env Env) (*Config, []Warning, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, env)
}

func mustLoad(t *testing.T, text string, env Env) *Config {
	t.Helper()
	c, warnings, err := loadText(t, text, env)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(warnings) > 0 {
		t.Errorf("%s: warnings %v", text, warnings)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c, warnings, err := Load("", noEnv)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	f := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	f("node_listen", c.APISIX.NodeListen[0].Addr(), "0.0.0.0:9080")
	f("admin_listen", c.Deployment.Admin.Listen.Addr(), "127.0.0.1:9180")
	f("control", c.APISIX.Control.Addr(), "127.0.0.1:9090")
	f("export_addr", c.Prometheus.ExportAddr.Addr(), "127.0.0.1:9091")
	f("status", c.APISIX.Status, (*Listen)(nil))
	f("router", c.APISIX.RouterHTTP, "radixtree_host_uri")
	f("admin keys", len(c.Deployment.Admin.Keys), 1)
	f("allow_admin", c.Deployment.Admin.Allow[0].String(), "127.0.0.0/24")
	f("shutdown_timeout", c.Headrace.ShutdownTimeout, 300*time.Second)
	f("client_send_timeout", c.Headrace.ClientSendTimeout, 10*time.Second)
	f("route_cache_bytes", c.Headrace.RouteCacheBytes, int64(256<<20))
	f("max_head_bytes", c.Headrace.MaxHeadBytes, int64(16384))
	f("data_dir", c.Headrace.DataDir, "data")
	f("etcd.timeout", c.Deployment.Etcd.Timeout, 30*time.Second)
	f("etcd.health_check_timeout", c.Deployment.Etcd.HealthCheckTimeout, 10*time.Second)
	f("enable_encrypt_fields", c.APISIX.Encryption.Enable, true)
	f("keyring", strings.Join(c.APISIX.Encryption.Keyring, " "), "qeddd145sfvddff3 edd1c9f0985e76a2")
	f("real_ip_from", len(c.Nginx.HTTP.RealIPFrom), 1)
	f("underscores", c.Nginx.HTTP.UnderscoresInHeaders, true)
	f("real_ip_recursive", c.Nginx.HTTP.RealIPRecursive, false)
	f("max_post_args_readable_size", c.APISIX.MaxPostArgs, int64(64<<20))
	f("trusted_addresses", c.APISIX.TrustedAddresses == nil, true)
	f("buckets", len(c.Prometheus.LLMPromptTokensBuckets), 16)
	f("plugins", c.Plugins == nil && c.PluginEnabled("ai-proxy") && !c.PluginEnabled("opentelemetry"), true)
	p, err := c.Provider()
	f("provider", p, ProviderEmbedded)
	f("provider error", err, nil)
}

func TestConfigValues(t *testing.T) {
	c := mustLoad(t, `
apisix:
  node_listen: [8080, {port: 8081}, {ip: "[::1]", port: 8082, enable_http2: true}]
  enable_control: no
  status: {port: "${{STATUS:=7000}}"}
  trusted_addresses: [10.1.2.3/8, "::1"]
  max_post_args_readable_size: 0
  router: {http: radixtree_uri_with_parameter}
  id: 5
  data_encryption: {enable_encrypt_fields: false, keyring: "${{RING:=0123456789abcdef}}"}
deployment:
  admin:
    admin_key:
      - {name: a, key: "${{KEY}}", role: admin}
      - {name: v, key: x, role: viewer}
    allow_admin: null
    https_admin: false
  etcd: {password: "${{KEY}}", health_check_timeout: -1}
  role_traditional: {config_provider: embedded}
nginx_config:
  worker_processes: 2
  worker_shutdown_timeout: 1m30s
  http:
    keepalive_timeout: 75
    send_timeout: 1500ms
    client_max_body_size: 10m
    large_client_header_buffers: 4 8k
    real_ip_recursive: "on"
    underscores_in_headers: "off"
    access_log_format: |
      $host
plugins: [ai-proxy]
plugin_attr: {prometheus: {default_buckets: [1, 2.5]}}
headrace:
  seed: [a.yaml, /b.json]
  mock: {listen: "127.0.0.1:1980"}
  pass_response_headers: [x-a]
  "${{BLOCK:=compat}}": strict
`, envOf("KEY", "0123"))
	f := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	f("node_listen", len(c.APISIX.NodeListen), 3)
	f("node_listen[1]", c.APISIX.NodeListen[1].Addr(), "0.0.0.0:8081")
	f("node_listen[2]", c.APISIX.NodeListen[2].Addr(), "[::1]:8082")
	f("enable_control", c.APISIX.EnableControl, false)
	f("status", *c.APISIX.Status, Listen{"127.0.0.1", 7000})
	f("max_post_args_readable_size", c.APISIX.MaxPostArgs, int64(0))
	f("router", c.APISIX.RouterHTTP, "radixtree_uri_with_parameter")
	f("trusted", c.APISIX.TrustedAddresses[0].String(), "10.0.0.0/8")
	f("id", c.APISIX.ID, "5")
	f("key of digits", c.Deployment.Admin.Keys[0].Key, "0123")
	f("enable_encrypt_fields", c.APISIX.Encryption.Enable, false)
	f("one key", strings.Join(c.APISIX.Encryption.Keyring, " "), "0123456789abcdef")
	f("password of digits", c.Deployment.Etcd.Password, "0123")
	f("health_check_timeout", c.Deployment.Etcd.HealthCheckTimeout, 10*time.Second)
	f("viewer", c.Deployment.Admin.Keys[1].Role, "viewer")
	f("allow_admin", c.Deployment.Admin.Allow == nil, true)
	f("workers", c.Nginx.WorkerProcesses, 2)
	f("keepalive", c.Nginx.HTTP.KeepaliveTimeout, 75*time.Second)
	f("send_timeout", c.Headrace.ClientSendTimeout, 1500*time.Millisecond)
	f("shutdown alias", c.Headrace.ShutdownTimeout, 90*time.Second)
	f("body", c.Nginx.HTTP.ClientMaxBodySize, int64(10<<20))
	f("head", c.Headrace.MaxHeadBytes, int64(32<<10))
	f("recursive", c.Nginx.HTTP.RealIPRecursive, true)
	f("underscores", c.Nginx.HTTP.UnderscoresInHeaders, false)
	f("format", c.Nginx.HTTP.AccessLogFormat, "$host")
	f("plugins", c.PluginEnabled("ai-proxy") && !c.PluginEnabled("cors"), true)
	f("seed", strings.Join(c.Headrace.Seed, " "), filepath.Join(filepath.Dir(c.File), "a.yaml")+" /b.json")
	f("mock", c.Headrace.MockListen, "127.0.0.1:1980")
	f("compat", c.Headrace.Compat, "strict")
	f("written", c.Written("apisix", "status", "port") && !c.Written("apisix", "ssl"), true)

	c = mustLoad(t, "nginx_config: {worker_shutdown_timeout: 5s}\nheadrace: {shutdown_timeout: 7}\napisix: {node_listen: 1984}", noEnv)
	f("own shutdown key", c.Headrace.ShutdownTimeout, 7*time.Second)
	f("port", c.APISIX.NodeListen[0].Port, 1984)
	mustLoad(t, "", noEnv)
	mustLoad(t, "# nothing\n", noEnv)
}

func TestConfigProblems(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, _, err := loadText(t, text, envOf("N", "5", "SECRET", "s3cret"))
		var ps Problems
		if !errors.As(err, &ps) {
			t.Errorf("%s: error %v, want %q", text, err, want)
			return
		}
		var got []string
		for _, p := range ps {
			got = append(got, strings.TrimPrefix(p.Error(), p.File+":"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngave %q\nwant %q", text, got, want)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows a secret", text)
		}
	}
	f("apisix:\n  node_listen: x", "2: apisix.node_listen: failed to merge, path[apisix->node_listen] expect: table, but got: string")
	f("apisix:\n  enable_admin: 1\n  router: 2\ndeployment:\n  role: {}",
		"2: apisix.enable_admin: failed to merge, path[apisix->enable_admin] expect: boolean, but got: number",
		"3: apisix.router: failed to merge, path[apisix->router] expect: table, but got: number",
		"5: deployment.role: failed to merge, path[deployment->role] expect: string, but got: table")
	f("plugin_attr: {prometheus: {export_uri: \"${{N}}\"}}", "1: plugin_attr.prometheus.export_uri: failed to merge, path[plugin_attr->prometheus->export_uri] expect: string, but got: number")
	f("a: ${{NO}}\nb:\n  - ${{NO2}}", "1: a: failed to handle configuration: can't find environment variable NO",
		"3: b[0]: failed to handle configuration: can't find environment variable NO2")
	f("a: 1\na: 2", `2: key "a" is already defined at line 1`)
	f("b: 1\na: [1", "2: did not find expected ',' or ']' in the value that begins here")
	f("- a", "1: expected an object with settings")
	f("apisix:\n  node_listen: [70000, {port: x}, 1, 1]\n  router: {http: radix}",
		"2: apisix.node_listen[0]: expected 70000 to be from 0 to 65535",
		"2: apisix.node_listen[1].port: expected integer, got string",
		"2: apisix.node_listen[3]: 0.0.0.0:1 is listed twice",
		`3: apisix.router.http: "radix" is not one of radixtree_host_uri, radixtree_uri, radixtree_uri_with_parameter`)
	f("deployment:\n  admin:\n    allow_admin: [a]\n    admin_key:\n      - {key: [s3cret], role: root}\n    https_admin: true",
		`3: deployment.admin.allow_admin[0]: "a" is no IP address and no network`,
		"5: deployment.admin.admin_key[0].key: expected string, got array",
		`5: deployment.admin.admin_key[0].role: "root" is not one of admin, viewer`,
		"6: deployment.admin.https_admin: needs admin_api_mtls.admin_ssl_cert and admin_api_mtls.admin_ssl_cert_key")
	f("nginx_config:\n  worker_processes: many\n  http:\n    send_timeout: 1x\n    client_max_body_size: 5q\n    large_client_header_buffers: 8k",
		"2: nginx_config.worker_processes: expected auto or a number from 1",
		`4: nginx_config.http.send_timeout: expected a time as "60s", "1m30s" or seconds`,
		`5: nginx_config.http.client_max_body_size: expected a size as 8192, "8k", "10m" or "1g"`,
		`6: nginx_config.http.large_client_header_buffers: expected a number and a size as "4 8k"`)
	f("headrace:\n  compat: lax\n  log_format: xml\n  mock: {listen: nowhere}\n  max_head_bytes: 10",
		`2: headrace.compat: "lax" is not known; expected strict, or nothing`,
		`3: headrace.log_format: "xml" is not one of text, json`,
		`4: headrace.mock.listen: "nowhere" is no address as 127.0.0.1:1980`,
		"5: headrace.max_head_bytes: expected 10 to be from 1024 to 16777216")
	f("deployment:\n  etcd: {host: ['root:s3cret@x']}", "2: deployment.etcd.host[0]: expected an http:// or https:// URL")
	f("deployment:\n  etcd:\n    prefix: apisix", `3: deployment.etcd.prefix: "apisix" is no path as /apisix`)
	f("apisix:\n  data_encryption:\n    keyring: [s3cret, [1]]",
		"3: apisix.data_encryption.keyring[0]: expected a text of 16 or 32 characters",
		"3: apisix.data_encryption.keyring[1]: expected a text of 16 or 32 characters")
	f("plugin_attr: {prometheus: {default_buckets: [2, 1]}}", "1: plugin_attr.prometheus.default_buckets: expected numbers that grow")
	f("apisix: {node_listen: 9091}", " plugin_attr.prometheus.export_addr: port 9091 is also that of apisix.node_listen")

	_, _, err := Load("/no/such/config.yaml", noEnv)
	if err == nil || err.Error() != `cannot read config file "/no/such/config.yaml": no such file or directory` {
		t.Errorf("a missing file: %v", err)
	}
	_, _, err = Load("", envOf(envEtcdHost, "http://a"))
	if err == nil || !strings.Contains(err.Error(), "APISIX_DEPLOYMENT_ETCD_HOST must be a JSON array of URLs") {
		t.Errorf("bad %s: %v", envEtcdHost, err)
	}
}

func TestConfigWarnings(t *testing.T) {
	_, warnings, err := loadText(t, `apisix:
  enable_ipv6: true
  node_listn: 9080
  port_admin: 1
headrace:
  dataDir: x
nginx_config:
  http: {lua_shared_dict: {a: 1m}, gzip: on}
plugin_attr:
  prometheus: {refresh_interval: 5}
  ai-proxy: {http_client: x}
wasm: {}
zzz: 1
deployment: {admin: {admin_key: [{name: a, key: k, role: admin, rolle: b}, {name: b, key: edd1c9f034335f136f87ad84b625c8f1, role: admin}], admin_key_required: false}}
`, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"2: apisix.enable_ipv6: no effect in Headrace",
		`3: apisix.node_listn: unknown key, did you mean "apisix.node_listen"?`,
		"4: apisix.port_admin: unknown key, it is deployment.admin.admin_listen.port now",
		`6: headrace.dataDir: unknown key, did you mean "headrace.data_dir"?`,
		"8: nginx_config.http.gzip: unknown key",
		"8: nginx_config.http.lua_shared_dict: no effect in Headrace",
		"10: plugin_attr.prometheus.refresh_interval: no effect in Headrace",
		"11: plugin_attr.ai-proxy: no effect in Headrace",
		"12: wasm: no effect in Headrace",
		"13: zzz: unknown key",
		`14: deployment.admin.admin_key[0].rolle: unknown key, did you mean "deployment.admin.admin_key[0].role"?`,
		"14: deployment.admin.admin_key[1].key: this is an example key of APISIX's documents that everybody knows: whoever reaches the Admin API has it. Set one of your own",
		"14: deployment.admin.admin_key_required: the Admin API asks for no key: whoever reaches it can change routes and read secrets",
	}
	for i, w := range warnings {
		got := strings.TrimPrefix(w.Error(), w.File+":")
		if i >= len(want) || got != want[i] || !w.Warn {
			t.Errorf("warning %d: %q", i, got)
		}
	}
	if len(warnings) != len(want) {
		t.Errorf("%d warnings, want %d", len(warnings), len(want))
	}
}

func TestProvider(t *testing.T) {
	f := func(text string, env Env, want Provider, file string) {
		t.Helper()
		c := mustLoad(t, text, env)
		got, err := c.Provider()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
		if r := c.ResourceFile(); file == "" && r != "" || file != "" && r != filepath.Join(filepath.Dir(c.File), file) {
			t.Errorf("%s: resource file %q", text, r)
		}
		if c.Deployment.Role == "data_plane" && c.APISIX.EnableAdmin {
			t.Errorf("%s: the Admin API is on", text)
		}
	}
	f("", noEnv, ProviderEmbedded, "")
	f("deployment: {role: traditional, etcd: {prefix: /x}}", noEnv, ProviderEmbedded, "")
	f("deployment: {etcd: {host: ['http://a:2379']}}", noEnv, ProviderEtcd, "")
	f("", envOf(envEtcdHost, `["http://a:2379"]`), ProviderEtcd, "")
	f("deployment: {role_traditional: {config_provider: etcd}}", noEnv, ProviderEtcd, "")
	f("deployment: {role_traditional: {config_provider: embedded}, etcd: {host: ['http://a:2379']}}", noEnv, ProviderEmbedded, "")
	f("deployment: {role_traditional: {config_provider: yaml}}", noEnv, ProviderStandalone, "")
	f("deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}", noEnv, ProviderYAML, "apisix.yaml")
	f("deployment: {role: data_plane, role_data_plane: {config_provider: json}}", noEnv, ProviderJSON, "apisix.json")
	f("deployment: {role: data_plane, role_data_plane: {config_provider: etcd}}", noEnv, ProviderEtcd, "")
	f("deployment: {role: control_plane, role_control_plane: {config_provider: etcd}}", noEnv, ProviderEtcd, "")
	// A control plane has an Admin API, whatever is written, and no traffic.
	cp := mustLoad(t, "apisix: {enable_admin: false, node_listen: 9180}\ndeployment: {role: control_plane, role_control_plane: {config_provider: etcd}}", noEnv)
	if !cp.APISIX.EnableAdmin || cp.APISIX.NodeListen != nil || cp.APISIX.SSL.Enable {
		t.Errorf("control plane: Admin API %v, traffic on %v", cp.APISIX.EnableAdmin, cp.APISIX.NodeListen)
	}

	bad := func(text, want string) {
		t.Helper()
		if _, _, err := loadText(t, text, noEnv); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	bad("deployment: {role: data_plane, role_data_plane: {config_provider: xds}}", "xds is not supported; the role data_plane can use etcd, yaml, json")
	bad("deployment: {role: data_plane}", "the role data_plane needs a config_provider")
	bad("deployment: {role: control_plane, role_control_plane: {config_provider: yaml}}", `"yaml" is not known; the role control_plane can use etcd`)
	bad("deployment: {role_traditional: {config_provider: json}}", `"json" is not known; the role traditional can use embedded, etcd, yaml`)
	bad("deployment: {role: both}", `deployment.role: "both" is not one of traditional, control_plane, data_plane`)
	c := mustLoad(t, "deployment: {role: control_plane, etcd: {host: ['http://a']}}\napisix: {enable_admin: false, data_encryption: {keyring: null}}", noEnv)
	if !c.APISIX.EnableAdmin || len(c.APISIX.Encryption.Keyring) != 0 {
		t.Errorf("control_plane: admin %v, keyring %q", c.APISIX.EnableAdmin, c.APISIX.Encryption.Keyring)
	}
	c = mustLoad(t, "deployment: {etcd: {host: ['http://a']}}", envOf(envEtcdHost, `["http://b","http://c"]`))
	if !slices.Equal(c.Deployment.Etcd.Hosts, []string{"http://b", "http://c"}) {
		t.Errorf("hosts %q", c.Deployment.Etcd.Hosts)
	}
}
