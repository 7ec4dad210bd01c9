package engine

import (
	"bytes"
	"cmp"
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
	derived uint64 // grows when something that compiled routes depend on changes beside them

	router    *router
	routes    cowMap[*entry]
	upstreams cowMap[*upstreamEntry]
	globals   chain
	rules     map[string]conf.Item // global rules by id
	metadata  map[string]conf.Item // plugin_metadata by plugin
	seq       uint64

	prometheus *prometheusPlugin // of a global rule, nil if none has it
	noRoute    *routeMetrics     // of requests that no route matched
	warm       []*entry          // new here, and to be compiled at once
	holds      []string          // keys of long-lived state that global rules use
}

// Item returns one resource in force; only kinds that this version serves have any.
func (s *Snapshot) Item(kind conf.Kind, id string) (it conf.Item, ok bool) {
	switch kind {
	case conf.Routes:
		if e, found := s.routes.get(id); found {
			return e.item, true
		}
	case conf.Upstreams:
		if ent, found := s.upstreams.get(id); found {
			return ent.item, true
		}
	case conf.GlobalRules:
		it, ok = s.rules[id]
	case conf.PluginMetadata:
		it, ok = s.metadata[id]
	}
	return it, ok
}

// Items returns the resources of a kind in force, ordered by creation.
func (s *Snapshot) Items(kind conf.Kind) (items []conf.Item) {
	switch kind {
	case conf.Routes:
		s.routes.each(func(_ string, e *entry) { items = append(items, e.item) })
	case conf.Upstreams:
		s.upstreams.each(func(_ string, ent *upstreamEntry) { items = append(items, ent.item) })
	case conf.GlobalRules:
		items = slices.Collect(maps.Values(s.rules))
	case conf.PluginMetadata:
		items = slices.Collect(maps.Values(s.metadata))
	}
	slices.SortFunc(items, func(a, b conf.Item) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	return items
}

// Routes returns the number of routes.
func (s *Snapshot) Routes() int { return s.routes.len() }

// apply builds the snapshot that follows s. What is wrong with an item is
// reported and the item left as it was: a bad one never takes a good one
// down, and never its own last good version.
func (s *Snapshot) apply(e *Engine, changes []conf.Change, rev int64) *Snapshot {
	next := *s
	next.Version++
	next.warm = nil
	next.Rev = rev
	edit, ups := editMap(&s.routes), editMap(&s.upstreams)
	globals := false
	for i := range changes {
		ch := &changes[i]
		if !ch.Deleted && !e.admit(ch.Item) {
			continue
		}
		switch ch.Kind {
		case conf.Routes:
			next.applyRoute(e, edit, ch)
		case conf.Upstreams:
			applyUpstream(e, ups, ch)
		case conf.GlobalRules:
			next.rules = withItem(next.rules, ch)
			globals = true
		case conf.PluginMetadata:
			next.metadata = withItem(next.metadata, ch)
			next.derived++
			globals = true
		}
	}
	next.routes, next.upstreams = *edit.m, *ups.m
	if globals {
		next.globals = e.compileGlobals(&next)
		next.derived++
	}
	return &next
}

// admit logs what is to be said about an item and whether it may be used.
func (e *Engine) admit(it conf.Item) bool {
	found := e.registry.CheckItem(it)
	for i := range found {
		f := &found[i]
		if f.Level < Invalid {
			e.log.Warn(f.Text, "kind", it.Kind.String(), "id", it.ID)
		}
	}
	bad := worst(found, Invalid)
	if bad == nil {
		return true
	}
	e.stats.badItems.Inc()
	e.log.Error("failed to check item data of ["+it.Kind.String()+"] err:"+bad.Text, "kind", it.Kind.String(), "id", it.ID)
	return false
}

func (s *Snapshot) applyRoute(e *Engine, edit *cowEdit[*entry], ch *conf.Change) {
	old, had := edit.m.get(ch.ID)
	if had && old.visible {
		s.router = s.router.without(old)
	}
	if ch.Deleted {
		if had {
			edit.delete(ch.ID)
			e.state.drop(balanceKey(ch.ID))
			e.state.drop(routeUpstreamKey(ch.ID))
			e.dropRoute(old)
			e.metrics.forget(ch.ID)
		}
		return
	}
	rt, _ := e.registry.CheckRoute(ch.Raw) // admitted before
	ent := &entry{
		id: ch.ID, rev: ch.Rev, item: ch.Item,
		priority: int(rt.Priority), methods: methodsOf(rt.Methods), uris: allOf(rt.URI, rt.URIs), visible: rt.Enabled(),
		when: newConditions(rt),
	}
	for _, h := range allOf(rt.Host, rt.Hosts) {
		ent.hosts = append(ent.hosts, strings.ToLower(h))
	}
	if had {
		ent.seq = old.seq
		e.dropRoute(old)
	} else {
		s.seq++
		ent.seq = s.seq
	}
	switch multi := rt.Plugins.Get(aiProxyMultiName); {
	case multi == nil:
		e.state.drop(balanceKey(ch.ID))
	case bytes.Contains(multi, []byte(`"checks"`)):
		ent.checked = true
		s.warm = append(s.warm, ent)
	case had && old.checked:
		s.warm = append(s.warm, ent) // ends the checks
	}
	if ent.visible {
		s.router = s.router.with(ent)
	}
	edit.set(ch.ID, ent)
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
	s.prometheus, s.noRoute, s.holds = nil, nil, nil
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
