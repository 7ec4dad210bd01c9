package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the configuration of the process (config.yaml, gateway.md part 4).
// It is complete and checked: defaults are filled in. It does not change after
// Load.
//
// Relative paths: the resource file (apisix.yaml, apisix.json) and the files
// of headrace.seed stand beside the config file; everything else (data_dir,
// logs, certificates) is relative to the working directory.
type Config struct {
	File       string // path it was read from, "" for the built-in defaults
	APISIX     APISIX
	Deployment Deployment
	Nginx      Nginx
	Plugins    []string // nil: the built-in list; else it replaces the list
	Prometheus Prometheus
	Headrace   Headrace

	written map[string]any // the user's document
}

// APISIX is the block apisix.
type APISIX struct {
	NodeListen                 []Listen // nil in the role control_plane
	RouterHTTP                 string   // radixtree_host_uri, radixtree_uri or radixtree_uri_with_parameter
	DeleteURITailSlash         bool
	NormalizeURILikeServlet    bool
	MatchURIEncodedSlash       bool
	MaxPostArgs                int64 // max_post_args_readable_size in bytes; 0: no limit
	ShowUpstreamStatus         bool  // show_upstream_status_in_response_header
	EnableServerTokens         bool
	EnableAdmin                bool // false in the role data_plane, true in control_plane, whatever is written
	EnableControl              bool
	Control                    Listen
	Status                     *Listen        // nil: off
	TrustedAddresses           []netip.Prefix // nil: not written
	SSL                        SSL
	DisableUpstreamHealthcheck bool
	SecretTTL, SecretNegTTL    time.Duration // lru.secret.ttl and neg_ttl
	ID                         string        // "": to be generated
	Encryption                 Encryption
}

// Encryption is the block apisix.data_encryption. It counts for etcd only.
type Encryption struct {
	Enable  bool     // enable_encrypt_fields
	Keyring []string // each of 16 or 32 bytes
}

// Listen is an address to listen on. Port 0 is any free port.
type Listen struct {
	IP   string
	Port int
}

// Addr is the address as package net takes it.
func (l Listen) Addr() string { return net.JoinHostPort(l.IP, strconv.Itoa(l.Port)) }

// SSL is the block apisix.ssl.
type SSL struct {
	Enable             bool
	Listen             []Listen
	Protocols          []string // ssl_protocols: TLSv1.2, TLSv1.3
	Ciphers            string
	SessionTickets     bool
	FallbackSNI        string
	TrustedCertificate string // file of CA certificates for outbound TLS, or "system"
}

// Deployment is the block deployment.
type Deployment struct {
	Role  string // traditional, control_plane or data_plane
	Admin Admin
	Etcd  Etcd
}

// Admin is the block deployment.admin.
type Admin struct {
	Keys        []AdminKeyEntry // empty: no check
	KeyRequired bool
	Allow       []netip.Prefix // nil: any address
	Listen      Listen
	CORS        bool
	HTTPS       bool
	Cert        string // admin_api_mtls.admin_ssl_cert
	CertKey     string // admin_api_mtls.admin_ssl_cert_key
	ClientCA    string // admin_api_mtls.admin_ssl_ca_cert
}

// AdminKeyEntry is one entry of admin_key. An empty Key asks for the key of
// AdminKey; it is never accepted as it is.
type AdminKeyEntry struct {
	Name string
	Key  string
	Role string // admin or viewer
}

// Etcd is the block deployment.etcd.
type Etcd struct {
	Hosts              []string
	Prefix             string
	Timeout            time.Duration
	WatchTimeout       time.Duration
	StartupRetry       int
	ResyncDelay        time.Duration
	HealthCheckTimeout time.Duration
	User               string
	Password           string
	TLSCert            string
	TLSKey             string
	TLSVerify          bool
	TLSSNI             string
}

// Nginx is the block nginx_config, as far as it means something without nginx.
type Nginx struct {
	WorkerProcesses int // 0: auto
	ErrorLog        string
	ErrorLogLevel   string
	HTTP            NginxHTTP
}

// NginxHTTP is the block nginx_config.http.
type NginxHTTP struct {
	EnableAccessLog       bool
	AccessLog             string
	AccessLogBuffer       int64
	AccessLogFormat       string
	AccessLogFormatEscape string // default, json or none
	KeepaliveTimeout      time.Duration
	ClientHeaderTimeout   time.Duration
	ClientBodyTimeout     time.Duration
	SendTimeout           time.Duration
	ClientMaxBodySize     int64 // 0: no limit
	RealIPHeader          string
	RealIPFrom            []netip.Prefix // "unix:" is left out
	RealIPRecursive       bool
	UnderscoresInHeaders  bool
}

// Prometheus is the block plugin_attr.prometheus.
type Prometheus struct {
	EnableExportServer         bool
	ExportAddr                 Listen
	ExportURI                  string
	MetricPrefix               string
	DefaultBuckets             []float64
	LLMLatencyBuckets          []float64
	LLMPromptTokensBuckets     []float64
	LLMCompletionTokensBuckets []float64
}

