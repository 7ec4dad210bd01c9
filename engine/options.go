package engine

import (
	"log/slog"
	"net/netip"
	"time"

	"headrace/conf"
	"headrace/driver/wire"
	"headrace/plugin"
	"headrace/plugin/logfile"
)

// Options of an Engine. Zero durations and sizes mean the defaults given.
type Options struct {
	Log     *slog.Logger
	Strict  bool     // headrace.compat is strict: nothing beyond what APISIX answers
	Version string   // after "headrace/" in the Server header; empty: none
	Env     conf.Env // nil: no variables

	MaxConns      int           // client connections at a time, 503 beyond them; 0: no limit
	MaxHead       int           // bytes of a request's head: 16 KiB
	HeaderTimeout time.Duration // client_header_timeout: 60 s
	BodyTimeout   time.Duration // client_body_timeout, between two reads: 60 s
	SendTimeout   time.Duration // client_send_timeout, between two writes: 60 s
	IdleTimeout   time.Duration // keepalive_timeout: 60 s

	MaxBody       int64                  // client_max_body_size; 0: no limit but the plugin's own
	PassHeaders   []string               // response headers of providers that clients get
	PluginEnabled func(name string) bool // nil: all
	// SkipUnknown leaves plugins that nobody knows, and disabled ones that guard
	// nothing, out of items that come from the source, as APISIX does for etcd.
	// What the Admin API writes is judged without it.
	SkipUnknown bool
	RealIP      RealIP

	Trusted         []netip.Prefix // apisix.trusted_addresses; nil: not written
	DropUnderscores bool           // underscores_in_headers is off
	MaxPostArgs     int64          // max_post_args_readable_size in bytes: 64 MiB; negative: no limit

	SecretTTL    time.Duration // apisix.lru.secret.ttl: values of secret managers are asked for again; 300 s
	SecretNegTTL time.Duration // apisix.lru.secret.neg_ttl: the same after a failure; 60 s
	SecretPause  time.Duration // between attempts after a provider has refused a secret; 10 s

	NoHealthChecks bool // apisix.disable_upstream_healthcheck

	RouteCacheBytes    int64 // budget of compiled routes; 0 switches the cache off
	RouterByURI        bool  // apisix.router.http is radixtree_uri
	RouterParams       bool  // or radixtree_uri_with_parameter
	TrimTailSlash      bool  // apisix.delete_uri_tail_slash
	ServletPaths       bool  // apisix.normalize_uri_like_servlet
	KeepSlashes        bool  // apisix.match_uri_encoded_slash
	ShowUpstreamStatus bool
	Metrics            MetricsOptions
	Wire               wire.Options // Watch is set by New

	AccessLogFormat string // empty: DefaultAccessLogFormat
	AccessLogEscape plugin.Escape
	AccessLog       *logfile.File // nil: no access log
}
