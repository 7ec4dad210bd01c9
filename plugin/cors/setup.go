// Package cors is the cors plugin: it tells browsers which pages may use a
// route (gateway.md 8.5).
package cors

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"headrace/conf/pcre"
	"headrace/conf/schema"
	"headrace/plugin"
)

const name = "cors"

// Spec describes the plugin.
var Spec = plugin.Spec{
	Name: name, Priority: 4000,
	Schema: schema.MustCompile(name, `{
  "type": "object",
  "properties": {
    "allow_origins": {
      "description": "you can use '*' to allow all origins when no credentials,'**' to allow forcefully(it will bring some security risks, be carefully),multiple origin use ',' to split. default: *.",
      "type": "string", "pattern": "`+originsPattern+`", "default": "*"
    },
    "allow_methods": {
      "description": "you can use '*' to allow all methods when no credentials,'**' to allow forcefully(it will bring some security risks, be carefully),multiple method use ',' to split. default: *.",
      "type": "string", "default": "*"
    },
    "allow_headers": {
      "description": "you can use '*' to allow all header when no credentials,'**' to allow forcefully(it will bring some security risks, be carefully),multiple header use ',' to split. default: *.",
      "type": "string", "default": "*"
    },
    "expose_headers": {
      "description": "multiple header use ',' to split.If not specified, no custom headers are exposed.",
      "type": "string"
    },
    "max_age": {
      "description": "maximum number of seconds the results can be cached.-1 means no cached, the max value is depend on browser,more details plz check MDN. default: 5.",
      "type": "integer", "default": 5
    },
    "allow_credential": {
      "description": "allow client append credential. according to CORS specification,if you set this option to 'true', you can not use '*' for other options.",
      "type": "boolean", "default": false
    },
    "allow_origins_by_regex": {
      "type": "array",
      "description": "you can use regex to allow specific origins when no credentials,for example use [.*\\.test.com$] to allow a.test.com and b.test.com",
      "items": {"type": "string", "minLength": 1, "maxLength": 4096}, "minItems": 1, "uniqueItems": true
    },
    "allow_origins_by_metadata": {
      "type": "array",
      "description": "set allowed origins by referencing origins in plugin metadata",
      "items": {"type": "string", "minLength": 1, "maxLength": 4096}, "minItems": 1, "uniqueItems": true
    },
    "timing_allow_origins": {
      "description": "you can use '*' to allow all origins which can view timing information when no credentials,'**' to allow forcefully (it will bring some security risks, be careful),multiple origin use ',' to split. default: nil",
      "type": "string", "pattern": "`+originsPattern+`"
    },
    "timing_allow_origins_by_regex": {
      "type": "array",
      "description": "you can use regex to allow specific origins which can view timing information,for example use [.*\\.test.com] to allow a.test.com and b.test.com",
      "items": {"type": "string", "minLength": 1, "maxLength": 4096}, "minItems": 1, "uniqueItems": true
    }
  }
}`),
	Metadata: schema.MustCompile(name+" metadata", `{
  "type": "object",
  "properties": {
    "allow_origins": {
      "type": "object",
      "additionalProperties": {"type": "string", "pattern": "`+originsPattern+`"}
    }
  }
}`),
	Check: check,
	New:   newCORS,
}

const originsPattern = `^(\\*|\\*\\*|null|\\w+://[^,]+(,\\w+://[^,]+)*)$`

type config struct {
	Origins       string   `json:"allow_origins"`
	Methods       string   `json:"allow_methods"`
	Headers       string   `json:"allow_headers"`
	Expose        string   `json:"expose_headers"`
	MaxAge        int64    `json:"max_age"`
	Credential    bool     `json:"allow_credential"`
	Regex         []string `json:"allow_origins_by_regex"`
	Metadata      []string `json:"allow_origins_by_metadata"`
	TimingOrigins string   `json:"timing_allow_origins"`
	TimingRegex   []string `json:"timing_allow_origins_by_regex"`
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
	if c.Credential && (c.Origins == "*" || c.Methods == "*" || c.Headers == "*" || c.Expose == "*" || c.TimingOrigins == "*") {
		return nil, errors.New("you can not set '*' for other option when 'allow_credential' is true")
	}
	if _, err := compileAll(c.Regex); err != nil {
		return nil, err
	}
	_, err := compileAll(c.TimingRegex)
	return c, err
}

func compileAll(patterns []string) ([]*pcre.Regexp, error) {
	var all []*pcre.Regexp
	for _, p := range patterns {
		re, err := pcre.Compile(p, "j")
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return all, nil
}

func newCORS(raw []byte, env *plugin.Env) (any, error) {
	c, err := parse(raw)
	if err != nil {
		return nil, err
	}
	p := &cors{
		origins: newOrigins(c.Origins), methods: []byte(c.Methods), headers: []byte(c.Headers), expose: []byte(c.Expose),
		maxAge: strconv.AppendInt(nil, c.MaxAge, 10), credential: c.Credential, echoHeaders: c.Headers == "**",
		byMetadata: c.Metadata != nil,
	}
	if c.Methods == "**" {
		p.methods = []byte("GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE")
	}
	if p.regex, err = compileAll(c.Regex); err != nil {
		return nil, err
	}
	if c.TimingOrigins != "" {
		p.timing = newOrigins(c.TimingOrigins)
	}
	if p.timingRegex, err = compileAll(c.TimingRegex); err != nil {
		return nil, err
	}
	p.metadata = named(c.Metadata, env)
	return p, nil
}

// named finds the origins that the metadata has under names. Metadata that is
// faulty counts as not there: it must not take any route down.
func named(names []string, env *plugin.Env) (found []*origins) {
	var m struct {
		Origins map[string]string `json:"allow_origins"`
	}
	if raw := env.Metadata(name); raw != nil && len(names) > 0 {
		if err := json.Unmarshal(raw, &m); err != nil {
			env.Log.Error("cors goes without its metadata", "owner", env.RouteID, "err", err)
		}
	}
	for _, n := range names {
		if list, ok := m.Origins[n]; ok {
			found = append(found, newOrigins(list))
		}
	}
	return found
}

// origins is who may read an answer.
type origins struct {
	any  bool            // "*"
	echo bool            // "**": anybody, by name
	list map[string]bool // these
}

func newOrigins(text string) *origins {
	switch text {
	case "*":
		return &origins{any: true}
	case "**":
		return &origins{echo: true}
	}
	o := &origins{list: map[string]bool{}}
	for one := range strings.SplitSeq(text, ",") {
		if one != "" {
			o.list[one] = true
		}
	}
	return o
}
