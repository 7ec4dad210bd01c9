package conf

// object is short for what YAML gives for a mapping.
type object = map[string]any

// AccessLogFormat is the built-in access_log_format of APISIX 3.18.
const AccessLogFormat = `$remote_addr - $remote_user [$time_local] $http_host "$request" $status $body_bytes_sent $request_time "$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time "$upstream_scheme://$upstream_host$upstream_uri" "$apisix_request_id"`

// defaults is what the user's file is merged over. Besides the values it holds
// the types that the merge insists on. The Admin API listens on loopback
// here, where APISIX listens everywhere.
func defaults() object {
	tokens := []any{1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000}
	millis := []any{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000}
	return object{
		"apisix": object{
			"node_listen":                             []any{9080},
			"router":                                  object{"http": "radixtree_host_uri"},
			"delete_uri_tail_slash":                   false,
			"normalize_uri_like_servlet":              false,
			"match_uri_encoded_slash":                 false,
			"max_post_args_readable_size":             64,
			"show_upstream_status_in_response_header": false,
			"enable_server_tokens":                    true,
			"enable_admin":                            true,
			"enable_control":                          true,
			"disable_upstream_healthcheck":            false,
			"lru":                                     object{"secret": object{"ttl": 300, "neg_ttl": 60}},
			"data_encryption": object{
				"enable_encrypt_fields": true,
				"keyring":               []any{"qeddd145sfvddff3", "edd1c9f0985e76a2"},
			},
			"ssl": object{
				"enable":                  true,
				"listen":                  []any{object{"port": 9443}},
				"ssl_protocols":           "TLSv1.2 TLSv1.3",
				"ssl_session_tickets":     false,
				"ssl_trusted_certificate": "system",
			},
		},
		"deployment": object{
			"role": "traditional",
			"admin": object{
				"admin_key":          []any{object{"name": "admin", "key": "", "role": "admin"}},
				"admin_key_required": true,
				"allow_admin":        []any{"127.0.0.0/24"},
				"admin_listen":       object{"ip": "127.0.0.1", "port": 9180},
				"enable_admin_cors":  true,
			},
			"etcd": object{
				"host": []any{"http://127.0.0.1:2379"}, "prefix": "/apisix", "timeout": 30, "watch_timeout": 50,
				"startup_retry": 2, "resync_delay": 5, "health_check_timeout": 10, "tls": object{"verify": true},
			},
		},
		"nginx_config": object{
			"worker_processes":        "auto",
			"worker_shutdown_timeout": "240s",
			"error_log":               "logs/error.log",
			"error_log_level":         "warn",
			"http": object{
				"enable_access_log": true, "access_log": "logs/access.log", "access_log_buffer": 16384,
				"access_log_format": AccessLogFormat, "access_log_format_escape": "default",
				"keepalive_timeout": "60s", "client_header_timeout": "60s", "client_body_timeout": "60s",
				"send_timeout": "10s", "client_max_body_size": 0, "underscores_in_headers": "on",
				"real_ip_header": "X-Real-IP", "real_ip_recursive": "off", "real_ip_from": []any{"127.0.0.1", "unix:"},
			},
		},
		"plugin_attr": object{
			"prometheus": object{
				"enable_export_server": true, "export_addr": object{"ip": "127.0.0.1", "port": 9091},
				"export_uri": "/apisix/prometheus/metrics", "metric_prefix": "apisix_",
				"default_buckets": millis, "llm_latency_buckets": millis,
				"llm_prompt_tokens_buckets": tokens, "llm_completion_tokens_buckets": tokens,
			},
		},
		"headrace": object{
			"data_dir": "data", "max_connections": 0, "shutdown_delay": "5s", "shutdown_timeout": "300s", "route_cache_bytes": 268435456, "compat": "",
			"max_head_bytes": 16384, "mock": object{"listen": ""}, "log_format": "text",
		},
	}
}

// noEffect lists, by block, what APISIX 3.18 knows and this gateway does
// without: such a key is accepted and warned about once. A block is named
// only by its own key, not by what is in it.
var noEffect = map[string][]string{
	"": {
		"stream_plugins", "wasm", "xrpc", "ext-plugin", "discovery", "graphql",
	},
	"apisix": {
		"enable_dev_mode", "enable_reuseport", "enable_ipv6", "enable_http2", "proxy_protocol", "extra_lua_path",
		"extra_lua_cpath", "lua_module_hook", "proxy_cache", "proxy_mode", "stream_proxy", "dns_resolver",
		"dns_resolver_valid", "resolver_timeout", "enable_resolv_search_opt",
		"disable_sync_configuration_during_start", "worker_startup_time_threshold", "events", "tracing",
	},
	"apisix.router":    {"ssl"},
	"deployment.admin": {"enable_admin_ui", "admin_api_version"},
	"deployment":       {"certs"},
	"nginx_config": {
		"user", "enable_cpu_affinity", "worker_rlimit_nofile", "worker_rlimit_core", "max_pending_timers",
		"max_running_timers", "event", "envs", "meta", "stream", "main_configuration_snippet",
		"http_configuration_snippet", "http_server_configuration_snippet",
		"http_server_location_configuration_snippet", "http_admin_configuration_snippet",
		"http_end_configuration_snippet", "stream_configuration_snippet",
	},
	"nginx_config.http": {
		"custom_lua_shared_dict", "lua_shared_dict", "proxy_ssl_server_name", "upstream", "charset",
		"variables_hash_max_size",
	},
	"plugin_attr.prometheus": {"refresh_interval", "metrics"},
}

// movedTo tells where keys of older versions went.
var movedTo = map[string]string{
	"etcd":                     "deployment.etcd",
	"apisix.admin_key":         "deployment.admin.admin_key",
	"apisix.allow_admin":       "deployment.admin.allow_admin",
	"apisix.admin_listen":      "deployment.admin.admin_listen",
	"apisix.port_admin":        "deployment.admin.admin_listen.port",
	"apisix.enable_admin_cors": "deployment.admin.enable_admin_cors",
	"apisix.config_center":     "deployment.role and its config_provider",
}
