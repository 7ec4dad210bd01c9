package admin

import (
	"strconv"
	"strings"

	"headrace/conf"
	"headrace/engine"
	"headrace/plugin"
)

// hide takes out what nobody gets back.
func (r *resource) hide(v *value) {
	for _, name := range r.hidden {
		v.remove(name)
	}
}

// maskValue puts the mask in place of every secret.
func maskValue(reg *engine.Registry, res *resource, v *value) {
	secrets(reg, res, v, func(_ string, at *value) { *at = *newString(mask) })
}

// maskItem returns an item in force as one may see it who showed no key.
func maskItem(reg *engine.Registry, it conf.Item) []byte {
	res := resourceOf(it.Kind, it.ID)
	v := mustParse(it.Raw)
	res.hide(v)
	maskValue(reg, res, v)
	return v.append(nil)
}

// refuseMask says which secret holds the mask, "" if none does: what a viewer
// read is being written back.
func refuseMask(reg *engine.Registry, res *resource, v *value) (text string) {
	secrets(reg, res, v, func(at string, s *value) {
		if text == "" && s.kind == '"' && strings.Contains(s.text(), mask) {
			text = `property "` + at + `" holds ` + mask + `, which stands for a secret that a viewer may not see: send the secret itself`
		}
	})
	return text
}

// secrets calls fn with every string and number that may be a credential, and
// its path.
func secrets(reg *engine.Registry, res *resource, v *value, fn func(path string, at *value)) {
	for _, path := range res.secrets {
		walk(v, "", strings.Split(path, "."), fn)
	}
	if res.kind == conf.PluginMetadata {
		pluginSecrets(reg.Spec(v.get("id").text()), false, "", v, fn)
		return
	}
	for _, m := range pluginsOf(v) {
		pluginSecrets(reg.Spec(m.key), res.kind == conf.Consumers, "plugins."+m.key, m.val, fn)
	}
}

// pluginSecrets walks one plugin's configuration; on a consumer that of an
// auth plugin is a credential.
func pluginSecrets(spec *plugin.Spec, consumer bool, at string, conf *value, fn func(string, *value)) {
	var paths []string
	switch {
	case spec != nil && consumer && spec.Credential != nil:
		paths = spec.Credential.Secrets
	case spec != nil:
		paths = spec.Secrets
	default:
		// A plugin that this version only warns about: which of its fields are
		// secret is not known, so all may be.
		for _, m := range conf.members {
			if m.key != "id" && m.key != "_meta" {
				walk(m.val, join(at, m.key), nil, fn)
			}
		}
	}
	for _, path := range paths {
		walk(conf, at, strings.Split(path, "."), fn)
	}
}

// walk follows a dotted path, through arrays element by element, and ends at
// everything below it.
func walk(v *value, at string, path []string, fn func(string, *value)) {
	switch {
	case v == nil:
	case v.kind == '[':
		for i, it := range v.items {
			walk(it, join(at, strconv.Itoa(i)), path, fn)
		}
	case len(path) > 0:
		walk(v.get(path[0]), join(at, path[0]), path[1:], fn)
	case v.kind == '{':
		for _, m := range v.members {
			walk(m.val, join(at, m.key), nil, fn)
		}
	case v.kind == '"' || v.kind == '0':
		fn(at, v)
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
