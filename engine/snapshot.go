package engine

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"headrace/conf"
	"headrace/plugin"
)

// Snapshot is the configuration in force: one immutable value behind one
// atomic pointer. A request loads it once and keeps it.
type Snapshot struct {
	Version uint64 // grows with every snapshot
	Rev     int64  // of the source
	digest  digest // of everything in it
	derived uint64 // grows when something that compiled routes depend on changes beside them

	router    *router
	routes    cowMap[*entry]
	upstreams cowMap[*upstreamEntry]

	services      cowMap[*conf.Item]
	pluginConfigs cowMap[*conf.Item]
	groups        cowMap[*conf.Item]         // of consumers
	people        cowMap[*person]            // consumers by username
	keys          cowMap[[]*plugin.Consumer] // consumers by plugin and key, see directoryKey
	certificates  *certificates              // nil: none
	globals       chain
	rules         map[string]conf.Item // global rules by id
	metadata      map[string]conf.Item // plugin_metadata by plugin
	secrets       map[string]conf.Item // secret managers by "<manager>/<id>"
	seq           uint64

	prometheus *prometheusPlugin // of a global rule, nil if none has it
	noRoute    *routeMetrics     // of requests that no route matched
	warm       []*entry          // new here, and to be compiled at once
	holds      []string          // keys of long-lived state that global rules use
	refs       []string          // to secret managers, of global rules
}

// Routes returns the number of routes.
func (s *Snapshot) Routes() int { return s.routes.len() }

// applyRoute takes one change of a route over that was admitted.
func (s *Snapshot) applyRoute(e *Engine, edit *cowEdit[*entry], a *admitted) {
	ch := a.ch
	old, had := edit.m.get(ch.ID)
	if ch.Deleted {
		if had {
			if old.visible {
				s.router = s.router.without(old)
			}
			edit.delete(ch.ID)
			e.state.drop(balanceKey(ch.ID))
			e.state.drop(routeUpstreamKey(ch.ID))
			e.dropRoute(old)
			e.metrics.forget(ch.ID)
		}
		return
	}
	s.enter(e, edit, ch.Item, a.route)
}

// enter puts a route that was admitted in force, in the place of the one with
// its id. rt is the item decoded.
func (s *Snapshot) enter(e *Engine, edit *cowEdit[*entry], it conf.Item, rt *conf.Route) {
	old, had := edit.m.get(it.ID)
	if had && old.visible {
		s.router = s.router.without(old)
	}
	ent := &entry{
		id: it.ID, rev: it.Rev, item: it, service: string(rt.ServiceID), pluginConfig: string(rt.PluginConfigID),
		priority: int(rt.Priority), methods: methodsOf(rt.Methods), uris: allOf(rt.URI, rt.URIs), visible: rt.Enabled(),
		when: newConditions(rt),
	}
	for _, h := range s.hostsOf(rt) {
		ent.hosts = append(ent.hosts, strings.ToLower(h))
	}
	if had {
		ent.seq = old.seq
		e.dropRoute(old)
	} else {
		s.seq++
		ent.seq = s.seq
	}
	switch multi := s.lentPlugin(rt, aiProxyMultiName); {
	case multi == nil:
		e.state.drop(balanceKey(it.ID))
	case bytes.Contains(multi, []byte(`"checks"`)):
		ent.checked = true
		s.warm = append(s.warm, ent)
	case had && old.checked:
		s.warm = append(s.warm, ent) // ends the checks
	}
	if ent.visible {
		s.router = s.router.with(ent)
	}
	edit.set(it.ID, ent)
}

// withItem returns a copy of a small map with one change.
func withItem(old map[string]conf.Item, ch *conf.Change) map[string]conf.Item {
	next := maps.Clone(old)
	if next == nil {
		next = make(map[string]conf.Item)
	}
	delete(next, ch.ID)
	if !ch.Deleted {
		next[ch.ID] = ch.Item
	}
	return next
}

// compileGlobals makes the chain of all global rules. A plugin that stands in
// two rules is dropped from all of them (gateway.md 1.6).
func (e *Engine) compileGlobals(s *Snapshot) chain {
	s.prometheus, s.noRoute, s.holds, s.refs = nil, nil, nil, nil
	ids := slices.Sorted(maps.Keys(s.rules))
	seen := make(map[string]int)
	bodies := make(map[string]conf.PluginList)
	for _, id := range ids {
		rule, err := conf.DecodeGlobalRule(s.rules[id].Raw)
		if err != nil {
			continue // said when it was admitted
		}
		bodies[id] = rule.Plugins
		for _, m := range rule.Plugins {
			seen[m.Name]++
		}
	}
	var bound []*plugin.Bound
	for _, id := range ids {
		for _, m := range bodies[id] {
			if seen[m.Name] > 1 {
				e.log.Error("plugin stands in several global rules and is dropped from all of them", "plugin", m.Name, "id", id)
				continue
			}
			spec := e.registry.Spec(m.Name)
			if spec == nil {
				continue
			}
			b, err := spec.Bind(m.Conf, e.env(s, "global_rules/"+id, nil))
			if err != nil {
				e.log.Error("cannot use a plugin of a global rule", "id", id, "plugin", m.Name, "err", err)
				continue
			}
			if b.Disabled {
				continue
			}
			if p, ok := b.Value.(*prometheusPlugin); ok {
				s.prometheus = p
			}
			bound = append(bound, b)
		}
	}
	slices.SortStableFunc(bound, func(a, b *plugin.Bound) int { return b.Priority - a.Priority })
	if s.prometheus != nil {
		s.noRoute = &routeMetrics{g: e.metrics, on: true}
	}
	return newChain(bound)
}

// allOf joins the two spellings of a field that may be one or many.
func allOf(one string, many []string) []string {
	if one != "" {
		return []string{one}
	}
	return many
}
