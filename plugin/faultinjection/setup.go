// Package faultinjection is the fault-injection plugin: it delays requests or
// ends them, to see how clients take it (gateway.md 8.10).
package faultinjection

import (
	"encoding/json"
	"time"

	"headrace/conf/expr"
	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "fault-injection"

// Spec describes the plugin. The maximum of http_status is ours: what is more
// is no status.
var Spec = plugin.Spec{
	Name: name, Priority: 11000,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "abort": {
      "type": "object",
      "properties": {
        "http_status": {"type": "integer", "minimum": 200, "maximum": 599},
        "body": {"type": "string", "minLength": 0},
        "headers": {
          "type": "object",
          "minProperties": 1,
          "patternProperties": {"^[^:]+$": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
        },
        "percentage": {"type": "integer", "minimum": 0, "maximum": 100},
        "vars": {"type": "array", "maxItems": 20, "items": {"type": "array"}}
      },
      "required": ["http_status"]
    },
    "delay": {
      "type": "object",
      "properties": {
        "duration": {"type": "number", "minimum": 0},
        "percentage": {"type": "integer", "minimum": 0, "maximum": 100},
        "vars": {"type": "array", "maxItems": 20, "items": {"type": "array"}}
      },
      "required": ["duration"]
    }
  },
  "minProperties": 1
}`),
	Check: check,
	New:   newFault,
}

type config struct {
	Abort *struct {
		chance
		Status  int                  `json:"http_status"`
		Body    string               `json:"body"`
		Headers plugin.AnswerHeaders `json:"headers"`
	} `json:"abort"`
	Delay *struct {
		chance
		Duration float64 `json:"duration"`
	} `json:"delay"`
}

// chance is which requests a fault is for.
type chance struct {
	Percentage *int              `json:"percentage"` // nil: all
	Vars       []json.RawMessage `json:"vars"`       // nil: all; of none, none
	any        []*expr.Expr
}

func check(raw []byte) error {
	_, err := newFault(raw, nil)
	return err
}

func newFault(raw []byte, _ *plugin.Env) (any, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	f := new(fault)
	if c.Abort != nil {
		if err := c.Abort.compile(); err != nil {
			return nil, err
		}
		f.abort = &abort{c.Abort.chance, c.Abort.Status, plugin.CompileCombination(c.Abort.Body), c.Abort.Headers}
	}
	if c.Delay != nil {
		if err := c.Delay.compile(); err != nil {
			return nil, err
		}
		f.delay = &delay{c.Delay.chance, plugin.Seconds(c.Delay.Duration)}
	}
	return f, nil
}

func (c *chance) compile() error {
	for _, raw := range c.Vars {
		x, err := expr.Compile(raw)
		if err != nil {
			return err
		}
		c.any = append(c.any, x)
	}
	return nil
}

// fault is the plugin of one route.
type fault struct {
	abort *abort // nil: none
	delay *delay // nil: none
}

type abort struct {
	chance
	status  int
	body    *plugin.Combination
	headers plugin.AnswerHeaders
}

type delay struct {
	chance
	d time.Duration
}
