package engine

import (
	"cmp"
	"maps"
	"slices"

	"headrace/conf"
)

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
	case conf.Services:
		it, ok = itemOf(&s.services, id)
	case conf.PluginConfigs:
		it, ok = itemOf(&s.pluginConfigs, id)
	case conf.ConsumerGroups:
		it, ok = itemOf(&s.groups, id)
	case conf.Consumers:
		name, credential := conf.CredentialID(id)
		p, found := s.people.get(name)
		switch {
		case !found:
		case credential != "":
			it, ok = p.credentials[credential]
		default:
			it, ok = p.item, p.item.Raw != nil
		}
	case conf.GlobalRules:
		it, ok = s.rules[id]
	case conf.SSLs:
		if s.certificates != nil {
			if c, found := s.certificates.byID[id]; found {
				return c.item, true
			}
		}
	case conf.Secrets:
		it, ok = s.secrets[id]
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
	case conf.Services:
		items = itemsOf(&s.services)
	case conf.PluginConfigs:
		items = itemsOf(&s.pluginConfigs)
	case conf.ConsumerGroups:
		items = itemsOf(&s.groups)
	case conf.Consumers:
		s.people.each(func(_ string, p *person) {
			if p.item.Raw != nil {
				items = append(items, p.item)
			}
			items = slices.AppendSeq(items, maps.Values(p.credentials))
		})
	case conf.GlobalRules:
		items = slices.Collect(maps.Values(s.rules))
	case conf.SSLs:
		if s.certificates != nil {
			for _, c := range s.certificates.byID {
				items = append(items, c.item)
			}
		}
	case conf.Secrets:
		items = slices.Collect(maps.Values(s.secrets))
	case conf.PluginMetadata:
		items = slices.Collect(maps.Values(s.metadata))
	}
	slices.SortFunc(items, func(a, b conf.Item) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	return items
}

func itemOf(m *cowMap[*conf.Item], id string) (it conf.Item, ok bool) {
	p, ok := m.get(id)
	if !ok {
		return it, false
	}
	return *p, true
}

func itemsOf(m *cowMap[*conf.Item]) (items []conf.Item) {
	m.each(func(_ string, it *conf.Item) { items = append(items, *it) })
	return items
}

// followed are the kinds that a snapshot keeps, besides routes.
var followed = [...]conf.Kind{conf.Services, conf.Upstreams, conf.Consumers, conf.ConsumerGroups, conf.PluginConfigs, conf.GlobalRules, conf.PluginMetadata, conf.Secrets, conf.SSLs}

// removed returns the deletions that make the snapshot the given list, but for
// routes.
func (s *Snapshot) removed(items []conf.Item) (changes []conf.Change) {
	type name struct {
		kind conf.Kind
		id   string
	}
	listed := make(map[name]bool, len(items))
	for _, it := range items {
		listed[name{it.Kind, it.ID}] = true
	}
	for _, kind := range followed {
		for _, it := range s.Items(kind) {
			if !listed[name{kind, it.ID}] {
				changes = append(changes, conf.Change{Item: conf.Item{Kind: kind, ID: it.ID}, Deleted: true})
			}
		}
	}
	return changes
}
