// Package responserewrite is the response-rewrite plugin: it changes status,
// headers and body of answers (gateway.md 8.9).
package responserewrite

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headrace/conf"
	"headrace/conf/expr"
	"headrace/conf/pcre"
	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "response-rewrite"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 899,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "max_resp_body_size": {
      "type": "integer", "minimum": 1, "default": 67108864,
      "description": "maximum response body size in bytes buffered into memory when filters are applied; larger responses are truncated"
    },
    "headers": {
      "description": "new headers for response",
      "anyOf": [
        {
          "type": "object",
          "minProperties": 1,
          "patternProperties": {"^[^:]+$": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
        },
        {
          "properties": {
            "add": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[^:]+:[^:]*[^/]$"}},
            "set": {
              "type": "object",
              "minProperties": 1,
              "patternProperties": {"^[^:]+$": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
            },
            "remove": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[^:]+$"}}
          }
        }
      ]
    },
    "body": {"description": "new body for response", "type": "string"},
    "body_base64": {"description": "whether new body for response need base64 decode before return", "type": "boolean", "default": false},
    "status_code": {"description": "new status code for response", "type": "integer", "minimum": 200, "maximum": 598},
    "vars": {"type": "array"},
    "filters": {
      "description": "a group of filters that modify response bodyby replacing one specified string by another",
      "type": "array",
      "minItems": 1,
      "items": {
        "description": "filter that modifies response body",
        "type": "object",
        "required": ["regex", "replace"],
        "properties": {
          "regex": {"description": "match pattern on response body", "type": "string", "minLength": 1},
          "scope": {"description": "regex substitution range", "type": "string", "enum": ["once", "global"], "default": "once"},
          "replace": {"description": "regex substitution content", "type": "string"},
          "options": {"description": "regex options", "type": "string", "default": "jo"}
        }
      }
    }
  },
  "dependencies": {
    "body": {"not": {"required": ["filters"]}},
    "filters": {"not": {"required": ["body"]}}
  }
}`),
	Check: check,
	New:   newRewrite,
}

type config struct {
	MaxBody int             `json:"max_resp_body_size"`
	Headers json.RawMessage `json:"headers"`
	Body    *string         `json:"body"`
	Base64  bool            `json:"body_base64"`
	Status  int             `json:"status_code"`
	Vars    json.RawMessage `json:"vars"`
	Filters []struct {
		Regex   string `json:"regex"`
		Scope   string `json:"scope"`
		Replace string `json:"replace"`
		Options string `json:"options"`
	} `json:"filters"`
}

// check looks for what a schema cannot see; a body or a pattern that is a
// reference is looked at when it is resolved.
func check(raw []byte) error {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if c.Body != nil && conf.IsReference(*c.Body) {
		c.Base64 = false
	}
	filters := c.Filters[:0]
	for _, f := range c.Filters {
		if !conf.IsReference(f.Regex) && !conf.IsReference(f.Replace) {
			filters = append(filters, f)
		}
	}
	c.Filters = filters
	_, err := c.compile()
	return err
}

func newRewrite(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	b, err := c.compile()
	if err != nil {
		return nil, err
	}
	if b.replacement == nil && b.filters == nil {
		return &b.rewrite, nil // without a body filter answers are relayed as they come
	}
	b.log, b.owner = env.Log, env.RouteID
	return b, nil
}

func (c *config) compile() (*bodyRewrite, error) {
	b := &bodyRewrite{rewrite: rewrite{status: c.Status}, max: c.MaxBody}
	err := b.compileHeaders(c.Headers)
	if err != nil {
		return nil, err
	}
	if b.replacement, err = c.newBody(); err != nil {
		return nil, err
	}
	if len(c.Vars) > 0 {
		if b.vars, err = expr.Compile(c.Vars); err != nil {
			return nil, fmt.Errorf("failed to validate the 'vars' expression: %w", err)
		}
	}
	for _, f := range c.Filters {
		re, err := pcre.Compile(f.Regex, f.Options)
		if err != nil {
			return nil, fmt.Errorf("regex %q validation failed: %w", f.Regex, err)
		}
		with, err := pcre.CompileReplacement(f.Replace)
		if err != nil {
			return nil, fmt.Errorf("replace %q validation failed: %w", f.Replace, err)
		}
		b.filters = append(b.filters, filter{re, with, f.Scope == "global"})
	}
	return b, nil
}

// newBody is the body in place of the upstream's, nil for none.
func (c *config) newBody() ([]byte, error) {
	switch {
	case !c.Base64 && c.Body == nil:
		return nil, nil
	case !c.Base64:
		return append([]byte{}, *c.Body...), nil
	case c.Body == nil || *c.Body == "":
		return nil, errBase64
	}
	body, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(*c.Body, "="))
	if err != nil {
		return nil, errBase64
	}
	return body, nil
}

var errBase64 = errors.New("invalid base64 content")

// compileHeaders takes an object with add, set and remove, or an object of
// headers to set.
func (r *rewrite) compileHeaders(raw json.RawMessage) error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); len(raw) > 0 && err != nil {
		return err
	}
	verbs := false
	for _, verb := range []string{"add", "set", "remove"} {
		v := top[verb]
		verbs = verbs || len(v) > 0 && (v[0] == '{' || v[0] == '[')
	}
	switch {
	case len(raw) == 0:
		return nil
	case !verbs:
		return json.Unmarshal(raw, &r.set)
	}
	var v struct {
		Add    []string             `json:"add"`
		Set    plugin.AnswerHeaders `json:"set"`
		Remove []string             `json:"remove"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	for _, line := range v.Add {
		name, value, _ := strings.Cut(line, ":")
		if err := r.add.Append(strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")); err != nil {
			return err
		}
	}
	r.set, r.remove = v.Set, v.Remove
	return nil
}
