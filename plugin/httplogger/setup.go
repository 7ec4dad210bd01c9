// Package httplogger is the http-logger plugin: entries of requests, posted in
// batches to an HTTP server (gateway.md 8.7).
package httplogger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/conf/schema"
	"headrace/driver"
	"headrace/plugin"
	"headrace/plugin/logbatch"
	"headrace/plugin/logentry"
)

const name = "http-logger"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 410, Kind: plugin.Log,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "uri": {"type": "string", "pattern": "^[^\\/]+:\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?"},
    "auth_header": {"type": "string"},
    "timeout": {"type": "integer", "minimum": 1, "default": 3},`+logentry.Properties+`,
    "concat_method": {"type": "string", "enum": ["json", "new_line"], "default": "json"},
    "ssl_verify": {"type": "boolean", "default": false},`+logbatch.Properties("http logger")+`
  },
  "required": ["uri"]
}`),
	Metadata: schema.MustCompile(name+" metadata", `{
  "type": "object",
  "properties": {`+logentry.FormatProperties+`,`+logbatch.MetadataProperties+`
  }
}`),
	Secrets: []string{"auth_header"},
	Check:   check,
	New:     newLogger,
}

type config struct {
	logentry.Config
	logbatch.Policy
	URI        string `json:"uri"`
	AuthHeader string `json:"auth_header"`
	Timeout    int    `json:"timeout"`
	Concat     string `json:"concat_method"`
	SSLVerify  bool   `json:"ssl_verify"`
}

func check(raw []byte) error {
	c, err := parse(raw)
	if err != nil {
		return err
	}
	if _, err := c.Compile(); err != nil {
		return err
	}
	if !driver.IsReference(c.URI) {
		if _, err := driver.EndpointPath(c.URI); err != nil {
			return fmt.Errorf("uri: %w", err)
		}
	}
	_, err = driver.NewService(nil, c.service(), unresolved)
	return err
}

// unresolved stands for references where a configuration is only checked, and
// for those that lead nowhere: they must not be sent.
func unresolved(string) (string, error) { return "", errors.New("not resolved") }

func parse(raw []byte) (*config, error) {
	c := new(config)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	c.NoRoute = "no-matched"
	return c, nil
}

// service is the log server.
func (c *config) service() *driver.ServiceConfig {
	s := &driver.ServiceConfig{
		Endpoint: c.URI, Timeout: logbatch.Seconds(c.Timeout), SSLVerify: c.SSLVerify, ContentType: "application/json",
	}
	if c.Concat == "new_line" {
		s.ContentType = "text/plain"
	}
	if c.AuthHeader != "" {
		s.Header = driver.Pairs{{Name: "Authorization", Value: c.AuthHeader}}
	}
	return s
}

const (
	maxBatch = 8 << 20 // bytes
	senders  = 64      // posts under way at a time
)

// batches says how the entries are put together.
func (c *config) batches(key string) logbatch.Options {
	o := logbatch.Options{Policy: c.Policy, Plugin: name, Key: key, MaxBytes: maxBatch, Senders: senders}
	switch {
	case c.MaxSize == 1:
	case c.Concat == "new_line":
		o.Between = "\n"
	default:
		o.Open, o.Between, o.Close = "[", ",", "]"
	}
	return o
}

func newLogger(raw []byte, env *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if err := c.Inherit(env.Metadata(name)); err != nil {
		env.Log.Error(name+" goes without its metadata", "owner", env.RouteID, "err", err)
	}
	format, err := c.Compile()
	if err != nil {
		return nil, err
	}
	svc, err := driver.NewService(env.Wire, c.service(), unresolved)
	if err == nil {
		err = svc.Broken
	}
	if err != nil {
		// A log that cannot be sent must not take its route down.
		env.Log.Error(name+" sends nothing", "owner", env.RouteID, "err", err)
		return struct{}{}, nil
	}
	sum := sha256.Sum256(raw)
	batches, err := logbatch.Open(env, c.batches(hex.EncodeToString(sum[:])), func() (logbatch.Sender, error) { return &sender{svc: svc}, nil })
	if err != nil {
		return nil, err
	}
	return &logger{format, batches}, nil
}