// Headrace is our own block.
type Headrace struct {
	DataDir           string
	ShutdownDelay     time.Duration // after SIGTERM, while connections are still accepted
	ShutdownTimeout   time.Duration // else nginx_config.worker_shutdown_timeout where that is written
	RouteCacheBytes   int64
	Compat            string        // "" or "strict"
	MaxConnections    int           // 0: as many as the file limit allows
	MaxHeadBytes      int64         // else large_client_header_buffers where that is written
	ClientSendTimeout time.Duration // else nginx_config.http.send_timeout
	Seed              []string      // resource files, resolved
	MockListen        string        // host:port, "": off
	LogFormat         string        // text or json: the error log
	PassHeaders       []string      // pass_response_headers
}

// Provider is where resources come from.
type Provider uint8

// The providers.
const (
	ProviderEmbedded   Provider = iota + 1 // Admin API over the store in headrace.data_dir
	ProviderYAML                           // apisix.yaml
	ProviderJSON                           // apisix.json
	ProviderStandalone                     // Admin API /configs, in memory
	ProviderEtcd
)

// String returns a short name for logs.
func (p Provider) String() string {
	switch p {
	case ProviderEmbedded:
		return "embedded"
	case ProviderYAML:
		return "yaml"
	case ProviderJSON:
		return "json"
	case ProviderStandalone:
		return "standalone"
	case ProviderEtcd:
		return "etcd"
	}
	return "unknown"
}

const envEtcdHost = "APISIX_DEPLOYMENT_ETCD_HOST"

// Load reads the file at path over the built-in defaults; "" means the
// defaults alone. What does not stop the start is in the warnings. The error
// is a Problems with everything that was found, unless the file cannot be read.
func Load(path string, env Env) (*Config, []Warning, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, nil, fmt.Errorf("cannot read config file %q: %w", path, errors.Unwrap(err))
		}
	}
	s := &settings{file: path, env: env}
	s.parse(text)
	c := &Config{File: path}
	// What could not be merged is left at its default, so that everything
	// else that is wrong is found as well.
	if s.merged != nil {
		c.written = s.user
		s.fill(c)
		if _, err := c.Provider(); err != nil && slices.Contains(roles, c.Deployment.Role) {
			s.problem(providerPath(c.Deployment.Role), err.Error())
		}
	}
	s.sort()
	if len(s.problems) > 0 {
		return nil, s.warnings, s.problems
	}
	return c, s.warnings, nil
}

// Written reports whether the user's file has a value (null included) at the
// path: Written("apisix", "ssl").
func (c *Config) Written(path ...string) bool {
	_, ok := lookup(c.written, path)
	return ok
}

// Provider decides where resources come from. etcd is chosen only where
// etcd.host, its environment variable or config_provider: etcd is written: a
// gateway without any file must not wait for an etcd that nobody runs.
func (c *Config) Provider() (Provider, error) {
	role := c.Deployment.Role
	v, _ := lookup(c.written, strings.Split(providerPath(role), "."))
	name, _ := v.(string)
	etcd := c.Written("deployment", "etcd", "host")
	if name == "" {
		switch {
		case etcd:
			return ProviderEtcd, nil
		case role == "traditional":
			return ProviderEmbedded, nil
		}
		return 0, fmt.Errorf("the role %s needs a config_provider", role)
	}
	switch role + "/" + name {
	case "traditional/embedded":
		return ProviderEmbedded, nil
	case "traditional/yaml":
		return ProviderStandalone, nil
	case "data_plane/yaml":
		return ProviderYAML, nil
	case "data_plane/json":
		return ProviderJSON, nil
	case "traditional/etcd", "control_plane/etcd", "data_plane/etcd":
		return ProviderEtcd, nil
	}
	allowed := map[string]string{
		"traditional": "embedded, etcd, yaml", "control_plane": "etcd", "data_plane": "etcd, yaml, json",
	}[role]
	if name == "xds" {
		return 0, fmt.Errorf("xds is not supported; the role %s can use %s", role, allowed)
	}
	return 0, fmt.Errorf("%q is not known; the role %s can use %s", name, role, allowed)
}

var roles = []string{"traditional", "control_plane", "data_plane"}

func providerPath(role string) string { return "deployment.role_" + role + ".config_provider" }

// ResourceFile is the path of apisix.yaml or apisix.json, "" for the providers
// that read no file.
func (c *Config) ResourceFile() string {
	switch p, _ := c.Provider(); p {
	case ProviderYAML:
		return filepath.Join(filepath.Dir(c.File), "apisix.yaml")
	case ProviderJSON:
		return filepath.Join(filepath.Dir(c.File), "apisix.json")
	}
	return ""
}

// PluginEnabled reports whether a plugin that this program has may be used.
// Without a list of the user's all are, except opentelemetry, as in APISIX.
func (c *Config) PluginEnabled(name string) bool {
	if c.Plugins == nil {
		return name != "opentelemetry"
	}
	return slices.Contains(c.Plugins, name)
}
