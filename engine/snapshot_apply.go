package engine

import (
	"slices"

	"headrace/conf"
)

// batch is a number of changes on their way into a snapshot.
type batch struct {
	e         *Engine
	was, next *Snapshot
	routes    *cowEdit[*entry]
	upstreams *cowEdit[*upstreamEntry]
	services  *cowEdit[*conf.Item]
	sets      *cowEdit[*conf.Item] // plugin configs
	groups    *cowEdit[*conf.Item]
	consumers consumerEdit

	secrets      bool                    // entries of secret managers changed
	certificates map[string]*certificate // nil: unchanged
	ssls         []conf.Item             // to be prepared when secrets are known

	digests map[string]digest   // of items that changed, by kind and id
	globals bool                // global rules must be compiled anew
	lenders map[string]struct{} // services and plugin configs that changed, by kind and id
	entered map[string]struct{} // routes that changed themselves
}

// apply builds the snapshot that follows s. What is wrong with an item is
// reported and the item left as it was: a bad one never takes a good one
// down, and never its own last good version. Routes come last: what they
// refer to may come with the same changes.
func (s *Snapshot) apply(e *Engine, changes []conf.Change, rev int64) *Snapshot {
	next := *s
	next.Version++
	next.warm = nil
	next.Rev = rev
	b := batch{
		e: e, was: s, next: &next, digests: map[string]digest{}, routes: editMap(&s.routes), upstreams: editMap(&s.upstreams),
		services: editMap(&s.services), sets: editMap(&s.pluginConfigs), groups: editMap(&s.groups),
		consumers: newConsumerEdit(e, s),
		lenders:   map[string]struct{}{}, entered: map[string]struct{}{},
	}
	var routes, others []*conf.Change
	for i := range changes {
		if ch := &changes[i]; ch.Kind == conf.Routes {
			routes = append(routes, ch)
		} else {
			others = append(others, ch)
		}
	}
	b.each(others, func(a *admitted) { b.take(a.ch) })
	if b.secrets {
		e.secrets.Configure(next.managers())
	}
	b.consumers.finish()
	for _, it := range b.ssls {
		b.certificates[it.ID] = e.newCertificate(it)
	}
	if b.certificates != nil {
		next.certificates = certificatesOf(b.certificates)
	}
	next.upstreams, next.services, next.pluginConfigs, next.groups = *b.upstreams.m, *b.services.m, *b.sets.m, *b.groups.m
	next.people, next.keys = *b.consumers.people.m, *b.consumers.keys.m
	b.each(routes, func(a *admitted) {
		next.applyRoute(e, b.routes, a)
		b.entered[a.ch.ID] = struct{}{}
	})
	b.borrowers()
	next.routes = *b.routes.m
	if b.globals {
		next.globals = e.compileGlobals(&next)
		next.derived++
	}
	return &next
}

// each calls do for the changes that are admitted, in their order.
func (b *batch) each(changes []*conf.Change, do func(a *admitted)) {
	for part := range slices.Chunk(changes, admitMany) {
		for _, a := range b.e.judge(part) {
			if b.e.admit(&a) {
				b.turn(a.ch)
				do(&a)
			}
		}
	}
}

// take takes a change of anything but a route in.
func (b *batch) take(ch *conf.Change) {
	switch ch.Kind {
	case conf.Upstreams:
		applyUpstream(b.e, b.upstreams, ch)
	case conf.Services:
		applyItem(b.services, ch)
		b.lenders[itemName(ch.Kind, ch.ID)] = struct{}{}
	case conf.PluginConfigs:
		applyItem(b.sets, ch)
		b.lenders[itemName(ch.Kind, ch.ID)] = struct{}{}
	case conf.SSLs:
		b.applySSL(ch)
	case conf.ConsumerGroups:
		applyItem(b.groups, ch)
	case conf.Consumers:
		b.consumers.apply(ch)
	case conf.Secrets:
		b.next.secrets = withItem(b.next.secrets, ch)
		b.secrets = true
	case conf.GlobalRules:
		b.next.rules = withItem(b.next.rules, ch)
		b.globals = true
	case conf.PluginMetadata:
		b.next.metadata = withItem(b.next.metadata, ch)
		b.next.derived++
		b.globals = true
	}
}

// managers are the entries of secret managers.
func (s *Snapshot) managers() map[string][]byte {
	entries := make(map[string][]byte, len(s.secrets))
	for id, it := range s.secrets {
		entries[id] = it.Raw
	}
	return entries
}

// itemName tells items of all kinds apart; it is how sources of plugins are
// called too.
func itemName(kind conf.Kind, id string) string { return kind.String() + "/" + id }

func applyItem(edit *cowEdit[*conf.Item], ch *conf.Change) {
	if ch.Deleted {
		edit.delete(ch.ID)
		return
	}
	it := ch.Item
	edit.set(ch.ID, &it)
}

// borrowers enters the routes anew that refer to a service or a plugin config
// that changed.
func (b *batch) borrowers() {
	if len(b.lenders) == 0 {
		return
	}
	var again []conf.Item
	b.routes.m.each(func(id string, ent *entry) {
		if _, done := b.entered[id]; !done && (b.changed(conf.Services, ent.service) || b.changed(conf.PluginConfigs, ent.pluginConfig)) {
			again = append(again, ent.item)
		}
	})
	for _, it := range again {
		rt, _ := b.e.registry.CheckRoute(it.Raw)
		b.next.enter(b.e, b.routes, it, rt)
	}
}

func (b *batch) changed(kind conf.Kind, id string) bool {
	if id == "" {
		return false
	}
	_, ok := b.lenders[itemName(kind, id)]
	return ok
}

// service is the service of a route, nil if it has none or there is none.
func (s *Snapshot) service(rt *conf.Route) *conf.Service {
	if rt.ServiceID == "" {
		return nil
	}
	it, ok := s.services.get(string(rt.ServiceID))
	if !ok {
		return nil
	}
	svc, err := conf.DecodeService(it.Raw)
	if err != nil {
		return nil // said when it was admitted
	}
	return svc
}

// hostsOf are the hosts that a route is for: its own, else those of its service.
func (s *Snapshot) hostsOf(rt *conf.Route) []string {
	if own := allOf(rt.Host, rt.Hosts); len(own) > 0 {
		return own
	}
	if svc := s.service(rt); svc != nil {
		return svc.Hosts
	}
	return nil
}

// lentPlugin is the configuration of one plugin of a route, wherever it stands.
func (s *Snapshot) lentPlugin(rt *conf.Route, name string) []byte {
	if raw := rt.Plugins.Get(name); raw != nil {
		return raw
	}
	if it, ok := s.pluginConfigs.get(string(rt.PluginConfigID)); ok {
		if set, err := conf.DecodePluginSet(it.Raw); err == nil {
			if raw := set.Plugins.Get(name); raw != nil {
				return raw
			}
		}
	}
	if svc := s.service(rt); svc != nil {
		return svc.Plugins.Get(name)
	}
	return nil
}
