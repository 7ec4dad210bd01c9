// Package requestid is the request-id plugin: it gives a request an id that
// the upstream, the logs and the client get (gateway.md 8.6).
package requestid

import (
	"encoding/json"
	"errors"
	"strings"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/driver"
	"headrace/plugin"
)

const name = "request-id"

// Spec describes the plugin. The letters of the default char_set are APISIX's,
// with a G twice; the maximum of length is ours.
var Spec = plugin.Spec{
	Name: name, Priority: 12015,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "header_name": {"type": "string", "default": "X-Request-Id"},
    "include_in_response": {"type": "boolean", "default": true},
    "algorithm": {"type": "string", "enum": ["uuid", "nanoid", "range_id", "ksuid", "uuidv7"], "default": "uuid"},
    "range_id": {
      "type": "object",
      "properties": {
        "length": {"type": "integer", "minimum": 6, "maximum": 1024, "default": 16},
        "char_set": {"type": "string", "minLength": 6, "default": "`+letters+`"}
      },
      "default": {"length": 16, "char_set": "`+letters+`"}
    }
  }
}`),
	Check: check,
	New:   newRequestID,
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIGKLMNOPQRSTUVWXYZ0123456789"

type config struct {
	Header    string `json:"header_name"`
	Respond   bool   `json:"include_in_response"`
	Algorithm string `json:"algorithm"`
	Range     struct {
		Length  int    `json:"length"`
		CharSet string `json:"char_set"`
	} `json:"range_id"`
}

func check(raw []byte) error {
	_, err := parse(raw)
	return err
}

var errHeader = errors.New("header_name is not the name of a header")

func parse(raw []byte) (*config, error) {
	c := new(config)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if !conf.IsReference(c.Header) && !driver.IsToken([]byte(c.Header)) {
		return nil, errHeader
	}
	return c, nil
}

func newRequestID(raw []byte, _ *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if conf.IsReference(c.Header) {
		return nil, errHeader
	}
	r := &requestID{header: c.Header, respond: c.Respond, key: key(strings.ToLower(c.Header))}
	switch c.Algorithm {
	case "uuid":
		r.append = appendUUID
	case "uuidv7":
		r.append = appendUUIDv7
	case "nanoid":
		r.append = appendNanoID
	case "ksuid":
		r.append = appendKSUID
	case "range_id":
		if c.Range.Length <= 0 || c.Range.CharSet == "" {
			return nil, errors.New("range_id needs a length and a char_set")
		}
		r.append = func(dst []byte) []byte { return appendRange(dst, c.Range.CharSet, c.Range.Length) }
	default: // a reference to something else
		return nil, errors.New("unknown algorithm")
	}
	return r, nil
}
