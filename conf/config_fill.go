package conf

import (
	"strconv"
	"strings"
)

// fill turns the merged document into the Config, block by block.
func (s *settings) fill(c *Config) {
	b := s.root()
	s.apisix(c, b.block("apisix"))
	s.deployment(c, b.block("deployment"))
	s.nginx(c, b.block("nginx_config"))
	s.pluginAttr(c, b.block("plugin_attr"))
	s.headrace(c, b.block("headrace"))
	c.Plugins = b.list("plugins")
	b.done()
	switch c.Deployment.Role {
	case "data_plane":
		c.APISIX.EnableAdmin = false
	case "control_plane": // serves no traffic
		c.APISIX.EnableAdmin, c.APISIX.NodeListen, c.APISIX.SSL.Enable = true, nil, false
	}
	s.collisions(c)
}

func (s *settings) apisix(c *Config, b *block) {
	a := &c.APISIX
	a.NodeListen = b.ports("node_listen", 9080, "enable_http2")
	if len(a.NodeListen) == 0 {
		b.fail("node_listen", "expected at least one port")
	}
	r := b.block("router")
	a.RouterHTTP = r.str("http")
	switch a.RouterHTTP {
	case "radixtree_host_uri", "radixtree_uri", "radixtree_uri_with_parameter":
	default:
		r.fail("http", "%q is not one of radixtree_host_uri, radixtree_uri, radixtree_uri_with_parameter", a.RouterHTTP)
	}
	r.done()
	a.DeleteURITailSlash = b.bool("delete_uri_tail_slash")
	a.NormalizeURILikeServlet = b.bool("normalize_uri_like_servlet")
	a.MatchURIEncodedSlash = b.bool("match_uri_encoded_slash")
	a.MaxPostArgs = 64 << 20 // also for null
	if b.value("max_post_args_readable_size") != nil {
		a.MaxPostArgs = int64(b.int("max_post_args_readable_size", 0, 1<<20)) << 20
	}
	a.ShowUpstreamStatus = b.bool("show_upstream_status_in_response_header")
	a.EnableServerTokens = b.bool("enable_server_tokens")
	a.EnableAdmin = b.bool("enable_admin")
	a.EnableControl = b.bool("enable_control")
	ctl := b.block("control")
	a.Control = ctl.listen("127.0.0.1", 9090)
	ctl.done()
	if st := b.block("status"); b.isWritten("status") {
		l := st.listen("127.0.0.1", 7085)
		a.Status = &l
		st.done()
	}
	a.TrustedAddresses = b.prefixes("trusted_addresses", b.list("trusted_addresses"))
	a.DisableUpstreamHealthcheck = b.bool("disable_upstream_healthcheck")
	lru := b.block("lru")
	sec := lru.block("secret")
	a.SecretTTL, a.SecretNegTTL = sec.time("ttl"), sec.time("neg_ttl")
	sec.value("count") // as many as are in use
	sec.value("neg_count")
	sec.done()
	lru.done()
	a.ID = b.idOf("id")
	s.ssl(&a.SSL, b.block("ssl"))
	s.encryption(&a.Encryption, b.block("data_encryption"))
	b.done()
}

// idOf also takes a number, as APISIX does.
func (b *block) idOf(key string) string {
	if n, ok := b.value(key).(int); ok {
		return strconv.Itoa(n)
	}
	return b.str(key)
}

func (s *settings) ssl(c *SSL, b *block) {
	c.Enable = b.bool("enable")
	c.Listen = b.ports("listen", 9443, "enable_http3", "enable_http2", "enable_quic")
	c.Protocols = strings.Fields(b.str("ssl_protocols"))
	for _, p := range c.Protocols {
		switch p {
		case "TLSv1.2", "TLSv1.3":
		case "TLSv1", "TLSv1.1", "SSLv3", "SSLv2":
			s.warn(b.at("ssl_protocols"), p+" is not offered: it is not safe")
		default:
			b.fail("ssl_protocols", "%q is not known; expected TLSv1.2 and TLSv1.3", p)
		}
	}
	c.Ciphers = b.str("ssl_ciphers")
	c.SessionTickets = b.bool("ssl_session_tickets")
	c.FallbackSNI = b.str("fallback_sni")
	c.TrustedCertificate = b.str("ssl_trusted_certificate")
	b.done()
}

// ports reads a port, a list of ports or a list of {ip, port}; ignored are
// further keys that such an object may have.
func (b *block) ports(key string, port int, ignored ...string) []Listen {
	v := b.value(key)
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	var out []Listen
	for i, x := range items {
		at := key
		if ok {
			at += "[" + strconv.Itoa(i) + "]"
		}
		l := Listen{IP: "0.0.0.0", Port: port}
		switch x := x.(type) {
		case object:
			sub := &block{s: b.s, path: b.at(at), vals: x, user: x}
			l = sub.listen(l.IP, l.Port)
			sub.known = append(sub.known, ignored...)
			sub.done()
		default:
			n, isInt := wholeNumber(x)
			if !isInt {
				b.wrong(at, "a port or an object with ip and port", x)
			} else if n < 0 || n > 65535 {
				b.fail(at, "expected %d to be from 0 to 65535", n)
			}
			l.Port = n
		}
		for _, o := range out {
			if o == l && l.Port != 0 {
				b.fail(at, "%s is listed twice", l.Addr())
			}
		}
		out = append(out, l)
	}
	return out
}

