package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// Registry is the set of plugins that this build knows, those built into the
// engine among them. It is immutable.
type Registry struct {
	specs  map[string]*plugin.Spec
	sorted []*plugin.Spec // by priority, high to low
	off    map[string]bool
	skip   bool // names that nobody knows are left out with a warning
}

// NewRegistry joins the given plugins with the engine's own. enabled says which
// of them the process configuration allows; nil means all.
func NewRegistry(specs []plugin.Spec, enabled func(name string) bool) *Registry {
	r := &Registry{specs: make(map[string]*plugin.Spec), off: map[string]bool{}}
	for _, s := range slices.Concat(builtins, specs) {
		if enabled != nil && !enabled(s.Name) {
			r.off[s.Name] = true
			continue
		}
		r.specs[s.Name] = &s
		r.sorted = append(r.sorted, &s)
	}
	slices.SortStableFunc(r.sorted, func(a, b *plugin.Spec) int { return b.Priority - a.Priority })
	return r
}

// skipping returns a registry that leaves out what Options.SkipUnknown says.
func (r *Registry) skipping(skip bool) *Registry {
	c := *r
	c.skip = skip
	return &c
}

// Spec returns the plugin with that name, nil if this build has none.
func (r *Registry) Spec(name string) *plugin.Spec { return r.specs[name] }

// Specs returns all plugins by priority, high to low.
func (r *Registry) Specs() []*plugin.Spec { return r.sorted }

// Level says what a finding means for the item that it was found in.
type Level uint8

// The levels. An item with an Invalid finding does not exist; one with a
// Refused finding is known but answers 503, because a plugin that guards it
// is missing here; Warned changes nothing (architecture.md 13, ruling 13).
const (
	Warned Level = iota
	Refused
	Invalid
)

// Finding is one thing to say about an item.
type Finding struct {
	Level  Level
	Plugin string // "" when it is not about a plugin
	Field  string
	Text   string
}

// Late says whether it is about what APISIX looks at behind the references to
// other items: plugins, then conditions and code (gateway.md 3.5).
func (f *Finding) Late() bool {
	switch f.Field {
	case "vars", "filter_func", "script", "script_id":
		return true
	}
	return f.Plugin != ""
}

// worst returns the first finding of the highest level at or above min, nil if there is none.
func worst(fs []Finding, min Level) *Finding {
	for l := Invalid; l >= min; l-- {
		for i := range fs {
			if fs[i].Level == l {
				return &fs[i]
			}
		}
		if l == 0 {
			break
		}
	}
	return nil
}

// CheckRoute validates a route as the Admin API and every source do
// (gateway.md 3.5). The route is nil when it cannot be decoded at all.
func (r *Registry) CheckRoute(raw []byte) (*conf.Route, []Finding) {
	invalid := func(text string) []Finding { return []Finding{{Level: Invalid, Text: text}} }
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, invalid("invalid configuration: wrong type: expected object")
	}
	if top["host"] != nil && top["hosts"] != nil {
		return nil, invalid("only one of host or hosts is allowed")
	}
	if top["remote_addr"] != nil && top["remote_addrs"] != nil {
		return nil, invalid("only one of remote_addr or remote_addrs is allowed")
	}
	checked, err := schema.Resource("route").Check(raw)
	if err != nil {
		return nil, invalid("invalid configuration: " + err.Error())
	}
	rt, err := conf.DecodeRoute(checked)
	if err != nil {
		return nil, invalid("invalid configuration: " + err.Error())
	}
	var found []Finding
	if top["upstream"] != nil {
		found = upstreamFindings(rt.Upstream, !rt.AIProxy())
	}
	found = append(found, r.CheckPlugins(top["plugins"])...)
	found = append(found, conditionFindings(rt)...)
	for _, text := range rt.Unsupported() {
		field, _, _ := strings.Cut(text, " ")
		found = append(found, Finding{Level: Invalid, Field: field, Text: text})
	}
	return rt, found
}

// CheckPlugins validates the plugins object of any resource.
func (r *Registry) CheckPlugins(raw json.RawMessage) []Finding {
	if len(raw) == 0 {
		return nil
	}
	var plugins conf.PluginList
	if err := plugins.UnmarshalJSON(raw); err != nil {
		return []Finding{{Level: Invalid, Field: "plugins", Text: "invalid configuration: property \"plugins\" validation failed: " + err.Error()}}
	}
	return r.checkList(plugins)
}

