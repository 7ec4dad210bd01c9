package conf

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// pluginAttr reads plugin_attr: only prometheus has attributes that count here.
func (s *settings) pluginAttr(c *Config, b *block) {
	p := b.block("prometheus")
	c.Prometheus = Prometheus{
		EnableExportServer:         p.bool("enable_export_server"),
		ExportURI:                  p.str("export_uri"),
		MetricPrefix:               p.str("metric_prefix"),
		DefaultBuckets:             p.buckets("default_buckets"),
		LLMLatencyBuckets:          p.buckets("llm_latency_buckets"),
		LLMPromptTokensBuckets:     p.buckets("llm_prompt_tokens_buckets"),
		LLMCompletionTokensBuckets: p.buckets("llm_completion_tokens_buckets"),
	}
	l := p.block("export_addr")
	c.Prometheus.ExportAddr = l.listen("127.0.0.1", 9091)
	l.done()
	if !strings.HasPrefix(c.Prometheus.ExportURI, "/") {
		p.fail("export_uri", "%q must begin with /", c.Prometheus.ExportURI)
	}
	p.done()
	// Attributes are free: any plugin may have some.
	for key := range b.user {
		if key != "prometheus" {
			s.warn(b.at(key), "no effect in Headrace")
		}
	}
}

func (s *settings) headrace(c *Config, b *block) {
	h := &c.Headrace
	h.DataDir = b.str("data_dir")
	if h.DataDir == "" {
		b.fail("data_dir", "expected the name of a directory")
	}
	h.ShutdownDelay = b.time("shutdown_delay")
	own := b.time("shutdown_timeout")
	alias, _ := lookup(s.user, []string{"nginx_config", "worker_shutdown_timeout"})
	if b.isWritten("shutdown_timeout") || alias == nil {
		h.ShutdownTimeout = own
	}
	h.MaxConnections = b.int("max_connections", 0, 1<<30)
	h.RouteCacheBytes = b.size("route_cache_bytes")
	h.Compat = b.str("compat")
	if h.Compat != "" && h.Compat != "strict" {
		b.fail("compat", "%q is not known; expected strict, or nothing", h.Compat)
	}
	if head := b.size("max_head_bytes"); b.isWritten("max_head_bytes") || h.MaxHeadBytes == 0 {
		h.MaxHeadBytes = head
	}
	if h.MaxHeadBytes < 1024 || h.MaxHeadBytes > 16<<20 {
		b.fail("max_head_bytes", "expected %d to be from 1024 to %d", h.MaxHeadBytes, 16<<20)
	}
	h.ClientSendTimeout = c.Nginx.HTTP.SendTimeout
	if b.value("client_send_timeout") != nil {
		h.ClientSendTimeout = b.time("client_send_timeout")
	}
	for _, f := range b.list("seed") {
		if !filepath.IsAbs(f) {
			f = filepath.Join(filepath.Dir(s.file), f)
		}
		h.Seed = append(h.Seed, f)
	}
	m := b.block("mock")
	if h.MockListen = m.str("listen"); h.MockListen != "" {
		_, port, err := net.SplitHostPort(h.MockListen)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
			m.fail("listen", "%q is no address as 127.0.0.1:1980", h.MockListen)
		}
	}
	m.done()
	h.LogFormat = b.word("log_format", "text", "json")
	h.PassHeaders = b.list("pass_response_headers")
	b.done()
}

// collisions finds two listeners that want the same port.
func (s *settings) collisions(c *Config) {
	type use struct {
		path string
		l    Listen
	}
	var uses []use
	for _, l := range c.APISIX.NodeListen {
		uses = append(uses, use{"apisix.node_listen", l})
	}
	if c.APISIX.EnableAdmin {
		uses = append(uses, use{"deployment.admin.admin_listen", c.Deployment.Admin.Listen})
	}
	if c.APISIX.EnableControl {
		uses = append(uses, use{"apisix.control", c.APISIX.Control})
	}
	if c.APISIX.Status != nil {
		uses = append(uses, use{"apisix.status", *c.APISIX.Status})
	}
	if c.Prometheus.EnableExportServer {
		uses = append(uses, use{"plugin_attr.prometheus.export_addr", c.Prometheus.ExportAddr})
	}
	for i, a := range uses {
		for _, b := range uses[:i] {
			if a.path != b.path && a.l.Port != 0 && a.l.Port == b.l.Port && (a.l.IP == b.l.IP || isAny(a.l.IP) || isAny(b.l.IP)) {
				s.problem(a.path, fmt.Sprintf("port %d is also that of %s", a.l.Port, b.path))
			}
		}
	}
}

func isAny(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
