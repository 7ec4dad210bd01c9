// Package filelogger is the file-logger plugin: one JSON line per request in
// a file (gateway.md 8.7).
package filelogger

import (
	"encoding/json"
	"errors"
	"fmt"

	"headrace/conf/expr"
	"headrace/conf/schema"
	"headrace/plugin"
	"headrace/plugin/logentry"
	"headrace/plugin/logfile"
)

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: "file-logger", Priority: 399, Kind: plugin.Log,
	Schema: schema.MustCompile("file-logger", `{
  "type": "object",
  "properties": {
    "path": {"type": "string", "minLength": 1},
    "log_format": {"type": "object"},
    "log_format_extra": {"type": "object"},
    "include_req_body": {"type": "boolean", "default": false},
    "include_req_body_expr": {"type": "array", "minItems": 1},
    "include_resp_body": {"type": "boolean", "default": false},
    "include_resp_body_expr": {"type": "array", "minItems": 1},
    "max_req_body_bytes": {"type": "integer", "minimum": 1, "default": 524288},
    "max_resp_body_bytes": {"type": "integer", "minimum": 1, "default": 524288},
    "match": {"type": "array", "minItems": 1}
  }
}`),
	Metadata: schema.MustCompile("file-logger metadata", `{
  "type": "object",
  "properties": {
    "path": {"type": "string", "minLength": 1},
    "log_format": {"type": "object"},
    "log_format_extra": {"type": "object"}
  }
}`),
	Check: check,
	New:   newLogger,
}

type config struct {
	Path        string            `json:"path"`
	Format      json.RawMessage   `json:"log_format"`
	Extra       json.RawMessage   `json:"log_format_extra"`
	IncludeReq  bool              `json:"include_req_body"`
	IncludeResp bool              `json:"include_resp_body"`
	ReqExpr     json.RawMessage   `json:"include_req_body_expr"`
	RespExpr    json.RawMessage   `json:"include_resp_body_expr"`
	Match       []json.RawMessage `json:"match"`
}

func check(raw []byte) error {
	_, err := parse(raw)
	return err
}

func parse(raw []byte) (*config, error) {
	c := new(config)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	for _, m := range c.Match {
		if _, err := expr.Compile(m); err != nil {
			return nil, fmt.Errorf("failed to validate the 'match' expression: %w", err)
		}
	}
	if c.IncludeReq || c.IncludeResp || c.ReqExpr != nil || c.RespExpr != nil {
		return nil, errors.New("include_req_body and include_resp_body are not supported yet: use logging.payloads of ai-proxy")
	}
	if _, err := logentry.Compile(c.Format, c.Extra); err != nil {
		return nil, err
	}
	return c, nil
}

func newLogger(raw []byte, env *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	c.inherit(env)
	if c.Path == "" {
		env.Log.Error("file-logger writes nothing: no path in the plugin or in its metadata", "owner", env.RouteID)
		return struct{}{}, nil
	}
	l := new(logger)
	if l.entry, err = logentry.Compile(c.Format, c.Extra); err != nil {
		return nil, err
	}
	for _, m := range c.Match {
		x, err := expr.Compile(m)
		if err != nil {
			return nil, err
		}
		l.match = append(l.match, x)
	}
	file, err := env.State("file-logger:"+c.Path, func() (any, error) {
		return logfile.Open(c.Path, logfile.Options{Buffer: 1, Log: env.Log})
	})
	if err != nil {
		// A log that cannot be written must not take its route down.
		env.Log.Error("file-logger writes nothing", "owner", env.RouteID, "err", err)
		return struct{}{}, nil
	}
	l.file = file.(*logfile.File)
	return l, nil
}

// inherit fills what c leaves open from the plugin's metadata. Metadata that
// is faulty counts as not there: it must not take any route down.
func (c *config) inherit(env *plugin.Env) {
	raw := env.Metadata("file-logger")
	if raw == nil {
		return
	}
	var m config
	err := json.Unmarshal(raw, &m)
	if err == nil {
		_, err = logentry.Compile(m.Format, m.Extra)
	}
	if err != nil {
		env.Log.Error("file-logger goes without its metadata", "owner", env.RouteID, "err", err)
		return
	}
	if c.Path == "" {
		c.Path = m.Path
	}
	if c.Format == nil {
		c.Format = m.Format
	}
	if c.Extra == nil {
		c.Extra = m.Extra
	}
}
