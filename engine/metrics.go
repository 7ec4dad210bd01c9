package engine

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"headrace/conf/schema"
	"headrace/plugin"
)

// prometheusSpec is the plugin that switches the metrics of a route on. It
// does nothing itself: what it says is compiled into routeMetrics.
var prometheusSpec = plugin.Spec{
	Name: "prometheus", Priority: 500, Kind: plugin.Builtin,
	Schema:   schema.MustCompile("prometheus", `{"type":"object","properties":{"prefer_name":{"type":"boolean","default":false}}}`),
	Metadata: schema.MustCompile("prometheus metadata", `{"type":"object","properties":{"disabled_labels":{"type":"object"}}}`),
	New: func(raw []byte, _ *plugin.Env) (any, error) {
		p := new(prometheusPlugin)
		return p, json.Unmarshal(raw, p)
	},
}

type prometheusPlugin struct {
	PreferName bool `json:"prefer_name"`
}

// MetricsOptions are plugin_attr.prometheus (gateway.md 7.1); nil buckets mean APISIX's.
type MetricsOptions struct {
	Prefix            string // "apisix_"
	LatencyBuckets    []float64
	LLMLatencyBuckets []float64
	PromptBuckets     []float64
	CompletionBuckets []float64
}

var (
	latencyBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000}
	tokenBuckets   = []float64{1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000}
)

// maxModels bounds how many models a client can put into labels; the rest is
// counted as "other".
const maxModels = 1000

// gatewayMetrics owns every series. Requests reach theirs through
// routeMetrics; the locks here are taken when a series is made and when
// somebody scrapes.
type gatewayMetrics struct {
	set  *metrics.Set
	opts MetricsOptions

	mu     sync.Mutex
	histos map[string]*histogram // by name and labels
	gauges map[string]*atomic.Int64
	routes map[string]*routeMetrics
	models map[string]struct{}
	tries  map[string]map[string]struct{} // names of counters that go with their route
	ends   sync.Map                       // *metrics.Counter by endKey
}

func newMetrics(o MetricsOptions) *gatewayMetrics {
	or := func(b *[]float64, def []float64) {
		if len(*b) == 0 {
			*b = def
		}
	}
	or(&o.LatencyBuckets, latencyBuckets)
	or(&o.LLMLatencyBuckets, latencyBuckets)
	or(&o.PromptBuckets, tokenBuckets)
	or(&o.CompletionBuckets, tokenBuckets)
	if o.Prefix == "" {
		o.Prefix = "apisix_"
	}
	return &gatewayMetrics{
		set: metrics.NewSet(), opts: o,
		histos: map[string]*histogram{}, gauges: map[string]*atomic.Int64{}, routes: map[string]*routeMetrics{}, models: map[string]struct{}{},
		tries: map[string]map[string]struct{}{},
	}
}

// write prints everything in Prometheus' text format.
func (g *gatewayMetrics) write(w io.Writer) {
	g.set.WritePrometheus(w)
	g.mu.Lock()
	names := make([]string, 0, len(g.histos))
	for name := range g.histos {
		names = append(names, name)
	}
	slices.Sort(names)
	hs := make([]*histogram, len(names))
	for i, name := range names {
		hs[i] = g.histos[name]
	}
	g.mu.Unlock()
	for _, h := range hs {
		h.write(w)
	}
}

// routeMetrics are the series of one route. They live as long as the route
// does, whatever is evicted or compiled anew.
type routeMetrics struct {
	g        *gatewayMetrics
	on       bool
	name     string // value of the route label
	info     plugin.Info
	disabled map[string][]string // labels that are blanked, by metric
	table    atomic.Pointer[map[string]*series]
	mu       sync.Mutex // one new series at a time
}

// route returns the series of a route; they are the old ones if nothing that
// labels depend on has changed.
func (g *gatewayMetrics) route(s *Snapshot, rt *Route, bound []*plugin.Bound) *routeMetrics {
	var p *prometheusPlugin
	for _, b := range bound {
		if v, ok := b.Value.(*prometheusPlugin); ok {
			p = v
		}
	}
	if p == nil {
		p = s.prometheus
	}
	r := &routeMetrics{g: g, on: p != nil, info: rt.infos[0]}
	r.name = r.info.RouteID
	if p != nil && p.PreferName && r.info.RouteName != "" {
		r.name = r.info.RouteName
	}
	var meta struct {
		Disabled map[string][]string `json:"disabled_labels"`
	}
	if raw := s.metadata["prometheus"].Raw; raw != nil && json.Unmarshal(raw, &meta) == nil {
		r.disabled = meta.Disabled
	}
	key := r.info.RouteID
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.routes[key]; old != nil && old.on == r.on && old.name == r.name && old.info.RouteName == r.info.RouteName && equalLabels(old.disabled, r.disabled) {
		return old
	}
	g.routes[key] = r
	return r
}

// forget drops the series of a route that was deleted.
func (g *gatewayMetrics) forget(id string) {
	g.mu.Lock()
	r := g.routes[id]
	delete(g.routes, id)
	for name := range g.tries[id] {
		g.set.UnregisterMetric(name)
	}
	delete(g.tries, id)
	g.mu.Unlock()
	g.ends.Range(func(key, _ any) bool {
		if key.(endKey).route == id {
			g.ends.Delete(key)
		}
		return true
	})
	if r == nil {
		return
	}
	if t := r.table.Load(); t != nil {
		for _, s := range *t {
			s.unregister(g)
		}
	}
}

func equalLabels(a, b map[string][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if !slices.Equal(v, b[k]) {
			return false
		}
	}
	return true
}

// modelLabel cuts a model for use as a label and bounds how many there are.
func (g *gatewayMetrics) modelLabel(model []byte) string {
	if len(model) > 0 && (model[0] == '{' || model[0] == '[') {
		return "<non-scalar>"
	}
	if len(model) > 128 {
		model = model[:128]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.models[string(model)]; !ok {
		if len(g.models) >= maxModels {
			return "other"
		}
		g.models[string(model)] = struct{}{}
	}
	return strings.ToValidUTF8(string(model), "\uFFFD")
}

func (g *gatewayMetrics) histogram(name, labels string, bounds []float64) *histogram {
	name = g.opts.Prefix + name
	g.mu.Lock()
	defer g.mu.Unlock()
	key := name + "{" + labels + "}"
	h := g.histos[key]
	if h == nil {
		h = newHistogram(name, labels, bounds)
		g.histos[key] = h
	}
	return h
}

// gauge returns the number behind a gauge, by its name with labels; series
// with equal labels share it.
func (g *gatewayMetrics) gauge(name string) *atomic.Int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.gauges[name]
	if n == nil {
		n = new(atomic.Int64)
		g.gauges[name] = n
		g.set.GetOrCreateGauge(name, func() float64 { return float64(n.Load()) })
	}
	return n
}

// appendLabel adds name="value" to a list of labels.
func appendLabel(dst []byte, name, value string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return strconv.AppendQuote(dst, value)
}

var hostname, _ = os.Hostname()
