// Package mocking is the mocking plugin: it answers in the place of the
// upstream, with a given text or one made up for a schema (gateway.md 8.10).
package mocking

import (
	"encoding/json"
	"errors"
	"strings"

	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "mocking"

// Spec describes the plugin. The maximum of response_status is ours: what is
// more is no status, and what is less than 200 is none to end a request with.
var Spec = plugin.Spec{
	Name: name, Priority: 10900,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "delay": {"type": "integer", "default": 0},
    "response_status": {"type": "integer", "default": 200, "minimum": 200, "maximum": 599},
    "content_type": {"type": "string", "default": "application/json;charset=utf8"},
    "response_example": {"type": "string"},
    "response_schema": {"type": "object"},
    "with_mock_header": {"type": "boolean", "default": true},
    "response_headers": {
      "type": "object",
      "minProperties": 1,
      "patternProperties": {"^[^:]+$": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
    }
  },
  "anyOf": [
    {"required": ["response_example"]},
    {"required": ["response_schema"]}
  ]
}`),
	Check: check,
	New:   newMocking,
}

type config struct {
	Delay       float64              `json:"delay"`
	Status      int                  `json:"response_status"`
	ContentType string               `json:"content_type"`
	Example     *string              `json:"response_example"`
	Schema      *property            `json:"response_schema"`
	MockHeader  bool                 `json:"with_mock_header"`
	Headers     plugin.AnswerHeaders `json:"response_headers"`
}

func check(raw []byte) error {
	_, err := parse(raw)
	return err
}

func parse(raw []byte) (*config, error) {
	c := new(config)
	if err := json.Unmarshal(raw, c); err != nil {
		if te := (*json.UnmarshalTypeError)(nil); errors.As(err, &te) {
			err = errors.New("response_schema: a type is one word, properties and items are objects")
		}
		return nil, err
	}
	switch c.mediaType() {
	case "application/xml", "application/json", "text/plain", "text/html", "text/xml":
		return c, nil
	}
	return nil, errType
}

//lint:ignore ST1005 the text is APISIX's
var errType = errors.New("unsupported content type!")

// mediaType is the content type without its parameters.
func (c *config) mediaType() string {
	t, _, _ := strings.Cut(c.ContentType, ";")
	return t
}

func newMocking(raw []byte, env *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	m := &mocking{
		status: c.Status, contentType: []byte(c.ContentType), headers: c.Headers, marked: c.MockHeader,
		delay: plugin.Seconds(c.Delay), schema: c.Schema,
	}
	switch c.mediaType() {
	case "application/json", "text/plain":
		m.write = appendJSON
	case "application/xml", "text/xml":
		m.write = appendXML
	}
	switch {
	case c.Example != nil:
		m.example = plugin.CompileCombination(*c.Example)
	case m.write == nil:
		env.Log.Error("mocking answers without a body: a response_schema is for JSON and XML", "owner", env.RouteID)
	}
	return m, nil
}