func (s *settings) deployment(c *Config, b *block) {
	d := &c.Deployment
	d.Role = b.word("role", roles...)
	for _, role := range roles {
		r := b.block("role_" + role)
		r.str("config_provider")
		r.done()
	}
	a := b.block("admin")
	d.Admin = Admin{
		Keys:        a.adminKeys(),
		KeyRequired: a.bool("admin_key_required"),
		Allow:       a.prefixes("allow_admin", a.listOf("allow_admin", a.removable("allow_admin"))),
		CORS:        a.bool("enable_admin_cors"),
		HTTPS:       a.bool("https_admin"),
	}
	if c.Deployment.Role != "data_plane" && (!d.Admin.KeyRequired || len(d.Admin.Keys) == 0) {
		s.warn(a.at("admin_key_required"), "the Admin API asks for no key: whoever reaches it can change routes and read secrets")
	}
	l := a.block("admin_listen")
	d.Admin.Listen = l.listen("127.0.0.1", 9180)
	l.done()
	m := a.block("admin_api_mtls")
	d.Admin.Cert, d.Admin.CertKey, d.Admin.ClientCA = m.str("admin_ssl_cert"), m.str("admin_ssl_cert_key"), m.str("admin_ssl_ca_cert")
	m.done()
	if d.Admin.HTTPS && (d.Admin.Cert == "" || d.Admin.CertKey == "") {
		a.fail("https_admin", "needs admin_api_mtls.admin_ssl_cert and admin_api_mtls.admin_ssl_cert_key")
	}
	a.done()
	s.etcd(&d.Etcd, b.block("etcd"))
	b.done()
}

func (b *block) adminKeys() []AdminKeyEntry {
	const key = "admin_key"
	v := b.removable(key)
	items, ok := v.([]any)
	if !ok && v != nil {
		b.wrong(key, "array", v)
	}
	var out []AdminKeyEntry
	for i, x := range items {
		at := key + "[" + strconv.Itoa(i) + "]"
		obj, ok := x.(object)
		if !ok {
			b.wrong(at, "object", x)
			continue
		}
		e := &block{s: b.s, path: b.at(at), vals: obj, user: obj}
		k := AdminKeyEntry{Name: e.str("name"), Key: e.str("key"), Role: e.word("role", "admin", "viewer")}
		e.done()
		if IsExampleKey(k.Key) {
			b.s.warn(e.at("key"), "this is an example key of APISIX's documents that everybody knows: whoever reaches the Admin API has it. Set one of your own")
		}
		out = append(out, k)
	}
	return out
}

func (s *settings) nginx(c *Config, b *block) {
	n := &c.Nginx
	if v := b.value("worker_processes"); v != "auto" {
		b.workers(v, &n.WorkerProcesses)
	} else if v, ok := s.env("APISIX_WORKER_PROCESSES"); ok && v != "" && v != "auto" {
		b.workers(v, &n.WorkerProcesses)
	}
	c.Headrace.ShutdownTimeout = b.time("worker_shutdown_timeout")
	n.ErrorLog = b.str("error_log")
	n.ErrorLogLevel = b.word("error_log_level", "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
	h := b.block("http")
	n.HTTP = NginxHTTP{
		EnableAccessLog:       h.bool("enable_access_log"),
		AccessLog:             h.str("access_log"),
		AccessLogBuffer:       h.size("access_log_buffer"),
		AccessLogFormat:       strings.TrimRight(h.str("access_log_format"), "\r\n"),
		AccessLogFormatEscape: h.word("access_log_format_escape", "default", "json", "none"),
		KeepaliveTimeout:      h.time("keepalive_timeout"),
		ClientHeaderTimeout:   h.time("client_header_timeout"),
		ClientBodyTimeout:     h.time("client_body_timeout"),
		SendTimeout:           h.time("send_timeout"),
		ClientMaxBodySize:     h.size("client_max_body_size"),
		RealIPHeader:          h.str("real_ip_header"),
		RealIPRecursive:       h.onOff("real_ip_recursive"),
		UnderscoresInHeaders:  h.onOff("underscores_in_headers"),
	}
	var from []string
	for _, a := range h.list("real_ip_from") {
		if a != "unix:" {
			from = append(from, a)
		}
	}
	n.HTTP.RealIPFrom = h.prefixes("real_ip_from", from)
	c.Headrace.MaxHeadBytes = h.headerBuffers("large_client_header_buffers")
	h.done()
	b.done()
}

func (b *block) workers(v any, out *int) {
	n, ok := wholeNumber(v)
	if s, isText := text(v); isText {
		var err error
		n, err = strconv.Atoi(s)
		ok = err == nil
	}
	if !ok || n < 1 || n > 4096 {
		b.fail("worker_processes", "expected auto or a number from 1")
		return
	}
	*out = n
}

// headerBuffers reads nginx's "4 8k" and returns the bytes of all of them.
func (b *block) headerBuffers(key string) int64 {
	v := b.value(key)
	if v == nil {
		return 0
	}
	s, _ := text(v)
	if f := strings.Fields(s); len(f) == 2 {
		n, err := strconv.Atoi(f[0])
		size, ok := bytesOf(f[1])
		if err == nil && ok && n > 0 && n <= 1024 && size > 0 && size <= 1<<20 {
			return int64(n) * size
		}
	}
	b.fail(key, `expected a number and a size as "4 8k"`)
	return 0
}
