package engine

import (
	"fmt"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// What is said about the resources that routes and consumers share.

func invalidItem(err error) []Finding {
	return []Finding{{Level: Invalid, Text: "invalid configuration: " + err.Error()}}
}

func (r *Registry) checkService(raw []byte) []Finding {
	checked, err := schema.Resource("service").Check(raw)
	if err != nil {
		return invalidItem(err)
	}
	svc, err := conf.DecodeService(checked)
	if err != nil {
		return invalidItem(err)
	}
	var found []Finding
	if len(svc.Upstream) > 0 {
		found = upstreamFindings(svc.Upstream, true)
	}
	for _, text := range svc.Unsupported() {
		found = append(found, Finding{Level: Invalid, Text: text})
	}
	return append(found, r.checkList(svc.Plugins)...)
}

// checkSet judges a plugin config or a consumer group; the id may be missing
// where the item's own stands in its key.
func (r *Registry) checkSet(name string, it conf.Item) []Finding {
	checked, err := schema.Resource(name).Check(conf.WithID(it.Raw, it.ID))
	if err != nil {
		return invalidItem(err)
	}
	set, err := conf.DecodePluginSet(checked)
	if err != nil {
		return invalidItem(err)
	}
	return r.checkList(set.Plugins)
}

// checkConsumer judges a consumer or a credential. Their auth plugins are
// checked as credentials, all others as those of a route.
func (r *Registry) checkConsumer(it conf.Item) []Finding {
	name := "consumer"
	_, credential := conf.CredentialID(it.ID)
	if credential != "" {
		name = "credential"
	}
	checked, err := schema.Resource(name).Check(it.Raw)
	if err != nil {
		return invalidItem(err)
	}
	c, err := conf.DecodeConsumer(checked)
	if err != nil {
		return invalidItem(err)
	}
	var others conf.PluginList
	var found []Finding
	for _, p := range c.Plugins {
		if !r.isAuth(p.Name) {
			others = append(others, p)
			continue
		}
		if f := r.checkCredential(p); f != nil {
			found = append(found, *f)
		}
	}
	if credential != "" && len(others) > 0 {
		name := others[0].Name
		if _, ok := plugin.Known(name); !ok && r.specs[name] == nil {
			return append(found, unknownPlugin(name))
		}
		return append(found, Finding{Level: Invalid, Field: "plugins", Text: "only supports auth type plugins in consumer credential"})
	}
	return append(found, r.checkList(others)...)
}

func unknownPlugin(name string) Finding {
	return Finding{Invalid, name, "plugins." + name, "unknown plugin [" + name + "]"}
}

// isAuth tells the plugins by which a caller says who it is.
func (r *Registry) isAuth(name string) bool {
	if spec := r.specs[name]; spec != nil {
		return spec.Kind == plugin.Auth
	}
	known, ok := plugin.Known(name)
	return ok && known.Category == plugin.CategoryAuth
}

// checkCredential judges the consumer's side of an auth plugin, nil for
// nothing to say.
func (r *Registry) checkCredential(p conf.Plugin) *Finding {
	field := "plugins." + p.Name
	spec := r.specs[p.Name]
	if spec == nil || spec.Credential == nil {
		return &Finding{Warned, p.Name, field, "plugin " + p.Name + " is not supported: nobody is recognised by it"}
	}
	if _, err := spec.Credential.Validate(p.Conf); err != nil {
		return &Finding{Invalid, p.Name, field, fmt.Sprintf("failed to check the configuration of plugin %s err: %s", p.Name, err)}
	}
	return nil
}
