// Package filelogger is the file-logger plugin: one JSON line per request in
// a file (gateway.md 8.7).
package filelogger

import (
	"encoding/json"
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
    "path": {"type": "string", "minLength": 1},`+logentry.Properties+`,
    "match": {"type": "array", "minItems": 1}
  }
}`),
	Metadata: schema.MustCompile("file-logger metadata", `{
  "type": "object",
  "properties": {
    "path": {"type": "string", "minLength": 1},`+logentry.FormatProperties+`
  }
}`),
	Check: check,
	New:   newLogger,
}

type config struct {
	logentry.Config
	Path  string            `json:"path"`
	Match []json.RawMessage `json:"match"`
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
	if _, err := c.Compile(); err != nil {
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
	if l.Format, err = c.Compile(); err != nil {
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
	var m struct {
		Path string `json:"path"`
	}
	err := json.Unmarshal(raw, &m)
	if err == nil {
		err = c.Inherit(raw)
	}
	if err != nil {
		env.Log.Error("file-logger goes without its metadata", "owner", env.RouteID, "err", err)
		return
	}
	if c.Path == "" {
		c.Path = m.Path
	}
}
