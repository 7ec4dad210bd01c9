package logentry

import (
	"encoding/json"
	"fmt"

	"headrace/conf/expr"
	"headrace/driver"
)

// Config is what every logger says about its entries, decoded from JSON that
// passed a schema with Properties in it.
type Config struct {
	Format      json.RawMessage `json:"log_format"`
	Extra       json.RawMessage `json:"log_format_extra"`
	IncludeReq  bool            `json:"include_req_body"`
	IncludeResp bool            `json:"include_resp_body"`
	ReqExpr     json.RawMessage `json:"include_req_body_expr"`
	RespExpr    json.RawMessage `json:"include_resp_body_expr"`
	MaxReq      int             `json:"max_req_body_bytes"`
	MaxResp     int             `json:"max_resp_body_bytes"`

	// NoRoute is the route_id of a request that met no route; empty: none.
	NoRoute string `json:"-"`
}

// FormatProperties are the members of Config in a JSON schema that plugin
// metadata has too, Properties all of them.
const (
	FormatProperties = `
    "log_format": {"type": "object"},
    "log_format_extra": {"type": "object"}`
	Properties = FormatProperties + `,
    "include_req_body": {"type": "boolean", "default": false},
    "include_req_body_expr": {"type": "array", "minItems": 1, "items": {"type": "array"}},
    "include_resp_body": {"type": "boolean", "default": false},
    "include_resp_body_expr": {"type": "array", "minItems": 1, "items": {"type": "array"}},
    "max_req_body_bytes": {"type": "integer", "minimum": 1, "default": 524288},
    "max_resp_body_bytes": {"type": "integer", "minimum": 1, "default": 524288}`
)

// Inherit fills what c leaves open from the plugin's metadata, which may be nil.
// Where that is faulty, c stays as it is.
func (c *Config) Inherit(metadata []byte) error {
	if metadata == nil {
		return nil
	}
	var m struct {
		Format json.RawMessage `json:"log_format"`
		Extra  json.RawMessage `json:"log_format_extra"`
	}
	err := json.Unmarshal(metadata, &m)
	if err == nil {
		_, err = (&Config{Format: m.Format, Extra: m.Extra}).Compile()
	}
	if err != nil {
		return err
	}
	if c.Format == nil {
		c.Format = m.Format
	}
	if c.Extra == nil {
		c.Extra = m.Extra
	}
	return nil
}

// Compile makes the entry. A log_format replaces the default entry, and
// log_format_extra and include_*_body then mean nothing; otherwise the members
// of log_format_extra are added to it where it has no value of that name.
// Errors are worded as APISIX's.
func (c *Config) Compile() (*Format, error) {
	f := &Format{bodies: bodies{maxReq: min(c.MaxReq, maxShown), maxResp: min(c.MaxResp, maxShown), req: c.IncludeReq, resp: c.IncludeResp}}
	var err error
	if f.bodies.reqIf, err = condition("include_req_body_expr", c.ReqExpr); err != nil {
		return nil, err
	}
	if f.bodies.respIf, err = condition("include_resp_body_expr", c.RespExpr); err != nil {
		return nil, err
	}
	custom, err := f.compile(c.Format, 1)
	if err != nil {
		return nil, fmt.Errorf("log_format: %w", err)
	}
	if len(custom) > 0 {
		f.bodies.req, f.bodies.resp = false, false
		_, err = new(Format).compile(c.Extra, 1)
		f.entry = custom.with(routeMembers)
	} else {
		var extra object
		extra, err = f.compile(c.Extra, 1)
		f.entry = standard(f.bodies.members()).or(extra)
	}
	if err != nil {
		return nil, fmt.Errorf("log_format_extra: %w", err)
	}
	if c.NoRoute != "" {
		f.entry = f.entry.or(object{{key("route_id"), constant(driver.AppendString(nil, []byte(c.NoRoute)))}})
	}
	f.entry = f.entry.with(llmMembers)
	return f, nil
}

// condition compiles an expression that may be absent.
func condition(name string, raw json.RawMessage) (*expr.Expr, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	x, err := expr.Compile(raw)
	if err != nil {
		return nil, fmt.Errorf("failed to validate the '%s' expression: %w", name, err)
	}
	return x, nil
}
