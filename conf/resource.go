package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/bytedance/sonic"
)

// Route is a route object of APISIX 3.18 (gateway.md 1.1), decoded but not
// validated: conf/schema does that. Raw fields point into memory of their own
// and must not be changed.
type Route struct {
	ID              ID                `json:"id"`
	Name            string            `json:"name"`
	Desc            string            `json:"desc"`
	Labels          map[string]string `json:"labels"`
	URI             string            `json:"uri"`
	URIs            []string          `json:"uris"`
	Priority        integer           `json:"priority"`
	Methods         []string          `json:"methods"` // empty: any
	Host            string            `json:"host"`
	Hosts           []string          `json:"hosts"`
	RemoteAddr      string            `json:"remote_addr"`
	RemoteAddrs     []string          `json:"remote_addrs"`
	Vars            json.RawMessage   `json:"vars"`
	FilterFunc      string            `json:"filter_func"`
	Timeout         *Timeout          `json:"timeout"` // ordinary upstreams only
	Plugins         PluginList        `json:"plugins"`
	PluginConfigID  ID                `json:"plugin_config_id"`
	ServiceID       ID                `json:"service_id"`
	Upstream        json.RawMessage   `json:"upstream"`
	UpstreamID      ID                `json:"upstream_id"`
	Script          json.RawMessage   `json:"script"`
	ScriptID        ID                `json:"script_id"`
	EnableWebsocket bool              `json:"enable_websocket"`
	Status          integer           `json:"status"` // 1, or 0: the matcher does not see it
	CreateTime      integer           `json:"create_time"`
	UpdateTime      integer           `json:"update_time"`
}

// Timeout is in seconds.
type Timeout struct {
	Connect float64 `json:"connect"`
	Send    float64 `json:"send"`
	Read    float64 `json:"read"`
}

// GlobalRule holds plugins that run for every request.
type GlobalRule struct {
	ID         ID         `json:"id"`
	Plugins    PluginList `json:"plugins"`
	CreateTime integer    `json:"create_time"`
	UpdateTime integer    `json:"update_time"`
}

// ID is an id in the form of a string; the JSON may hold an integer.
type ID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *ID) UnmarshalJSON(b []byte) error {
	if t := jsonType(b); t == "string" {
		*id = ID(unquote(b))
		return nil
	} else if t == "null" {
		return nil
	}
	if _, err := strconv.ParseUint(string(b), 10, 63); err != nil {
		return errors.New("expected string or integer")
	}
	*id = ID(b)
	return nil
}

// Plugin is a plugin's name and its configuration as it was written.
type Plugin struct {
	Name string
	Conf json.RawMessage
}

// PluginList is an object of plugins in the order of the document.
type PluginList []Plugin

// UnmarshalJSON implements json.Unmarshaler. Of a name that is there twice the
// last one counts, as for every JSON reader.
func (l *PluginList) UnmarshalJSON(b []byte) error {
	switch jsonType(b) {
	case "null":
		return nil
	case "object":
	default:
		return errors.New("expected object")
	}
	b = append([]byte(nil), b...)
	*l = (*l)[:0]
	members(b, 0, func(name string, start, end int) {
		for i := range *l {
			if (*l)[i].Name == name {
				(*l)[i].Conf = b[start:end:end]
				return
			}
		}
		*l = append(*l, Plugin{name, b[start:end:end]})
	})
	return nil
}

// Get returns the configuration of a plugin, nil if it is not there.
func (l PluginList) Get(name string) json.RawMessage {
	for _, p := range l {
		if p.Name == name {
			return p.Conf
		}
	}
	return nil
}

// DecodeRoute decodes a stored route. The error names every field whose type
// is wrong; unknown fields are the schema's business.
func DecodeRoute(raw []byte) (*Route, error) {
	r := &Route{Status: 1}
	if err := decode(raw, r); err != nil {
		return nil, fmt.Errorf("cannot decode route: %w", err)
	}
	return r, nil
}

// DecodeGlobalRule decodes a stored global rule, as DecodeRoute does.
func DecodeGlobalRule(raw []byte) (*GlobalRule, error) {
	g := &GlobalRule{}
	if err := decode(raw, g); err != nil {
		return nil, fmt.Errorf("cannot decode global rule: %w", err)
	}
	return g, nil
}

// decode keeps to the fast path and looks for the field only if that fails:
// sonic's errors quote the input, which may hold keys of providers.
func decode(raw []byte, v any) error {
	if len(raw) > 0 && raw[skipBlanks(raw, 0)%len(raw)] == '{' && sonic.Unmarshal(raw, v) == nil {
		return nil
	}
	if !json.Valid(raw) {
		return errors.New("it is no valid JSON")
	}
	i := skipBlanks(raw, 0)
	if raw[i] != '{' {
		return fmt.Errorf("wrong type: expected object, got %s", jsonType(raw[i:]))
	}
	var errs []error
	members(raw, i, func(key string, start, end int) {
		val := raw[start:end]
		one := append(append(appendString([]byte{'{'}, key), ':'), val...)
		err := json.Unmarshal(append(one, '}'), v)
		if err == nil {
			return
		}
		reason := err.Error()
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			reason = fmt.Sprintf("expected %s, got %s", typeWord(te.Type.String()), gotWord(te.Value))
		} else {
			reason += ", got " + jsonType(val)
		}
		errs = append(errs, fmt.Errorf("property %q validation failed: wrong type: %s", key, reason))
	})
	if len(errs) == 0 {
		return errors.New("it cannot be decoded")
	}
	return errors.Join(errs...)
}

func typeWord(t string) string {
	switch {
	case t == "bool":
		return "boolean"
	case t == "float64":
		return "number"
	case t == "string":
		return "string"
	case len(t) > 1 && t[0] == '[':
		return "array"
	}
	return "object"
}

// gotWord cuts the literal that encoding/json adds to "number".
func gotWord(v string) string {
	for i := range len(v) {
		if v[i] == ' ' {
			v = v[:i]
			break
		}
	}
	if v == "bool" {
		return "boolean"
	}
	return v
}

// Enabled reports whether the matcher sees the route.
func (r *Route) Enabled() bool { return r.Status != 0 }

// AIProxy reports whether an AI proxy plugin answers: then an upstream has no effect.
func (r *Route) AIProxy() bool {
	return r.Plugins.Get("ai-proxy") != nil || r.Plugins.Get("ai-proxy-multi") != nil
}

// HasVars reports whether the route asks for anything of variables.
func (r *Route) HasVars() bool { return !isEmptyJSON(r.Vars) }

// Unsupported lists what the route asks for and this version cannot honour.
// Such a route is refused: to ignore a condition would let requests through
// that it was written to keep out.
func (r *Route) Unsupported() []string {
	var out []string
	if r.FilterFunc != "" {
		out = append(out, "filter_func is not supported: it needs a Lua runtime; use vars instead")
	}
	if !isEmptyJSON(r.Script) {
		out = append(out, "script is not supported: it needs a Lua runtime")
	}
	if r.ScriptID != "" {
		out = append(out, "script_id is not supported: it needs a Lua runtime")
	}
	return out
}

// isEmptyJSON reports whether raw asks for nothing: absent, null, [], {} or "".
func isEmptyJSON(raw []byte) bool {
	switch {
	case isAbsent(raw):
		return true
	case raw[0] == '[' || raw[0] == '{':
		i := skipBlanks(raw, 1)
		return i == len(raw)-1
	}
	return string(raw) == `""`
}
