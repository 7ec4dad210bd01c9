// Package kafkalogger is the kafka-logger plugin: entries of requests, sent in
// batches to a topic of Kafka (gateway.md 8.7).
package kafkalogger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"headrace/conf/schema"
	"headrace/driver"
	"headrace/plugin"
	"headrace/plugin/logbatch"
	"headrace/plugin/logentry"
)

const name = "kafka-logger"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 403, Kind: plugin.Log,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "meta_format": {"type": "string", "enum": ["default", "origin"], "default": "default"},
    "broker_list": {"type": "object", "minProperties": 1, "patternProperties": {".*": {"type": "integer", "minimum": 1, "maximum": 65535}}},
    "brokers": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {
      "type": "object",
      "properties": {
        "host": {"type": "string"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "sasl_config": {
          "type": "object",
          "properties": {
            "mechanism": {"type": "string", "enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "default": "PLAIN"},
            "user": {"type": "string"},
            "password": {"type": "string"}
          },
          "required": ["user", "password"]
        }
      },
      "required": ["host", "port"]
    }},
    "tls": {"type": "object", "properties": {"verify": {"type": "boolean", "default": false}}},
    "kafka_topic": {"type": "string"},
    "key": {"type": "string"},
    "producer_type": {"type": "string", "enum": ["async", "sync"], "default": "async"},
    "required_acks": {"type": "integer", "enum": [1, -1], "default": 1},
    "timeout": {"type": "integer", "minimum": 1, "default": 3},
    "cluster_name": {"type": "integer", "minimum": 1, "default": 1},
    "producer_batch_num": {"type": "integer", "minimum": 1, "default": 200},
    "producer_batch_size": {"type": "integer", "minimum": 0, "default": 1048576},
    "producer_max_buffering": {"type": "integer", "minimum": 1, "default": 50000},
    "producer_time_linger": {"type": "integer", "minimum": 1, "default": 1},
    "meta_refresh_interval": {"type": "integer", "minimum": 1, "default": 30},
    "api_version": {"type": "integer", "enum": [0, 1, 2], "default": 1},`+logentry.Properties+`,`+logbatch.Properties("kafka logger")+`
  },
  "oneOf": [{"required": ["broker_list", "kafka_topic"]}, {"required": ["brokers", "kafka_topic"]}]
}`),
	Metadata: schema.MustCompile(name+" metadata", `{
  "type": "object",
  "properties": {`+logentry.FormatProperties+`,`+logbatch.MetadataProperties+`
  }
}`),
	Secrets: []string{"brokers.sasl_config.password"},
	Check:   check,
	Warn:    warnings,
	New:     newLogger,
}

type config struct {
	logentry.Config
	logbatch.Policy
	cluster
	MetaFormat string  `json:"meta_format"`
	Topic      string  `json:"kafka_topic"`
	Key        *string `json:"key"`
	BatchSize  int     `json:"producer_batch_size"`
}

// cluster is what connections depend on: configurations that agree in it share
// them.
type cluster struct {
	Brokers    []broker       `json:"brokers"`
	BrokerList map[string]int `json:"broker_list"`
	TLS        *struct {
		Verify bool `json:"verify"`
	} `json:"tls"`
	Acks         int `json:"required_acks"`
	Timeout      int `json:"timeout"` // seconds
	MaxBuffering int `json:"producer_max_buffering"`
	Refresh      int `json:"meta_refresh_interval"` // seconds
}

type broker struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	SASL *login `json:"sasl_config"`
}

type login struct {
	Mechanism string `json:"mechanism"`
	User      string `json:"user"`
	Password  string `json:"password"`
}

// addresses are where the cluster is asked for its brokers.
func (c *cluster) addresses() (list []string) {
	for _, b := range c.Brokers {
		list = append(list, net.JoinHostPort(b.Host, strconv.Itoa(b.Port)))
	}
	for _, host := range slices.Sorted(maps.Keys(c.BrokerList)) {
		list = append(list, net.JoinHostPort(host, strconv.Itoa(c.BrokerList[host])))
	}
	return list
}

// login is the first sasl_config: which broker a client talks to is up to the
// cluster, not to the configuration.
func (c *cluster) login() *login {
	for _, b := range c.Brokers {
		if b.SASL != nil {
			return b.SASL
		}
	}
	return nil
}

// unresolved names a field whose reference led nowhere, "" if there is none:
// it must not be sent in place of what it stands for.
func (c *config) unresolved() string {
	fields := map[string]string{"kafka_topic": c.Topic}
	for _, b := range c.Brokers {
		fields["brokers.host"] = b.Host
		if b.SASL != nil {
			fields["brokers.sasl_config.user"], fields["brokers.sasl_config.password"] = b.SASL.User, b.SASL.Password
		}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if driver.IsReference(fields[field]) {
			return field
		}
	}
	return ""
}

func parse(raw []byte) (*config, error) {
	c := new(config)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if c.MetaFormat == "origin" {
		c.IncludeResp = false // there is no place for it
	}
	return c, nil
}

func check(raw []byte) error {
	c, err := parse(raw)
	if err != nil {
		return err
	}
	if _, err := c.Compile(); err != nil {
		return err
	}
	if c.Topic == "" {
		return fmt.Errorf("kafka_topic must not be empty")
	}
	return nil
}

// warnings are about what the cluster decides here and lua-resty-kafka does not.
func warnings(raw []byte) (list []string) {
	var c cluster
	if json.Unmarshal(raw, &c) != nil {
		return nil // the schema says it better
	}
	first := c.login()
	for _, b := range c.Brokers {
		if first != nil && (b.SASL == nil || *b.SASL != *first) {
			list = append(list, "brokers differ in sasl_config: the first one is used for all of them")
			break
		}
	}
	return list
}

// framing is what a message may have around the entries that Kafka counts, too.
const framing = 1 << 10

const senders = 256 // messages under way at a time, from one configuration

// batches says how entries are put together. A batch is one message: it stays
// below producer_batch_size, whose default is what brokers take by theirs.
func (c *config) batches(key string) logbatch.Options {
	o := logbatch.Options{Policy: c.Policy, Plugin: name, Key: key, Senders: senders}
	if o.MaxBytes = c.BatchSize - framing; o.MaxBytes <= 0 {
		o.MaxBytes = 1<<20 - framing
	}
	o.MaxBytes = min(o.MaxBytes, maxMessage/2)
	if c.MaxSize > 1 {
		o.Open, o.Between, o.Close = "[", ",", "]"
	}
	return o
}

func newLogger(raw []byte, env *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if c.MetaFormat == "origin" {
		c.Format, c.Extra = nil, nil
	} else if err := c.Inherit(env.Metadata(name)); err != nil {
		env.Log.Error(name+" goes without its metadata", "owner", env.RouteID, "err", err)
	}
	l := &logger{origin: c.MetaFormat == "origin", quote: c.MaxSize > 1}
	if l.Format, err = c.Compile(); err != nil {
		return nil, err
	}
	if field := c.unresolved(); field != "" {
		// A log that cannot be sent must not take its route down.
		env.Log.Error(name+" sends nothing: a reference cannot be resolved", "owner", env.RouteID, "field", field)
		return struct{}{}, nil
	}
	p, err := openProducer(env, &c.cluster)
	if err != nil {
		env.Log.Error(name+" sends nothing", "owner", env.RouteID, "err", err)
		return struct{}{}, nil
	}
	l.batches, err = logbatch.Open(env, c.batches(digest(raw)), func() (logbatch.Sender, error) {
		p.retain()
		s := &sender{producer: p, topic: c.Topic}
		if c.Key != nil {
			s.key = []byte(*c.Key) // not nil, though it may be empty
		}
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// digest stands for a configuration in names, and shows nothing of it.
func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
