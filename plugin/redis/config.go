// Package redis connects plugins with a Redis that several gateways share: a
// single server, the master of a group watched by Sentinels, or a cluster, by
// the fields that APISIX has for them (gateway.md 8.2).
package redis

import "strings"

// The policies that a configuration names.
const (
	Single   = "redis"
	Cluster  = "redis-cluster"
	Sentinel = "redis-sentinel"
)

// Config is the part of a plugin's configuration that says where its Redis is.
// Times are milliseconds.
type Config struct {
	Policy string `json:"policy"`

	Host      string `json:"redis_host,omitempty"`
	Port      int    `json:"redis_port,omitempty"`
	Username  string `json:"redis_username,omitempty"`
	Password  string `json:"redis_password,omitempty"`
	Database  int    `json:"redis_database,omitempty"`
	Timeout   int64  `json:"redis_timeout,omitempty"`
	TLS       bool   `json:"redis_ssl,omitempty"`
	TLSVerify bool   `json:"redis_ssl_verify,omitempty"`

	KeepAlive     int64 `json:"redis_keepalive_timeout,omitempty"`
	KeepAlivePool int   `json:"redis_keepalive_pool,omitempty"`

	Nodes         []string `json:"redis_cluster_nodes,omitempty"`
	Name          string   `json:"redis_cluster_name,omitempty"`
	NodeTLS       bool     `json:"redis_cluster_ssl,omitempty"`
	NodeTLSVerify bool     `json:"redis_cluster_ssl_verify,omitempty"`

	Sentinels        []Address `json:"redis_sentinels,omitempty"`
	Master           string    `json:"redis_master_name,omitempty"`
	Role             string    `json:"redis_role,omitempty"`
	ConnectTimeout   int64     `json:"redis_connect_timeout,omitempty"`
	ReadTimeout      int64     `json:"redis_read_timeout,omitempty"`
	SentinelUsername string    `json:"sentinel_username,omitempty"`
	SentinelPassword string    `json:"sentinel_password,omitempty"`
}

// Address is one Sentinel.
type Address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// Secrets are the paths of the fields that hold credentials, for plugin.Spec.
var Secrets = []string{"redis_password", "sentinel_password"}

// Warn lists what is valid but will not do what its author meant.
func (c *Config) Warn() (warnings []string) {
	if c.Policy == Sentinel && c.Role == "slave" {
		warnings = append(warnings, "redis_role slave: a replica takes no writes unless it is told to, so nothing can be counted there")
	}
	return warnings
}

// Clauses are the members "if", "then" and "else" of a plugin's schema that
// ask for the fields of its policy. extra is put among the properties of the
// policies redis and redis-cluster: `"key_ttl": {...},` or nothing.
func Clauses(extra string, sentinel bool) string {
	last := ""
	if sentinel {
		last = `, "else": {"if": {"properties": {"policy": {"enum": ["redis-sentinel"]}}}, "then": ` + sentinelSchema + `}`
	}
	return strings.ReplaceAll(`"if": {"properties": {"policy": {"enum": ["redis"]}}}, "then": `+singleSchema+`,
  "else": {"if": {"properties": {"policy": {"enum": ["redis-cluster"]}}}, "then": `+clusterSchema+last+`}`, "@EXTRA@", extra)
}

const singleSchema = `{
    "properties": {
      "redis_host": {"type": "string", "minLength": 2},
      "redis_port": {"type": "integer", "minimum": 1, "default": 6379},
      "redis_username": {"type": "string", "minLength": 1},
      "redis_password": {"type": "string", "minLength": 0},
      "redis_database": {"type": "integer", "minimum": 0, "default": 0},
      "redis_timeout": {"type": "integer", "minimum": 1, "default": 1000},
      "redis_ssl": {"type": "boolean", "default": false},
      "redis_ssl_verify": {"type": "boolean", "default": false},
      @EXTRA@
      "redis_keepalive_timeout": {"type": "integer", "minimum": 1000, "default": 10000},
      "redis_keepalive_pool": {"type": "integer", "minimum": 1, "default": 100}
    },
    "required": ["redis_host"]
  }`

const clusterSchema = `{
    "properties": {
      "redis_cluster_nodes": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 2, "maxLength": 100}},
      "redis_password": {"type": "string", "minLength": 0},
      "redis_timeout": {"type": "integer", "minimum": 1, "default": 1000},
      "redis_cluster_name": {"type": "string"},
      "redis_cluster_ssl": {"type": "boolean", "default": false},
      "redis_cluster_ssl_verify": {"type": "boolean", "default": false},
      @EXTRA@
      "redis_keepalive_timeout": {"type": "integer", "minimum": 1000, "default": 10000},
      "redis_keepalive_pool": {"type": "integer", "minimum": 1, "default": 100}
    },
    "required": ["redis_cluster_nodes", "redis_cluster_name"]
  }`

const sentinelSchema = `{
    "properties": {
      "redis_sentinels": {
        "type": "array", "minItems": 1,
        "items": {
          "type": "object",
          "properties": {
            "host": {"type": "string", "minLength": 2},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535}
          },
          "required": ["host", "port"],
          "additionalProperties": false
        }
      },
      "redis_master_name": {"type": "string", "minLength": 1},
      "redis_role": {"type": "string", "enum": ["master", "slave"], "default": "master"},
      "redis_connect_timeout": {"type": "integer", "minimum": 1, "default": 1000},
      "redis_read_timeout": {"type": "integer", "minimum": 1, "default": 1000},
      "redis_keepalive_timeout": {"type": "integer", "minimum": 1, "default": 60000},
      "redis_database": {"type": "integer", "minimum": 0, "default": 0},
      "redis_username": {"type": "string", "minLength": 1},
      "redis_password": {"type": "string", "minLength": 0},
      "sentinel_username": {"type": "string", "minLength": 1},
      "sentinel_password": {"type": "string", "minLength": 0}
    },
    "required": ["redis_sentinels", "redis_master_name"]
  }`
