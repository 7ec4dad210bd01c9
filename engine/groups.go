package engine

import (
	"bytes"
	"encoding/json"

	"headrace/conf"
	"headrace/plugin"
)

// Groups finds configurations of one group that are not equal
// (plugin.Spec.Group).
type Groups struct {
	r    *Registry
	seen map[[2]string][]byte // configurations by plugin and group
}

// Groups begins without any.
func (r *Registry) Groups() *Groups { return &Groups{r, map[[2]string][]byte{}} }

// MayJoin says whether an item can have a part in a group at all; it is quick.
func (r *Registry) MayJoin(it conf.Item) bool { return bytes.Contains(it.Raw, []byte(`"group"`)) }

// Add notes which groups an item belongs to. It returns what is wrong where the
// configuration of a group is not what an item before had.
func (g *Groups) Add(it conf.Item) (found []Finding) {
	if !g.r.MayJoin(it) {
		return nil
	}
	var top struct {
		Plugins conf.PluginList `json:"plugins"`
	}
	if json.Unmarshal(it.Raw, &top) != nil {
		return nil // said elsewhere
	}
	for _, p := range top.Plugins {
		spec := g.r.specs[p.Name]
		if spec == nil || spec.Group == nil {
			continue
		}
		config, _, err := spec.Validate(p.Conf)
		if err != nil || config == nil {
			continue
		}
		group := spec.Group(config)
		if group == "" {
			continue
		}
		key := [2]string{p.Name, group}
		if was, ok := g.seen[key]; !ok {
			g.seen[key] = config
		} else if !bytes.Equal(was, config) {
			found = append(found, Finding{Invalid, p.Name, "plugins." + p.Name,
				"failed to check the configuration of plugin " + p.Name + " err: " + plugin.GroupMismatch})
		}
	}
	return found
}
