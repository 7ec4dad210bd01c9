package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/bytedance/sonic"

	"headrace/conf"
	"headrace/conf/expr"
	"headrace/conf/schema"
)

// Bound is one plugin as one configuration carries it: the value that serves
// and what its _meta says (gateway.md 1.5).
type Bound struct {
	Spec     *Spec
	Value    any
	Priority int
	Disabled bool
	filter   *expr.Expr
	reply    *Reply // error_response
}

// Meta is the decoded _meta of a plugin's configuration.
type Meta struct {
	Disable       bool            `json:"disable"`
	Priority      *float64        `json:"priority"` // an integer, which JSON may spell 2.0
	Filter        json.RawMessage `json:"filter"`
	ErrorResponse json.RawMessage `json:"error_response"`
}

// Split takes the _meta out of a plugin's configuration and returns the rest.
func Split(raw []byte) (config []byte, meta *Meta, err error) {
	var all map[string]json.RawMessage
	if err := sonic.ConfigStd.Unmarshal(raw, &all); err != nil {
		return nil, nil, fmt.Errorf("wrong type: expected object")
	}
	m, ok := all["_meta"]
	if !ok {
		return raw, &Meta{}, nil
	}
	if _, err := schema.Meta().Check(m); err != nil {
		return nil, nil, fmt.Errorf("property \"_meta\" validation failed: %w", err)
	}
	meta = new(Meta)
	if err := sonic.ConfigStd.Unmarshal(m, meta); err != nil {
		return nil, nil, fmt.Errorf("property \"_meta\" validation failed: %w", err)
	}
	delete(all, "_meta")
	config, err = sonic.ConfigStd.Marshal(all)
	return config, meta, err
}

// Validate checks the configuration of one plugin: the form of _meta, then
// schema, Check and the filter of _meta, in APISIX's order. It returns the
// configuration without _meta and with its defaults filled in. All faults of a
// disabled plugin but those in the form of _meta are tolerated: the
// configuration comes back nil then.
func (s *Spec) Validate(raw []byte) (config []byte, meta *Meta, err error) {
	config, meta, err = Split(raw)
	if err != nil {
		return nil, nil, err
	}
	config, err = s.check(config)
	if err == nil && len(meta.Filter) > 0 {
		if _, err = expr.Compile(meta.Filter); err != nil {
			err = fmt.Errorf("failed to validate the 'vars' expression: %w", err)
		}
	}
	switch {
	case err == nil:
		return config, meta, nil
	case meta.Disable:
		return nil, meta, nil
	}
	return nil, nil, err
}

// check brings a configuration without _meta into today's form, fills in the
// defaults and looks for faults.
func (s *Spec) check(config []byte) ([]byte, error) {
	var err error
	if s.Upgrade != nil {
		if config, err = s.Upgrade(config); err != nil {
			return nil, err
		}
	}
	if s.Schema != nil {
		if config, err = s.Schema.Check(config); err != nil {
			return nil, err
		}
	}
	if s.Check != nil {
		if err = s.Check(config); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// Bind makes the value that serves requests from a configuration that Validate accepts.
func (s *Spec) Bind(raw []byte, env *Env) (*Bound, error) {
	config, meta, err := s.Validate(raw)
	if err != nil {
		return nil, err
	}
	b := &Bound{Spec: s, Priority: s.Priority, Disabled: meta.Disable}
	if meta.Priority != nil {
		b.Priority = int(*meta.Priority)
	}
	if b.Disabled {
		return b, nil
	}
	if len(meta.Filter) > 0 {
		if b.filter, err = expr.Compile(meta.Filter); err != nil {
			return nil, err
		}
	}
	if len(meta.ErrorResponse) > 0 {
		b.reply = errorResponse(meta.ErrorResponse)
	}
	if s.Kind != Builtin { // those of the engine close what cannot be resolved
		config = s.resolved(config, env)
	}
	if b.Value, err = s.New(config, env); err != nil {
		return nil, err
	}
	return b, nil
}

// resolved is config with its references replaced by what they stand for. One
// that leads nowhere stays as it is, with a line in the log (gateway.md 6.1).
func (s *Spec) resolved(config []byte, env *Env) []byte {
	config, _ = conf.ResolveJSON(config, func(ref string) (string, error) {
		v, err := env.Resolve(ref)
		if err != nil {
			env.Log.Error("failed to resolve secret reference", "plugin", s.Name, "owner", env.RouteID, "err", err)
			return ref, nil
		}
		return v, nil
	})
	return config
}

// errorResponse turns _meta.error_response into a body: a string is sent as
// it is, an object as compact JSON with a newline.
func errorResponse(raw json.RawMessage) *Reply {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return &Reply{Text, []byte(text)}
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		panic("BUG: error_response is no JSON")
	}
	b.WriteByte('\n')
	return &Reply{JSON, b.Bytes()}
}

// Runs says whether the plugin takes part in the request: its _meta.filter holds.
func (b *Bound) Runs(c *Ctx) bool { return b.filter == nil || b.filter.Eval(c) }

// Verdict applies _meta.error_response to a refusal of the plugin.
func (b *Bound) Verdict(c *Ctx, v Verdict) Verdict {
	if b.reply != nil && v >= 400 {
		return c.Reply(int(v), b.reply.ContentType, b.reply.Body)
	}
	return v
}

// ErrorResponse is the body that replaces the plugin's own for a status of
// 400 and above, nil if the configuration names none.
func (b *Bound) ErrorResponse() *Reply { return b.reply }
