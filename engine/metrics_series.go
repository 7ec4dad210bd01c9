package engine

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// series are the metrics of one combination of labels: route, consumer, node
// and models. Requests hold a pointer to theirs and only add atomically.
type series struct {
	r      *routeMetrics
	common labelValues
	llm    bool

	request, upstream, gateway *histogram
	ingress, egress            *metrics.Counter
	total, ttft                *histogram
	prompt, completion         *metrics.Counter
	promptDist, completionDist *histogram
	inFlight                   *atomic.Int64

	status   atomic.Pointer[map[statusKey]*metrics.Counter]
	statusMu sync.Mutex
	names    []string // everything that was registered
	histos   []*histogram
}

type statusKey struct {
	code   int
	source string
}

type labelValues struct {
	matchedURI, matchedHost, consumer, node, requestType, requestModel, model string
}

// begin finds the series of the attempt that starts and counts it as active:
// that is seen of every route, the rest only where the prometheus plugin is on.
func (r *routeMetrics) begin(f *flow) *series {
	if old := f.counted; old != nil {
		old.active(-1)
	}
	s := r.find(f)
	s.active(1)
	return s
}

// find returns the series for what f is at the moment. It does not allocate
// when the series exists.
func (r *routeMetrics) find(f *flow) *series {
	node := ""
	if n := len(f.Attempts); n > 0 {
		node = f.Attempts[n-1].Instance
	}
	key := f.line[:0]
	for _, part := range []string{f.Info.MatchedURI, f.Info.MatchedHost, f.ConsumerName(), node, f.RequestType()} {
		key = append(append(key, part...), 0)
	}
	key = append(append(key, clip(f.RequestModel)...), 0)
	key = append(key, clip(f.Model)...)
	f.line = key
	if t := r.table.Load(); t != nil {
		if s := (*t)[string(key)]; s != nil {
			return s
		}
	}
	return r.add(string(key), labelValues{
		matchedURI: f.Info.MatchedURI, matchedHost: f.Info.MatchedHost, consumer: f.ConsumerName(), node: node,
		requestType: f.RequestType(), requestModel: r.g.modelLabel(f.RequestModel), model: r.g.modelLabel(f.Model),
	}, f.AI)
}

// clip bounds what a client-made model adds to a key.
func clip(model []byte) []byte {
	if len(model) > 128 {
		model = model[:128]
	}
	return model
}

// maxSeries bounds the combinations of one route. Beyond it models are no
// longer told apart, so that no client can fill the memory with names.
const maxSeries = 4 * maxModels

func (r *routeMetrics) add(key string, v labelValues, llm bool) *series {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]*series)
	if t := r.table.Load(); t != nil {
		if s := (*t)[key]; s != nil {
			return s
		}
		if len(*t) >= maxSeries {
			v.requestModel, v.model, key = "other", "other", "other\x00"+v.node+"\x00"+v.requestType
			if s := (*t)[key]; s != nil {
				return s
			}
		}
		for k, s := range *t {
			next[k] = s
		}
	}
	s := newSeries(r, v, llm)
	next[key] = s
	r.table.Store(&next)
	return s
}

func newSeries(r *routeMetrics, v labelValues, llm bool) *series {
	s := &series{r: r, common: v, llm: llm}
	if llm {
		name := r.g.opts.Prefix + "llm_active_connections{" + s.activeLabels() + "}"
		s.inFlight = r.g.gauge(name)
		s.names = append(s.names, name)
	}
	if !r.on {
		return s
	}
	for _, h := range []struct {
		typ string
		to  **histogram
	}{{"request", &s.request}, {"upstream", &s.upstream}, {"apisix", &s.gateway}} {
		*h.to = s.histogram("http_latency", s.httpLabels("http_latency", "type", h.typ), r.g.opts.LatencyBuckets)
	}
	s.ingress = s.counter("bandwidth", s.httpLabels("bandwidth", "type", "ingress"))
	s.egress = s.counter("bandwidth", s.httpLabels("bandwidth", "type", "egress"))
	if !llm {
		return s
	}
	o := &r.g.opts
	s.total = s.histogram("llm_latency", s.llmLabels("llm_latency", "total"), o.LLMLatencyBuckets)
	if v.requestType == "ai_stream" {
		s.ttft = s.histogram("llm_latency", s.llmLabels("llm_latency", "ttft"), o.LLMLatencyBuckets)
	}
	s.prompt = s.counter("llm_prompt_tokens", s.llmLabels("llm_prompt_tokens", ""))
	s.completion = s.counter("llm_completion_tokens", s.llmLabels("llm_completion_tokens", ""))
	s.promptDist = s.histogram("llm_prompt_tokens_dist", s.llmLabels("llm_prompt_tokens_dist", ""), o.PromptBuckets)
	s.completionDist = s.histogram("llm_completion_tokens_dist", s.llmLabels("llm_completion_tokens_dist", ""), o.CompletionBuckets)
	return s
}

func (s *series) counter(name, labels string) *metrics.Counter {
	name = s.r.g.opts.Prefix + name + "{" + labels + "}"
	s.names = append(s.names, name)
	return s.r.g.set.GetOrCreateCounter(name)
}

func (s *series) histogram(name, labels string, bounds []float64) *histogram {
	h := s.r.g.histogram(name, labels, bounds)
	s.histos = append(s.histos, h)
	return h
}

