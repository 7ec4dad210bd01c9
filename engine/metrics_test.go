package engine

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"headrace/conf"
)

func (r *rig) scrape() string {
	var b bytes.Buffer
	r.e.WriteMetrics(&b)
	return b.String()
}

// Names, labels in their order and classic buckets (ai-proxy.md 7.3).
func TestMetrics(t *testing.T) {
	r := newRig(t, Options{})
	r.src.put(conf.Routes, "r1", fmt.Sprintf(`{"id":"r1","name":"chat","uri":"/c","plugins":{"prometheus":{},"ai-proxy":{"provider":"openai","auth":{},"options":{"model":"gpt"},"override":{"endpoint":%q}}}}`, r.mock.URL()))
	r.do("POST", "/c", chat)
	r.stream("")
	r.do("POST", "/c", chat, "x-mock-status", "429")
	poll(t, "three requests are counted", func() bool { return strings.Contains(r.scrape(), "apisix_http_requests_total 3") })
	got := r.scrape()
	common := `consumer="",node="ai-proxy-openai",request_type="ai_chat",request_llm_model="m",llm_model="gpt"`
	for _, want := range []string{
		`apisix_http_status{code="200",route="r1",matched_uri="/c",matched_host="",service="",` + common + `,response_source="upstream"} 1`,
		`apisix_http_status{code="429",route="r1",matched_uri="/c",matched_host="",service="",` + common + `,response_source="upstream"} 1`,
		`apisix_http_latency_count{type="request",route="r1",service="",` + common + `} 2`,
		`apisix_bandwidth{type="ingress",route="r1",service="",` + common + `}`,
		`apisix_llm_latency_bucket{type="total",route_id="r1",service_id="",` + common + `,le="60000"} 1`,
		`apisix_llm_latency_bucket{type="total",route_id="r1",service_id="",` + common + `,le="+Inf"} 1`,
		`apisix_llm_latency_count{type="ttft",route_id="r1",service_id="",` + strings.Replace(common, "ai_chat", "ai_stream", 1) + `} 1`,
		`apisix_llm_completion_tokens{route_id="r1",service_id="",` + common + `}`,
		`apisix_llm_prompt_tokens_dist_bucket{route_id="r1",service_id="",` + common + `,le="1000000"} 2`,
		`apisix_llm_active_connections{route="chat",route_id="r1",matched_uri="/c",matched_host="",service="",service_id="",` + common + `} 0`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(got, `type="ttft",route_id="r1",service_id="",`+common) {
		t.Error("ttft is observed for a plain answer")
	}
	r.src.put(conf.Routes, "r1", "")
	if got := r.scrape(); strings.Contains(got, `route="r1"`) || strings.Contains(got, `route_id="r1"`) {
		t.Error("series of a deleted route are left")
	}
}

// The active gauge counts what is in flight and returns to 0.
func TestActiveConnections(t *testing.T) {
	r := newRig(t, Options{})
	r.src.put(conf.Routes, "r1", fmt.Sprintf(`{"id":"r1","uri":"/c","plugins":{"prometheus":{},"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, r.mock.URL()))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { r.stream("x-mock-gap: 50ms\r\nx-mock-tokens: 10\r\n") })
	}
	active := func(n int) func() bool {
		return func() bool {
			for line := range strings.Lines(r.scrape()) {
				if strings.HasPrefix(line, "apisix_llm_active_connections{") {
					return strings.HasSuffix(line, fmt.Sprintf("} %d\n", n))
				}
			}
			return false
		}
	}
	poll(t, "three are in flight", active(3))
	wg.Wait()
	poll(t, "none is in flight", active(0))
}

// A client cannot fill the memory with model names.
func TestModelLabels(t *testing.T) {
	g := newMetrics(MetricsOptions{})
	for i := range maxModels {
		if got := g.modelLabel(fmt.Appendf(nil, "m%d", i)); got != fmt.Sprintf("m%d", i) {
			t.Fatal(got)
		}
	}
	f := func(model, want string) {
		t.Helper()
		if got := g.modelLabel([]byte(model)); got != want {
			t.Errorf("%q: %q, want %q", model, got, want)
		}
	}
	f("one-more", "other")
	f("m7", "m7")
	f(`{"a":1}`, "<non-scalar>")
	g = newMetrics(MetricsOptions{})
	f(strings.Repeat("x", 300), strings.Repeat("x", 128))
}

func TestHistogram(t *testing.T) {
	h := newHistogram("h", `a="b"`, []float64{1, 2, 5})
	for _, v := range []float64{0, 1, 1.5, 2, 6, 100} {
		h.observe(v)
	}
	var b strings.Builder
	h.write(&b)
	want := `h_bucket{a="b",le="1"} 2
h_bucket{a="b",le="2"} 4
h_bucket{a="b",le="5"} 4
h_bucket{a="b",le="+Inf"} 6
h_sum{a="b"} 110.5
h_count{a="b"} 6
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// disabled_labels of the plugin's metadata blank a label and keep its name.
func TestDisabledLabels(t *testing.T) {
	r := newRig(t, Options{})
	r.src.put(conf.PluginMetadata, "prometheus", `{"id":"prometheus","disabled_labels":{"http_status":["matched_uri","code"]}}`)
	r.src.put(conf.GlobalRules, "1", `{"id":"1","plugins":{"prometheus":{"prefer_name":true}}}`)
	r.src.put(conf.Routes, "r1", fmt.Sprintf(`{"id":"r1","name":"chat","uri":"/c","plugins":{"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, r.mock.URL()))
	r.do("POST", "/c", chat)
	r.do("POST", "/none", chat)
	poll(t, "both are counted", func() bool { return strings.Contains(r.scrape(), "apisix_http_requests_total 2") })
	got := r.scrape()
	for _, want := range []string{
		`apisix_http_status{code="200",route="chat",matched_uri="",matched_host=""`,
		`apisix_http_status{code="404",route="",matched_uri="",matched_host=""`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
}
