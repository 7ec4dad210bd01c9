package engine

import "strings"

// aiMultiSchema is APISIX's schema of ai-proxy-multi (ai-proxy.md 1.3), made
// of the parts that it shares with ai-proxy.
var aiMultiSchema = strings.NewReplacer(
	"@SEMANTIC@", semanticSchema,
	"@TRANSPORT@", transportSchema,
	"@INSTANCE@", instanceSchema,
	"@CHECKS@", checksSchema,
).Replace(`{
  "type": "object",
  "properties": {
    "balancer": {
      "type": "object",
      "properties": {
        "algorithm": {"type": "string", "enum": ["chash", "roundrobin", "semantic"]},
        "hash_on": {"type": "string", "default": "vars", "enum": ["vars", "header", "cookie", "consumer", "vars_combinations"]},
        "key": {"type": "string"}
      },
      "default": {"algorithm": "roundrobin"}
    },
    "fallback_strategy": {
      "anyOf": [
        {"type": "string", "enum": ["instance_health_and_rate_limiting", "http_429", "http_5xx"]},
        {"type": "array", "items": {"type": "string", "enum": ["rate_limiting", "http_429", "http_5xx"]}}
      ]
    },
    "fallback_http_statuses": {
      "type": "array", "minItems": 1, "uniqueItems": true,
      "items": {"type": "integer", "minimum": 400, "maximum": 599}
    },
    "max_retries": {"type": "integer", "minimum": 0},
    "retry_on_failure_within_ms": {"type": "integer", "minimum": 1},
    "semantic_opts": @SEMANTIC@,
    "instances": {
      "type": "array", "minItems": 1,
      "items": {
        "type": "object",
        "properties": {
          "name": {"type": "string", "minLength": 1, "maxLength": 100},
          "weight": {"type": "integer", "minimum": 0},
          "priority": {"type": "integer", "default": 0},
          @INSTANCE@,
          "checks": @CHECKS@,
          "examples": {"type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string", "minLength": 1}},
          "threshold": {"type": "number", "minimum": -1, "maximum": 1}
        },
        "required": ["name", "provider", "auth", "weight"]
      }
    },
    @TRANSPORT@
  },
  "required": ["instances"]
}`)

const checksSchema = `{
  "type": "object",
  "properties": {
    "active": {
      "type": "object",
      "properties": {
        "type": {"type": "string", "enum": ["http", "https", "tcp"], "default": "http"},
        "timeout": {"type": "number", "default": 1},
        "concurrency": {"type": "integer", "default": 10},
        "host": {"type": "string", "pattern": "^\\*?[0-9a-zA-Z-._\\[\\]:]+$"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "http_method": {"type": "string", "enum": ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"], "default": "GET"},
        "http_path": {"type": "string", "default": "/"},
        "http_req_body": {"type": "string", "default": ""},
        "https_verify_certificate": {"type": "boolean", "default": true},
        "req_headers": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "healthy": {
          "type": "object",
          "properties": {
            "interval": {"type": "integer", "minimum": 1, "default": 1},
            "http_statuses": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "integer", "minimum": 200, "maximum": 599}, "default": [200, 302]},
            "successes": {"type": "integer", "minimum": 1, "maximum": 254, "default": 2}
          }
        },
        "unhealthy": {
          "type": "object",
          "properties": {
            "interval": {"type": "integer", "minimum": 1, "default": 1},
            "http_statuses": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "integer", "minimum": 200, "maximum": 599}, "default": [429, 404, 500, 501, 502, 503, 504, 505]},
            "http_failures": {"type": "integer", "minimum": 1, "maximum": 254, "default": 5},
            "tcp_failures": {"type": "integer", "minimum": 1, "maximum": 254, "default": 2},
            "timeouts": {"type": "integer", "minimum": 1, "maximum": 254, "default": 3}
          }
        }
      }
    }
  },
  "required": ["active"]
}`