func (s *series) unregister(g *gatewayMetrics) {
	s.statusMu.Lock()
	names := s.names
	s.statusMu.Unlock()
	for _, name := range names {
		g.set.UnregisterMetric(name)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		delete(g.gauges, name)
	}
	for _, h := range s.histos {
		delete(g.histos, h.name+"{"+h.labels+"}")
	}
}

// label appends one label, blank if the metric has it disabled.
func (s *series) label(dst []byte, metric, name, value string) []byte {
	for _, d := range s.r.disabled[metric] {
		if d == name && name != "code" && name != "type" && name != "layer" {
			value = ""
		}
	}
	return appendLabel(dst, name, value)
}

// httpLabels are those of http_latency and bandwidth (gateway.md 7.1).
func (s *series) httpLabels(metric, first, value string) string {
	b := s.label(nil, metric, first, value)
	b = s.label(b, metric, "route", s.r.name)
	b = s.label(b, metric, "service", s.r.info.ServiceID)
	b = s.label(b, metric, "consumer", s.common.consumer)
	return string(s.modelLabels(b, metric))
}

func (s *series) modelLabels(b []byte, metric string) []byte {
	b = s.label(b, metric, "node", s.common.node)
	b = s.label(b, metric, "request_type", s.common.requestType)
	b = s.label(b, metric, "request_llm_model", s.common.requestModel)
	return s.label(b, metric, "llm_model", s.common.model)
}

func (s *series) llmLabels(metric, typ string) string {
	var b []byte
	if typ != "" {
		b = s.label(b, metric, "type", typ)
	}
	b = s.label(b, metric, "route_id", s.r.name)
	b = s.label(b, metric, "service_id", s.r.info.ServiceID)
	b = s.label(b, metric, "consumer", s.common.consumer)
	return string(s.modelLabels(b, metric))
}

func (s *series) activeLabels() string {
	const m = "llm_active_connections"
	b := s.label(nil, m, "route", s.r.info.RouteName)
	b = s.label(b, m, "route_id", s.r.info.RouteID)
	b = s.label(b, m, "matched_uri", s.common.matchedURI)
	b = s.label(b, m, "matched_host", s.common.matchedHost)
	b = s.label(b, m, "service", s.r.info.ServiceName)
	b = s.label(b, m, "service_id", s.r.info.ServiceID)
	b = s.label(b, m, "consumer", s.common.consumer)
	return string(s.modelLabels(b, m))
}

func (s *series) statusCounter(code int, source string) *metrics.Counter {
	key := statusKey{code, source}
	if t := s.status.Load(); t != nil {
		if c := (*t)[key]; c != nil {
			return c
		}
	}
	s.statusMu.Lock()
	defer s.statusMu.Unlock()
	next := make(map[statusKey]*metrics.Counter)
	if t := s.status.Load(); t != nil {
		for k, c := range *t {
			next[k] = c
		}
	}
	const m = "http_status"
	b := s.label(nil, m, "code", strconv.Itoa(code))
	b = s.label(b, m, "route", s.r.name)
	b = s.label(b, m, "matched_uri", s.common.matchedURI)
	b = s.label(b, m, "matched_host", s.common.matchedHost)
	b = s.label(b, m, "service", s.r.info.ServiceID)
	b = s.label(b, m, "consumer", s.common.consumer)
	b = s.modelLabels(b, m)
	b = s.label(b, m, "response_source", source)
	c := s.counter(m, string(b))
	next[key] = c
	s.status.Store(&next)
	return c
}

func (s *series) active(n int64) {
	if s.inFlight != nil {
		s.inFlight.Add(n)
	}
}

// tokens counts the usage of an AI request, zeros included.
func (s *series) tokens(f *flow) {
	if !s.llm || !s.r.on {
		return
	}
	u := &f.Capture.Usage
	s.prompt.AddInt64(u.Prompt)
	s.completion.AddInt64(u.Completion)
	s.promptDist.observe(float64(u.Prompt))
	s.completionDist.observe(float64(u.Completion))
}

// count records a finished request.
func (f *flow) count() {
	f.e.stats.requests.Inc()
	s := f.counted
	if s == nil {
		r := f.snap.noRoute
		if f.rt != nil {
			r = f.rt.metrics
		}
		if r == nil || !r.on {
			return
		}
		s = r.find(f)
	} else {
		s.active(-1)
		if !s.r.on {
			return
		}
	}
	s.statusCounter(f.Status, f.Source).Inc()
	s.request.observe(millis(f.Times.Total))
	if len(f.Attempts) > 0 {
		s.upstream.observe(millis(f.Times.Upstream))
		s.gateway.observe(millis(max(0, f.Times.Total-f.Times.Upstream)))
	} else {
		s.gateway.observe(millis(f.Times.Total))
	}
	s.ingress.AddInt64(f.Req.Length)
	s.egress.AddInt64(f.Sent + int64(len(f.resp)))
	if s.llm && f.Times.FirstToken > 0 && f.Status < 400 {
		s.total.observe(millis(f.Times.Upstream))
		if s.ttft != nil {
			s.ttft.observe(millis(f.Times.FirstToken))
		}
	}
}

func millis(d time.Duration) float64 { return float64(d / time.Millisecond) }
