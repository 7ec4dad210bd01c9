package admin

import (
	"strconv"
	"strings"

	"headrace/conf"
	"headrace/engine"
)

// maskItem returns a stored value with the mask in place of every secret.
func maskItem(reg *engine.Registry, res *resource, raw []byte) []byte {
	v := mustParse(raw)
	secrets(reg, res, v, func(_ string, at *value) { *at = *newString(mask) })
	return v.append(nil)
}

// masked returns the path of a secret that holds the mask, "" if none does:
// what a viewer read is being written back.
func (c *call) masked(v *value) (path string) {
	secrets(c.Registry, c.res, v, func(at string, s *value) {
		if path == "" && s.kind == '"' && strings.Contains(s.text(), mask) {
			path = at
		}
	})
	return path
}

// secrets calls fn with every string and number that may be a credential, and
// its path.
func secrets(reg *engine.Registry, res *resource, v *value, fn func(path string, at *value)) {
	for _, path := range res.secrets {
		walk(v, "", strings.Split(path, "."), fn)
	}
	if res.kind == conf.PluginMetadata {
		pluginSecrets(reg, v.get("id").text(), "", v, fn)
		return
	}
	plugins := v.get("plugins")
	if plugins == nil {
		return
	}
	for _, m := range plugins.members {
		pluginSecrets(reg, m.key, "plugins."+m.key, m.val, fn)
	}
}

func pluginSecrets(reg *engine.Registry, name, at string, conf *value, fn func(string, *value)) {
	spec := reg.Spec(name)
	if spec != nil {
		for _, path := range spec.Secrets {
			walk(conf, at, strings.Split(path, "."), fn)
		}
		return
	}
	// A plugin that this version only warns about: which of its fields are
	// secret is not known, so all may be.
	for _, m := range conf.members {
		if m.key != "id" && m.key != "_meta" {
			walk(m.val, join(at, m.key), nil, fn)
		}
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