// checkList is CheckPlugins for plugins that were taken apart.
func (r *Registry) checkList(plugins conf.PluginList) (found []Finding) {
	proxies := 0
	for _, m := range plugins {
		name := m.Name
		if name == aiProxyName || name == aiProxyMultiName {
			proxies++
		}
		field := "plugins." + name
		spec := r.specs[name]
		if spec == nil {
			if _, meta, err := plugin.Split(m.Conf); err == nil && meta.Disable {
				continue // it would not run in APISIX either
			}
			known, ok := plugin.Known(name)
			switch {
			case r.skip && r.off[name] && !known.Refuse():
				found = append(found, Finding{Warned, name, field, "plugin " + name + " is not in the list of enabled plugins and is left out"})
			case r.off[name]:
				found = append(found, Finding{Refused, name, field, "plugin " + name + " is not in the list of enabled plugins"})
			case !ok && r.skip:
				found = append(found, Finding{Warned, name, field, "unknown plugin [" + name + "] is left out"})
			case !ok:
				found = append(found, unknownPlugin(name))
			case known.Lua():
				found = append(found, Finding{Invalid, name, field, "plugin " + name + " is not supported: it needs a Lua runtime"})
			case known.Refuse():
				found = append(found, Finding{Refused, name, field, "plugin " + name + " is not supported yet and must not be left out"})
			default:
				found = append(found, Finding{Warned, name, field, "plugin " + name + " is not supported yet and has no effect"})
			}
			continue
		}
		if _, _, err := spec.Validate(m.Conf); err != nil {
			found = append(found, Finding{Invalid, name, field,
				fmt.Sprintf("failed to check the configuration of plugin %s err: %s", name, err)})
			continue
		}
		if spec.Warn != nil {
			for _, w := range spec.Warn(m.Conf) {
				found = append(found, Finding{Warned, name, field, w})
			}
		}
	}
	if proxies > 1 {
		found = append(found, Finding{Level: Invalid, Field: "plugins", Text: "only one of ai-proxy and ai-proxy-multi is allowed"})
	}
	return found
}

// CheckItem validates an item of any kind that this version serves. The error
// text is what the log says about an item that is left out.
func (r *Registry) CheckItem(it conf.Item) []Finding {
	switch it.Kind {
	case conf.Routes:
		_, found := r.CheckRoute(it.Raw)
		return found
	case conf.Upstreams:
		checked, err := schema.Resource("upstream").Check(it.Raw)
		if err != nil {
			return []Finding{{Level: Invalid, Text: "invalid configuration: " + err.Error()}}
		}
		return upstreamFindings(checked, true)
	case conf.GlobalRules:
		checked, err := schema.Resource("global_rule").Check(it.Raw)
		if err != nil {
			return []Finding{{Level: Invalid, Text: "invalid configuration: " + err.Error()}}
		}
		var top struct{ Plugins json.RawMessage }
		if err := json.Unmarshal(checked, &top); err != nil {
			return []Finding{{Level: Invalid, Text: "invalid configuration: " + err.Error()}}
		}
		return r.CheckPlugins(top.Plugins)
	case conf.Services:
		return r.checkService(it.Raw)
	case conf.PluginConfigs:
		return r.checkSet("plugin_config", it)
	case conf.ConsumerGroups:
		return r.checkSet("consumer_group", it)
	case conf.Consumers:
		return r.checkConsumer(it)
	case conf.PluginMetadata:
		spec := r.specs[it.ID]
		if spec == nil || spec.Metadata == nil {
			if _, ok := plugin.Known(it.ID); ok || spec != nil || r.skip {
				return []Finding{{Level: Warned, Text: "metadata of plugin " + it.ID + " has no effect"}}
			}
			return []Finding{{Level: Invalid, Text: "invalid plugin name"}}
		}
		if _, err := spec.Metadata.Check(it.Raw); err != nil {
			return []Finding{{Level: Invalid, Text: "invalid configuration: " + err.Error()}}
		}
		return nil
	case conf.SSLs:
		return checkSSL(it.Raw)
	case conf.Secrets:
		return checkSecret(it)
	case conf.Plugins:
		if !json.Valid(it.Raw) {
			return []Finding{{Level: Invalid, Text: "invalid configuration: wrong type: expected array"}}
		}
		return nil
	}
	return []Finding{{Level: Warned, Text: strings.ReplaceAll(it.Kind.String(), "_", " ") + " are not supported yet and have no effect"}}
}
