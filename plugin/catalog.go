package plugin

import (
	"strings"
	"sync"
)

// Category says what a plugin is for, which decides what happens to a
// configuration that names it while Headrace does not have it.
type Category uint8

// The categories. A plugin that fits two is in the stricter one.
const (
	CategoryOther   Category = iota // changes nothing that a client or provider sees: caches, buffers, maintenance
	CategoryAuth                    // finds out who the caller is
	CategoryAccess                  // decides whether the caller may pass
	CategoryGuard                   // inspects, blocks or masks contents
	CategoryLimit                   // bounds how much may pass
	CategoryTraffic                 // changes, routes, answers or copies requests or responses
	CategoryLogger                  // sends records of requests somewhere
	CategoryTracer                  // marks and reports the path of requests
	CategoryMetrics                 // counts requests
)

// Entry is a plugin that APISIX 3.18 ships.
type Entry struct {
	Name     string
	Priority int
	Category Category
}

// Refuse tells whether a configuration with the plugin must be refused while
// the plugin is not there: leaving it out would change who gets in or what is
// sent. All others may be left out with a warning.
func (e Entry) Refuse() bool {
	switch e.Category {
	case CategoryAuth, CategoryAccess, CategoryGuard, CategoryLimit, CategoryTraffic:
		return true
	}
	return false
}

// Lua tells whether the plugin's configuration is code, which nothing here can
// run: there will never be such a plugin.
func (e Entry) Lua() bool { return strings.HasPrefix(e.Name, "serverless-") }

// Known returns the entry of a plugin of APISIX 3.18 by its name.
func Known(name string) (Entry, bool) {
	e, ok := catalogByName()[name]
	return e, ok
}

var catalogByName = sync.OnceValue(func() map[string]Entry {
	m := make(map[string]Entry, len(catalog))
	for _, e := range catalog {
		m[e.Name] = e
	}
	return m
})

