package engine

// instanceSchema is what a provider needs, in ai-proxy and in each instance of
// ai-proxy-multi (ai-proxy.md 1.1).
const instanceSchema = `"provider": {"type": "string", "enum": ["openai", "deepseek", "aimlapi", "anthropic", "openai-compatible", "azure-openai", "openrouter", "gemini", "vertex-ai", "bedrock"]},
    "provider_conf": {
      "type": "object",
      "properties": {
        "project_id": {"type": "string"},
        "region": {"type": "string", "minLength": 1},
        "api": {"type": "string", "enum": ["native", "openai"]}
      }
    },
    "auth": {
      "type": "object",
      "properties": {
        "header": {"type": "object", "patternProperties": {"^[a-zA-Z0-9._-]+$": {"type": "string"}}},
        "query": {"type": "object", "patternProperties": {"^[a-zA-Z0-9._-]+$": {"type": "string"}}},
        "gcp": {
          "type": "object",
          "properties": {
            "service_account_json": {"type": "string"},
            "max_ttl": {"type": "integer", "minimum": 1},
            "expire_early_secs": {"type": "integer", "minimum": 0, "default": 60}
          }
        },
        "aws": {
          "type": "object",
          "properties": {
            "access_key_id": {"type": "string", "minLength": 1},
            "secret_access_key": {"type": "string", "minLength": 1},
            "session_token": {"type": "string", "minLength": 1}
          },
          "required": ["access_key_id", "secret_access_key"]
        }
      },
      "additionalProperties": false
    },
    "options": {
      "type": "object",
      "properties": {"model": {"type": "string"}}
    },
    "override": {
      "type": "object",
      "properties": {
        "endpoint": {"type": "string", "minLength": 1},
        "llm_options": {
          "type": "object",
          "properties": {"max_tokens": {"type": "integer", "minimum": 1}},
          "additionalProperties": false
        },
        "request_body": {
          "type": "object",
          "properties": {
            "anthropic-messages": {"type": "object"},
            "bedrock-converse": {"type": "object"},
            "openai-chat": {"type": "object"},
            "openai-embeddings": {"type": "object"},
            "openai-responses": {"type": "object"},
            "passthrough": {"type": "object"}
          },
          "additionalProperties": false
        },
        "request_body_force_override": {"type": "boolean", "default": false}
      }
    }`

// transportSchema is what both proxies have at their top level, with our
// stream_usage.
const transportSchema = `"logging": {
      "type": "object",
      "properties": {
        "summaries": {"type": "boolean", "default": false},
        "payloads": {"type": "boolean", "default": false}
      }
    },
    "timeout": {"type": "integer", "minimum": 1, "maximum": 600000, "default": 30000},
    "max_req_body_size": {"type": "integer", "minimum": 1, "default": 67108864},
    "max_stream_duration_ms": {"type": "integer", "minimum": 1},
    "max_response_bytes": {"type": "integer", "minimum": 1},
    "keepalive": {"type": "boolean", "default": true},
    "keepalive_timeout": {"type": "integer", "minimum": 1000, "default": 60000},
    "keepalive_pool": {"type": "integer", "minimum": 1, "default": 30},
    "streaming_flush_interval_ms": {"type": "integer", "minimum": 0, "default": 10},
    "ssl_verify": {"type": "boolean", "default": true},
    "stream_usage": {"type": "string", "enum": ["relay", "hide"], "default": "relay"}`

// aiProxySchema is APISIX's schema of ai-proxy (ai-proxy.md 1.2).
const aiProxySchema = `{"type": "object", "properties": {` + instanceSchema + `, ` + transportSchema + `}, "required": ["provider", "auth"]}`
