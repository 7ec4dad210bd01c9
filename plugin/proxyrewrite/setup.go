// Package proxyrewrite is the proxy-rewrite plugin: it changes path, method,
// host and headers of a request before anything looks at them (gateway.md 8.8).
package proxyrewrite

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headrace/conf"
	"headrace/conf/pcre"
	"headrace/conf/schema"
	"headrace/driver"
	"headrace/plugin"
)

const name = "proxy-rewrite"

// headerValues is what a header may be set to.
const headerValues = `{
  "type": "object",
  "minProperties": 1,
  "patternProperties": {
    "^[^:]+$": {
      "oneOf": [
        {"type": "string"},
        {"type": "number"},
        {"type": "array", "minItems": 1, "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
      ]
    }
  }
}`

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 1008,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "uri": {"description": "new uri for upstream", "type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^\\/.*"},
    "method": {
      "description": "proxy route method",
      "type": "string",
      "enum": ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND", "LOCK", "UNLOCK", "PATCH", "TRACE"]
    },
    "regex_uri": {
      "description": "new uri that substitute from client uri for upstream, lower priority than uri property",
      "type": "array", "minItems": 2, "items": {"description": "regex uri", "type": "string"}
    },
    "host": {"description": "new host for upstream", "type": "string", "pattern": "^[0-9a-zA-Z-.]+(:\\d{1,5})?$"},
    "headers": {
      "description": "new headers for request",
      "oneOf": [
        {
          "type": "object",
          "minProperties": 1,
          "additionalProperties": false,
          "properties": {
            "add": `+headerValues+`,
            "set": `+headerValues+`,
            "remove": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[^:]+$"}}
          }
        },
        {
          "type": "object",
          "minProperties": 1,
          "patternProperties": {"^[^:]+$": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
        }
      ]
    },
    "use_real_request_uri_unsafe": {
      "description": "use real_request_uri instead, THIS IS VERY UNSAFE.",
      "type": "boolean", "default": false
    }
  },
  "minProperties": 1
}`),
	Check: check,
	New:   newRewrite,
}

type config struct {
	URI     *string         `json:"uri"`
	Method  string          `json:"method"`
	Regex   []string        `json:"regex_uri"`
	Host    string          `json:"host"`
	Headers json.RawMessage `json:"headers"`
	Unsafe  bool            `json:"use_real_request_uri_unsafe"`
}

// check looks for what a schema cannot see. Patterns that are references are
// compiled when they are resolved.
func check(raw []byte) error {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if len(c.Regex)%2 != 0 {
		//lint:ignore ST1005 APISIX's text
		return errors.New("The length of regex_uri should be an even number")
	}
	for i := 0; i < len(c.Regex); i += 2 {
		pattern, with := c.Regex[i], c.Regex[i+1]
		if conf.IsReference(pattern) {
			continue
		}
		if conf.IsReference(with) {
			with = ""
		}
		if _, err := newSubstitution(pattern, with); err != nil {
			return err
		}
	}
	_, err := newEdits(c.Headers)
	return err
}

func newRewrite(raw []byte, env *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	// What a reference stands for was not checked.
	if c.Method != "" && !driver.IsToken([]byte(c.Method)) {
		return nil, errors.New("method is no method")
	}
	if strings.ContainsFunc(c.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' }) {
		return nil, errors.New("host is no host")
	}
	r := &rewrite{unsafe: c.Unsafe, log: env.Log, owner: env.RouteID}
	if c.URI != nil {
		r.uri = newURI(*c.URI)
	}
	for i := 0; i+1 < len(c.Regex); i += 2 {
		s, err := newSubstitution(c.Regex[i], c.Regex[i+1])
		if err != nil {
			return nil, err
		}
		r.regex = append(r.regex, s)
	}
	if c.Host != "" {
		r.host = []byte(c.Host)
	}
	if c.Method != "" {
		r.method = []byte(c.Method)
	}
	var err error
	r.edits, err = newEdits(c.Headers)
	return r, err
}

// substitution is one pair of regex_uri.
type substitution struct {
	re   *pcre.Regexp
	with *pcre.Replacement
}

func newSubstitution(pattern, with string) (s substitution, err error) {
	if s.re, err = pcre.Compile(pattern, "jo"); err == nil {
		s.with, err = pcre.CompileReplacement(with)
	}
	if err != nil {
		err = fmt.Errorf("invalid regex_uri(%s, %s): %w", pattern, with, err)
	}
	return s, err
}
