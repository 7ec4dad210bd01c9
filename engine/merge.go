package engine

import (
	"net/http"
	"slices"

	"headrace/conf"
)

// merged is a route with what its plugin config and its service lend it
// (gateway.md 1.6). Whole configurations of plugins replace each other; from
// strongest to weakest: consumer, consumer group, route, plugin config, service.
type merged struct {
	cfg         *conf.Route
	serviceName string
	plugins     []mergedPlugin
	found       []Finding     // of all parts
	metrics     *routeMetrics // nil: the route's own are to be found
}

// mergedPlugin is a plugin's configuration and where it stands, "routes/1".
type mergedPlugin struct {
	conf.Plugin
	source string
}

// absent is a resource that a route or a consumer refers to and that is not
// there: the request ends with the status and no body.
type absent struct {
	kind   conf.Kind
	id     string
	status int
}

func (a *absent) Error() string { return "there is no " + a.kind.String() + "/" + a.id }

// merge puts an entry's route together.
func (e *Engine) merge(s *Snapshot, ent *entry) (*merged, error) {
	cfg, found := e.registry.CheckRoute(ent.item.Raw)
	m := &merged{cfg: cfg, found: found}
	m.add(cfg.Plugins, itemName(conf.Routes, ent.id))
	if id := string(cfg.PluginConfigID); id != "" {
		it, ok := s.pluginConfigs.get(id)
		if !ok {
			return nil, &absent{conf.PluginConfigs, id, http.StatusServiceUnavailable}
		}
		set, err := conf.DecodePluginSet(it.Raw)
		if err != nil {
			return nil, err
		}
		m.lend(e, set.Plugins, itemName(conf.PluginConfigs, id))
	}
	if id := string(cfg.ServiceID); id != "" {
		it, ok := s.services.get(id)
		if !ok {
			return nil, &absent{conf.Services, id, http.StatusNotFound}
		}
		svc, err := conf.DecodeService(it.Raw)
		if err != nil {
			return nil, err
		}
		m.serve(svc)
		m.lend(e, svc.Plugins, itemName(conf.Services, id))
	}
	if m.has(aiProxyName) && m.has(aiProxyMultiName) {
		return nil, refusal("only one of ai-proxy and ai-proxy-multi is allowed")
	}
	return m, nil
}

// serve lends the route what is not a plugin.
func (m *merged) serve(svc *conf.Service) {
	m.serviceName = svc.Name
	cfg := m.cfg
	if len(cfg.Upstream) == 0 && cfg.UpstreamID == "" {
		cfg.Upstream, cfg.UpstreamID = svc.Upstream, svc.UpstreamID
	}
	if cfg.Labels == nil {
		cfg.Labels = svc.Labels
	}
	if svc.EnableWebsocket != nil && !cfg.EnableWebsocket {
		cfg.EnableWebsocket = *svc.EnableWebsocket
	}
}

// lend adds the plugins that the route does not have yet.
func (m *merged) lend(e *Engine, list conf.PluginList, source string) {
	var more conf.PluginList
	for _, p := range list {
		if !m.has(p.Name) {
			more = append(more, p)
		}
	}
	m.found = append(m.found, e.registry.checkList(more)...)
	m.add(more, source)
}

func (m *merged) add(list conf.PluginList, source string) {
	for _, p := range list {
		m.plugins = append(m.plugins, mergedPlugin{p, source})
	}
}

func (m *merged) has(name string) bool {
	return slices.ContainsFunc(m.plugins, func(p mergedPlugin) bool { return p.Name == name })
}

// override puts plugins of a consumer or its group over those that are there.
// Auth plugins are left out: there they are credentials.
func (m *merged) override(e *Engine, list conf.PluginList, source string) {
	var mine conf.PluginList
	for _, p := range list {
		if e.registry.isAuth(p.Name) {
			continue
		}
		m.plugins = slices.DeleteFunc(slices.Clone(m.plugins), func(o mergedPlugin) bool { return o.Name == p.Name })
		mine = append(mine, p)
	}
	m.found = append(m.found, e.registry.checkList(mine)...)
	m.add(mine, source)
}