// catalog has the plugins in the order of their priorities, with those that
// APISIX does not enable by default and the one of its stream proxy
// (mqtt-proxy). Priorities are those of the plugins' code; its
// config.yaml.example differs for ai-aws-content-moderation.
var catalog = []Entry{
	{"real-ip", 23000, CategoryAccess}, // the address that the restrictions behind it look at
	{"exit-transformer", 22950, CategoryTraffic},
	{"ai", 22900, CategoryOther}, // a cache of route matches, no AI feature
	{"client-control", 22000, CategoryLimit},
	{"proxy-buffering", 21991, CategoryOther},
	{"proxy-control", 21990, CategoryOther},
	{"request-id", 12015, CategoryTracer},
	{"zipkin", 12011, CategoryTracer},
	{"skywalking", 12010, CategoryTracer},
	{"opentelemetry", 12009, CategoryTracer},
	{"ext-plugin-pre-req", 12000, CategoryTraffic},
	{"fault-injection", 11000, CategoryTraffic},
	{"mocking", 10900, CategoryTraffic},
	{"serverless-pre-function", 10000, CategoryTraffic},
	{"batch-requests", 4010, CategoryOther}, // an endpoint of its own, nothing on a route
	{"cors", 4000, CategoryTraffic},
	{"ip-restriction", 3000, CategoryAccess},
	{"ua-restriction", 2999, CategoryAccess},
	{"referer-restriction", 2990, CategoryAccess},
	{"csrf", 2980, CategoryAccess},
	{"uri-blocker", 2900, CategoryAccess},
	{"request-validation", 2800, CategoryGuard},
	{"chaitin-waf", 2700, CategoryGuard},
	{"multi-auth", 2600, CategoryAuth},
	{"openid-connect", 2599, CategoryAuth},
	{"saml-auth", 2598, CategoryAuth},
	{"cas-auth", 2597, CategoryAuth},
	{"authz-casbin", 2560, CategoryAccess},
	{"authz-casdoor", 2559, CategoryAuth},
	{"wolf-rbac", 2555, CategoryAuth},
	{"ldap-auth-advanced", 2541, CategoryAuth},
	{"ldap-auth", 2540, CategoryAuth},
	{"hmac-auth", 2530, CategoryAuth},
	{"basic-auth", 2520, CategoryAuth},
	{"jwt-auth", 2510, CategoryAuth},
	{"jwe-decrypt", 2509, CategoryAuth},
	{"key-auth", 2500, CategoryAuth},
	{"dingtalk-auth", 2430, CategoryAuth},
	{"feishu-auth", 2420, CategoryAuth},
	{"acl", 2410, CategoryAccess},
	{"consumer-restriction", 2400, CategoryAccess},
	{"attach-consumer-label", 2399, CategoryTraffic}, // headers that the upstream may trust
	{"forward-auth", 2002, CategoryAccess},
	{"opa", 2001, CategoryAccess},
	{"authz-keycloak", 2000, CategoryAccess},
	{"data-mask", 1500, CategoryGuard}, // keeps secrets out of the logs
	{"error-log-logger", 1091, CategoryLogger},
	{"proxy-cache", 1085, CategoryTraffic},
	{"body-transformer", 1080, CategoryTraffic},
	{"ai-request-rewrite", 1073, CategoryTraffic},
	{"ai-prompt-guard", 1072, CategoryGuard},
	{"ai-prompt-template", 1071, CategoryTraffic},
	{"ai-prompt-decorator", 1070, CategoryTraffic},
	{"ai-rag", 1060, CategoryTraffic},
	{"ai-proxy-multi", 1041, CategoryTraffic},
	{"ai-proxy", 1040, CategoryTraffic},
	{"ai-cache", 1035, CategoryTraffic},
	{"ai-aws-content-moderation", 1031, CategoryGuard},
	{"ai-rate-limiting", 1030, CategoryLimit},
	{"ai-aliyun-content-moderation", 1029, CategoryGuard},
	{"ai-lakera-guard", 1028, CategoryGuard},
	{"proxy-mirror", 1010, CategoryTraffic},
	{"graphql-proxy-cache", 1009, CategoryTraffic},
	{"proxy-rewrite", 1008, CategoryTraffic},
	{"workflow", 1006, CategoryLimit}, // answers or limits by conditions
	{"api-breaker", 1005, CategoryLimit},
	{"graphql-limit-count", 1004, CategoryLimit},
	{"limit-conn", 1003, CategoryLimit},
	{"limit-count", 1002, CategoryLimit},
	{"limit-req", 1001, CategoryLimit},
	{"mqtt-proxy", 1000, CategoryTraffic},
	{"node-status", 1000, CategoryOther},
	{"brotli", 996, CategoryOther}, // only how bytes are packed, and only if the client offers it
	{"gzip", 995, CategoryOther},
	{"server-info", 990, CategoryOther},
	{"traffic-label", 967, CategoryTraffic},
	{"traffic-split", 966, CategoryTraffic},
	{"redirect", 900, CategoryTraffic},
	{"response-rewrite", 899, CategoryTraffic},
	{"oas-validator", 512, CategoryGuard},
	{"mcp-bridge", 510, CategoryTraffic},
	{"degraphql", 509, CategoryTraffic},
	{"kafka-proxy", 508, CategoryTraffic},
	{"dubbo-proxy", 507, CategoryTraffic},
	{"grpc-transcode", 506, CategoryTraffic},
	{"grpc-web", 505, CategoryTraffic},
	{"http-dubbo", 504, CategoryTraffic},
	{"public-api", 501, CategoryTraffic},
	{"prometheus", 500, CategoryMetrics},
	{"datadog", 495, CategoryMetrics},
	{"error-page", 450, CategoryOther}, // looks of the gateway's own error pages
	{"lago", 415, CategoryLogger},
	{"loki-logger", 414, CategoryLogger},
	{"elasticsearch-logger", 413, CategoryLogger},
	{"echo", 412, CategoryTraffic},
	{"loggly", 411, CategoryLogger},
	{"http-logger", 410, CategoryLogger},
	{"splunk-hec-logging", 409, CategoryLogger},
	{"skywalking-logger", 408, CategoryLogger},
	{"google-cloud-logging", 407, CategoryLogger},
	{"sls-logger", 406, CategoryLogger},
	{"tcp-logger", 405, CategoryLogger},
	{"kafka-logger", 403, CategoryLogger},
	{"rocketmq-logger", 402, CategoryLogger},
	{"syslog", 401, CategoryLogger},
	{"udp-logger", 400, CategoryLogger},
	{"file-logger", 399, CategoryLogger},
	{"clickhouse-logger", 398, CategoryLogger},
	{"tencent-cloud-cls", 397, CategoryLogger},
	{"inspect", 200, CategoryOther},    // breakpoints in Lua code
	{"log-rotate", 100, CategoryOther}, // of APISIX's own files
	{"example-plugin", 0, CategoryOther},
	{"gm", -43, CategoryTraffic},           // certificates that ordinary TLS cannot serve
	{"ocsp-stapling", -44, CategoryAccess}, // may require a certificate's status
	{"aws-lambda", -1899, CategoryTraffic},
	{"azure-functions", -1900, CategoryTraffic},
	{"openwhisk", -1901, CategoryTraffic},
	{"openfunction", -1902, CategoryTraffic},
	{"serverless-post-function", -2000, CategoryTraffic},
	{"ext-plugin-post-req", -3000, CategoryTraffic},
	{"ext-plugin-post-resp", -4000, CategoryTraffic},
}
