package main

import (
	"crypto/x509"
	"fmt"
	"os"

	"headrace/conf"
	"headrace/driver/wire"
	"headrace/engine"
	"headrace/plugin"
)

// engineOptions brings the configuration into the engine's terms.
func (g *gateway) engineOptions() (engine.Options, error) {
	c := g.cfg
	roots, err := trusted(c.APISIX.SSL.TrustedCertificate)
	if err != nil {
		return engine.Options{}, err
	}
	escape := plugin.EscapeDefault
	switch c.Nginx.HTTP.AccessLogFormatEscape {
	case "json":
		escape = plugin.EscapeJSON
	case "none":
		escape = plugin.EscapeNone
	}
	send := c.Headrace.ClientSendTimeout
	shown := ""
	if c.APISIX.EnableServerTokens {
		shown = version
	}
	postArgs := c.APISIX.MaxPostArgs
	if postArgs == 0 {
		postArgs = -1 // no limit, which is 0 only in the file
	}
	return engine.Options{
		Log: g.log, Version: shown, Env: os.LookupEnv, Strict: c.Headrace.Compat == "strict",
		MaxConns:      g.maxConnections(),
		MaxHead:       int(c.Headrace.MaxHeadBytes),
		HeaderTimeout: c.Nginx.HTTP.ClientHeaderTimeout, BodyTimeout: c.Nginx.HTTP.ClientBodyTimeout,
		SendTimeout: send, IdleTimeout: c.Nginx.HTTP.KeepaliveTimeout,
		RouteCacheBytes: c.Headrace.RouteCacheBytes,
		RouterByURI:     c.APISIX.RouterHTTP == "radixtree_uri",
		RouterParams:    c.APISIX.RouterHTTP == "radixtree_uri_with_parameter",
		TrimTailSlash:   c.APISIX.DeleteURITailSlash, ServletPaths: c.APISIX.NormalizeURILikeServlet, KeepSlashes: c.APISIX.MatchURIEncodedSlash,
		Trusted: c.APISIX.TrustedAddresses, DropUnderscores: !c.Nginx.HTTP.UnderscoresInHeaders,
		MaxPostArgs:        postArgs,
		ShowUpstreamStatus: c.APISIX.ShowUpstreamStatus,
		SecretTTL:          c.APISIX.SecretTTL, SecretNegTTL: c.APISIX.SecretNegTTL,
		NoHealthChecks: c.APISIX.DisableUpstreamHealthcheck || c.Deployment.Role == roleControlPlane,
		PluginEnabled:  c.PluginEnabled, SkipUnknown: g.provider == conf.ProviderEtcd, MaxBody: c.Nginx.HTTP.ClientMaxBodySize, PassHeaders: c.Headrace.PassHeaders,
		RealIP: engine.RealIP{Header: c.Nginx.HTTP.RealIPHeader, From: c.Nginx.HTTP.RealIPFrom, Recursive: c.Nginx.HTTP.RealIPRecursive},
		Metrics: engine.MetricsOptions{
			Prefix: c.Prometheus.MetricPrefix, LatencyBuckets: c.Prometheus.DefaultBuckets,
			LLMLatencyBuckets: c.Prometheus.LLMLatencyBuckets,
			PromptBuckets:     c.Prometheus.LLMPromptTokensBuckets, CompletionBuckets: c.Prometheus.LLMCompletionTokensBuckets,
		},
		Wire:            wire.Options{RootCAs: roots},
		AccessLogFormat: c.Nginx.HTTP.AccessLogFormat, AccessLogEscape: escape, AccessLog: g.access,
	}, nil
}

// trusted reads the certificates that providers are checked against; nil
// means the system's.
func trusted(path string) (*x509.CertPool, error) {
	if path == "" || path == "system" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("apisix.ssl.ssl_trusted_certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("apisix.ssl.ssl_trusted_certificate: no certificate in %q", path)
	}
	return pool, nil
}
