package engine

import (
	"net/http"

	"headrace/conf"
	"headrace/plugin"
)

// variantKey is what makes a consumer's form of a route: the consumer and its
// group as they stand.
type variantKey struct {
	person *person
	group  *conf.Item // nil: none
}

// forConsumer returns the form of the route for the request's consumer: rt
// itself where neither the consumer nor its group brings plugins along.
func (e *Engine) forConsumer(s *Snapshot, rt *Route, who *plugin.Consumer) (*Route, error) {
	p, _ := who.Entry.(*person)
	if p == nil {
		return rt, nil
	}
	key := variantKey{person: p}
	if p.group != "" {
		g, ok := s.groups.get(p.group)
		if !ok {
			return nil, &absent{conf.ConsumerGroups, p.group, http.StatusServiceUnavailable}
		}
		key.group = g
	}
	if key.group == nil && len(p.plugins) == 0 {
		return rt, nil
	}
	if v, ok := rt.variants.Load(key); ok {
		return v.(*Route), nil
	}
	v, err := e.compileVariant(s, rt, key)
	if err != nil {
		return nil, err
	}
	if e.cache != nil {
		if old, loaded := rt.variants.LoadOrStore(key, v); loaded {
			return old.(*Route), nil
		}
		if !e.cache.Set(v.hash(), v, v.cost) {
			v.forget()
		}
	}
	return v, nil
}

func (e *Engine) compileVariant(s *Snapshot, rt *Route, key variantKey) (*Route, error) {
	m, err := e.merge(s, rt.entry)
	if err != nil {
		return nil, err
	}
	was := *m
	m.metrics = rt.metrics
	if key.group != nil {
		set, err := conf.DecodePluginSet(key.group.Raw)
		if err != nil {
			return nil, err
		}
		m.override(e, set.Plugins, itemName(conf.ConsumerGroups, key.group.ID))
	}
	m.override(e, key.person.plugins, itemName(conf.Consumers, key.person.name))
	v, err := e.bind(s, rt.entry, m)
	if err != nil {
		return nil, err
	}
	v.base, v.variant = rt, key
	// Their rewrite phase runs now; that of all others has run already.
	for _, st := range v.rewrite {
		if !was.has(st.b.Spec.Name) {
			v.fresh = append(v.fresh, st)
		}
	}
	return v, nil
}

// identified merges what the consumer brings along, once an auth plugin has
// found one.
func (f *flow) identified() plugin.Verdict {
	rt, err := f.e.forConsumer(f.snap, f.rt, f.Consumer)
	if err != nil {
		f.e.log.Error("cannot serve route", "route_id", f.Info.RouteID, "consumer", f.Consumer.Name, "err", err)
		return f.unusable(err)
	}
	if rt == f.rt {
		return 0
	}
	f.rt = rt
	return run(rt.fresh, &f.Ctx, plugin.Rewriter.Rewrite)
}

// unusable is the answer where a route cannot be put together.
func (f *flow) unusable(err error) plugin.Verdict {
	switch err := err.(type) {
	case *absent:
		return f.Reply(err.status, "", nil)
	case refusal: // names a plugin, nothing of its configuration
		return f.Reply(http.StatusServiceUnavailable, plugin.JSON, messageBody("error_msg", "route is not usable: "+string(err)))
	}
	return f.Reply(http.StatusServiceUnavailable, plugin.JSON, messageBody("error_msg", "route is not usable"))
}
