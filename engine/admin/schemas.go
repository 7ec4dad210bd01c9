package admin

import (
	"slices"
	"strconv"
	"strings"

	"headrace/conf/schema"
	"headrace/engine"
	"headrace/plugin"
)

// pluginVersion is what APISIX says of nearly every plugin of its own.
const pluginVersion = "0.1"

// pluginMark is the $comment of a schema that got _meta added.
const pluginMark = "this is a mark for our injected plugin schema"

// plugins answers below /plugins.
func (c *call) plugins(segs []string) {
	args := c.ctx.QueryArgs()
	name := ""
	if len(segs) > 0 {
		name = segs[0]
	}
	if name == "reload" {
		if c.verb != "PUT" {
			fail(c.ctx, 405, "please use PUT method to reload the plugins, "+c.verb+" method is not allowed.")
			return
		}
		// Plugins are part of the program: there is nothing to load.
		c.ctx.SetBodyString("done")
		return
	}
	if c.verb != "GET" {
		fail(c.ctx, 404, textNoVerb)
		return
	}
	subsystem := "http"
	if s := args.Peek("subsystem"); len(s) > 0 {
		subsystem = string(s)
	}
	known := subsystem == "http" || subsystem == "stream"
	switch {
	case name == "list" && !known:
		c.ctx.SetStatusCode(400)
		c.ctx.SetBodyString("invalid subsystem passed")
	case name == "list":
		b := []byte{'['}
		for i, s := range c.Registry.Specs() {
			if subsystem == "stream" {
				break
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, s.Name)
		}
		reply(c.ctx, 200, append(b, ']'))
	case !known:
		fail(c.ctx, 400, "unsupported subsystem: "+subsystem)
	case string(args.Peek("all")) == "true" && subsystem == "stream":
		reply(c.ctx, 200, []byte("{}"))
	case string(args.Peek("all")) == "true":
		reply(c.ctx, 200, appendPlugins(nil, c.Registry))
	default:
		c.pluginSchema(name, subsystem)
	}
}

func (c *call) pluginSchema(name, subsystem string) {
	spec := c.Registry.Spec(name)
	switch {
	case spec == nil || subsystem != "http":
		fail(c.ctx, 404, "plugin not found in subsystem "+subsystem)
	case string(c.ctx.QueryArgs().Peek("schema_type")) != "consumer":
		reply(c.ctx, 200, appendSpecSchema(nil, spec))
	case spec.Credential != nil:
		reply(c.ctx, 200, slices.Clone(spec.Credential.Schema.JSON()))
	default:
		fail(c.ctx, 400, "not found schema")
	}
}

// schemas answers below /schema.
func (c *call) schemas(segs []string) {
	switch {
	case len(segs) > 1 && segs[0] == "plugins":
		c.plugins(segs[1:])
	case len(segs) > 1 && segs[0] == "validate" && c.verb == "POST":
		c.validateSchema(segs[1])
	case c.verb != "GET":
		fail(c.ctx, 404, textNoVerb)
	default:
		name := ""
		if len(segs) > 0 {
			name = segs[0]
		}
		s := resourceSchema(name)
		if s == nil {
			fail(c.ctx, 400, "not found schema: "+name)
			return
		}
		reply(c.ctx, 200, slices.Clone(s.JSON()))
	}
}

// validateSchema checks a body against the schema of a resource alone:
// plugins and references are not looked at, as in APISIX.
func (c *call) validateSchema(name string) {
	known, s := validated(name)
	switch {
	case !known:
		fail(c.ctx, 404, textNoResource+name)
		return
	case !c.readBody():
		return
	case c.body == nil:
		fail(c.ctx, 400, "missing configurations")
		return
	}
	if s != nil {
		if _, err := s.Check(c.body.append(nil)); err != nil {
			fail(c.ctx, 400, err.Error())
			return
		}
	} else if c.body.kind != '{' {
		fail(c.ctx, 400, "wrong type: expected object, got "+c.body.typeName())
		return
	}
	c.ctx.SetStatusCode(200)
}

// validated finds the schema of a resource by its plural name; those of
// secrets and metadata depend on more than that.
func validated(name string) (known bool, s *schema.Schema) {
	switch res := resourceByName(name); {
	case name == "credentials":
		return true, schema.Resource(credentials.schema)
	case name == "stream_routes" || name == "protos":
		return true, schema.Resource(strings.TrimSuffix(name, "s"))
	case res == nil:
		return false, nil
	case res.schema == "":
		return true, nil
	default:
		return true, schema.Resource(res.schema)
	}
}

// appendPlugins writes what is to be known about every plugin, by name.
func appendPlugins(dst []byte, reg *engine.Registry) []byte {
	dst = append(dst, '{')
	for i, s := range reg.Specs() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, s.Name), `:{"priority":`...)
		dst = strconv.AppendInt(dst, int64(s.Priority), 10)
		dst = append(append(dst, `,"version":`...), pluginVersion...)
		if s.Kind == plugin.Auth {
			dst = append(dst, `,"type":"auth"`...)
		}
		dst = appendSpecSchema(append(dst, `,"schema":`...), s)
		if s.Metadata != nil {
			dst = append(append(dst, `,"metadata_schema":`...), s.Metadata.JSON()...)
		}
		if s.Credential != nil {
			dst = append(append(dst, `,"consumer_schema":`...), s.Credential.Schema.JSON()...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendSpecSchema writes the schema of a plugin's configuration with the
// _meta that every plugin takes.
func appendSpecSchema(dst []byte, s *plugin.Spec) []byte {
	v := &value{kind: '{'}
	if s.Schema != nil {
		v = mustParse(s.Schema.JSON())
	}
	props := v.get("properties")
	if props == nil || props.kind != '{' {
		props = &value{kind: '{'}
		v.set("properties", props)
	}
	if props.get("_meta") == nil {
		props.set("_meta", mustParse(schema.Meta().JSON()))
	}
	v.set("$comment", newString(pluginMark))
	return v.append(dst)
}
