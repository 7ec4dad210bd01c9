package engine

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/bench"
	"headrace/conf"
)

// provider is one more mock behind the rig.
func (r *rig) provider(o bench.Options) *bench.Mock {
	m := bench.New(o)
	if err := m.Start("127.0.0.1:0"); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { m.Close() })
	return m
}

// multi stores an ai-proxy-multi route; more goes to its top level. Each
// instance is name, weight, priority, endpoint.
func (r *rig) multi(more string, ins ...string) {
	r.src.put(conf.Routes, "m", fmt.Sprintf(`{"id":"m","uri":"/c","plugins":{"ai-proxy-multi":{%s"instances":[%s]}}}`, more, strings.Join(ins, ",")))
}

func inst(name string, weight, priority int, endpoint string, more string) string {
	return fmt.Sprintf(`{"name":%q,"provider":"openai","weight":%d,"priority":%d,"auth":{"header":{"Authorization":"Bearer %s"}},"options":{"model":%q},"override":{"endpoint":%q}%s}`, name, weight, priority, name, name, endpoint, more)
}

func faulty(status string) bench.Options {
	return bench.Options{Script: map[string]string{"status": status}}
}

// models counts which instance answered n requests, by the model that it sets.
func (r *rig) models(n int) map[string]int {
	r.t.Helper()
	got := map[string]int{}
	for range n {
		resp, body := r.do("POST", "/c", chat)
		if resp.StatusCode != 200 {
			got[fmt.Sprint(resp.StatusCode)]++
			continue
		}
		_, rest, _ := strings.Cut(body, `"model":"`)
		name, _, _ := strings.Cut(rest, `"`)
		got[name]++
	}
	return got
}

func TestMultiWeights(t *testing.T) {
	r := newRig(t, Options{})
	r.multi("", inst("a", 4, 0, r.mock.URL(), ""), inst("b", 1, 0, r.mock.URL(), ""))
	if got := r.models(10); got["a"] != 8 || got["b"] != 2 {
		t.Errorf("4:1 gives %v", got)
	}
	// The rotation goes on over a reload of the same members.
	r.multi(`"timeout":5000,`, inst("a", 4, 0, r.mock.URL(), ""), inst("b", 1, 0, r.mock.URL(), ""))
	if got := r.models(10); got["a"] != 8 || got["b"] != 2 {
		t.Errorf("after a reload 4:1 gives %v", got)
	}
}

func TestMultiChash(t *testing.T) {
	r := newRig(t, Options{})
	r.multi(`"balancer":{"algorithm":"chash","hash_on":"vars","key":"query_string"},`,
		inst("openai", 4, 0, r.mock.URL(), ""), inst("deepseek", 1, 0, r.mock.URL(), ""))
	for i, want := range []string{"openai", "deepseek", "openai", "deepseek", "openai", "openai", "openai", "openai", "openai", "openai"} {
		_, body := r.do("POST", fmt.Sprintf("/c?index=%d", i+1), chat)
		if !strings.Contains(body, `"model":"`+want+`"`) {
			t.Errorf("index=%d: %.120s, want %s", i+1, body, want)
		}
	}
}

// ai-proxy.md 6.6.
func TestMultiFallback(t *testing.T) {
	r := newRig(t, Options{})
	bad500, bad429, bad403 := r.provider(faulty("500")), r.provider(faulty("429")), r.provider(faulty("403"))
	good := r.mock.URL()
	const dead = "http://127.0.0.1:1"
	f := func(name, more string, want int, model string, ins ...string) {
		t.Helper()
		r.multi(more, ins...)
		resp, body := r.do("POST", "/c", chat)
		if resp.StatusCode != want || model != "" && !strings.Contains(body, `"model":"`+model+`"`) {
			t.Errorf("%s: %d %.150s, want %d %s", name, resp.StatusCode, body, want, model)
		}
	}
	first := func(url string) string { return inst("first", 1, 1, url, "") }
	second := inst("second", 1, 0, good, "")
	f("500 falls back", `"fallback_strategy":["http_5xx"],`, 200, "second", first(bad500.URL()), second)
	f("500 without a strategy", "", 500, "", first(bad500.URL()), second)
	f("429 falls back", `"fallback_strategy":"http_429",`, 200, "second", first(bad429.URL()), second)
	f("429 with http_5xx", `"fallback_strategy":"http_5xx",`, 429, "", first(bad429.URL()), second)
	f("refused connection is 5xx", `"fallback_strategy":["http_5xx"],`, 200, "second", first(dead), second)
	f("listed status without a strategy", `"fallback_http_statuses":[403],`, 200, "second", first(bad403.URL()), second)
	f("unlisted status", `"fallback_http_statuses":[404],`, 403, "", first(bad403.URL()), second)
	f("max_retries 0", `"fallback_strategy":["http_5xx"],"max_retries":0,`, 500, "", first(bad500.URL()), second)
	f("max_retries 1 of 2", `"fallback_strategy":["http_5xx"],"max_retries":1,`, 500, "", first(bad500.URL()), inst("x", 1, 0, bad500.URL(), ""), inst("y", 1, -1, good, ""))
	f("all fail", `"fallback_strategy":["http_5xx"],`, 502, "", first(bad500.URL()), inst("x", 1, 0, bad500.URL(), ""))
	f("slow failure", `"fallback_strategy":["http_5xx"],"retry_on_failure_within_ms":1,`, 500, "", inst("first", 1, 1, r.provider(bench.Options{Script: map[string]string{"status": "500", "delay": "50ms"}}).URL(), ""), second)
	f("one instance", `"fallback_strategy":["http_5xx"],`, 500, "", first(bad500.URL()))
	// A broken answer is never mixed with another: the error body of the last attempt goes out whole.
	r.multi(`"fallback_strategy":["http_5xx"],`, first(bad500.URL()), inst("x", 1, 0, bad500.URL(), ""))
	if resp, body := r.do("POST", "/c", chat); resp.StatusCode != 502 || !strings.HasPrefix(body, "{") || resp.Header.Get("X-Apisix-Upstream-Status") != "500, 500" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	got := r.scrape()
	if !strings.Contains(got, `headrace_ai_attempts_total{route="m",instance="first",outcome="http_5xx"}`) {
		t.Error("attempts are not counted")
	}
}

// Nothing that one instance injected reaches the next (T: rt 8).
func TestMultiAttemptsStartAfresh(t *testing.T) {
	r := newRig(t, Options{})
	bad := r.provider(faulty("500"))
	r.multi(`"fallback_strategy":["http_5xx"],`,
		inst("first", 1, 1, bad.URL(), `,"options":{"model":"one","seed":7}`),
		`{"name":"second","provider":"openai","weight":1,"auth":{"query":{"key":"two"}},"override":{"endpoint":"`+r.mock.URL()+`"}}`)
	if resp, body := r.do("POST", "/c", chat, "Authorization", "mine"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode, body)
	}
	resp, err := http.Get(r.mock.URL() + "/mock/last?n=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, resp)); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if strings.Contains(got, "seed") || strings.Contains(got, "Bearer first") || !strings.Contains(got, "mine") || !strings.Contains(got, "key=two") {
		t.Errorf("the second instance was sent %s", got)
	}
}

func TestMultiHealth(t *testing.T) {
	r := newRig(t, Options{})
	sick := r.provider(bench.Options{})
	checks := `,"checks":{"active":{"type":"http","http_path":"/status","healthy":{"interval":1,"successes":1},"unhealthy":{"interval":1,"tcp_failures":1,"timeouts":1}}}`
	r.multi("", inst("a", 1, 1, sick.URL(), checks), inst("b", 1, 0, r.mock.URL(), ""))
	if got := r.models(4); got["a"] != 4 {
		t.Fatalf("healthy: %v", got)
	}
	sick.Close()
	poll(t, "the instance is out", func() bool { return r.models(1)["b"] == 1 })
	hs := r.e.Healthchecks()
	if len(hs) != 1 || len(hs[0].Nodes) != 1 || hs[0].Nodes[0].State.String() != "unhealthy" {
		t.Errorf("%+v", hs)
	}
	if !strings.Contains(r.scrape(), `apisix_upstream_status{name="/routes/m#plugins['ai-proxy-multi'].instances[0]",ip="127.0.0.1"`) {
		t.Error("no metric")
	}
	// Health survives a reload that does not touch the check.
	r.multi(`"timeout":5000,`, inst("a", 1, 1, sick.URL(), checks), inst("b", 1, 0, r.mock.URL(), ""))
	if got := r.models(3); got["b"] != 3 {
		t.Errorf("after a reload: %v", got)
	}
	// Removing the route ends the check.
	r.src.put(conf.Routes, "m", "")
	if hs := r.e.Healthchecks(); len(hs) != 0 {
		t.Errorf("checks of a deleted route: %v", hs)
	}
}

// The first release's form (ai-proxy.md 1.6.1).
func TestMultiOldForm(t *testing.T) {
	r := newRig(t, Options{})
	old := func(more string, ps ...string) {
		r.src.put(conf.Routes, "m", fmt.Sprintf(`{"id":"m","uri":"/c","plugins":{"ai-proxy-multi":{%s"providers":[%s]}}}`, more, strings.Join(ps, ",")))
	}
	p := func(name string, priority int, endpoint string) string {
		return fmt.Sprintf(`{"name":%q,"model":"m-%s","priority":%d,"weight":1,"auth":{},"options":{"max_tokens":512,"input_cost":1},"override":{"endpoint":%q}}`, name, name, priority, endpoint)
	}
	old("", p("openai", 1, r.mock.URL()), p("deepseek", 0, r.mock.URL()))
	if got := r.models(3); got["m-openai"] != 3 {
		t.Errorf("%v", got)
	}
	// A transport failure moves on, whatever is configured; a status does not.
	old("", p("openai", 1, "http://127.0.0.1:1"), p("deepseek", 0, r.mock.URL()))
	if got := r.models(2); got["m-deepseek"] != 2 {
		t.Errorf("refused: %v", got)
	}
	old("", p("openai", 1, r.provider(faulty("500")).URL()), p("deepseek", 0, r.mock.URL()))
	if got := r.models(2); got["500"] != 2 {
		t.Errorf("500: %v", got)
	}
	old("", p("openai", 1, "http://127.0.0.1:1"), p("deepseek", 0, "http://127.0.0.1:1"))
	if got := r.models(1); got["500"] != 1 {
		t.Errorf("all refuse: %v", got)
	}
	old("", p("openai", 1, r.mock.URL()))
	if resp, body := r.do("POST", "/c", `{"input":"x"}`); resp.StatusCode != 400 || body != `request format doesn't match schema: property "messages" is required` {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// Rules and texts of ai-proxy.md 1.3, 1.5 and 1.6.
func TestMultiCheck(t *testing.T) {
	reg := NewRegistry(nil, nil)
	f := func(conf, want string) {
		t.Helper()
		_, found := reg.CheckRoute([]byte(`{"id":"1","uri":"/c","plugins":{"ai-proxy-multi":` + conf + `}}`))
		bad := worst(found, Refused)
		switch {
		case want == "" && bad != nil:
			t.Errorf("%s: %s", conf, bad.Text)
		case want != "" && (bad == nil || !strings.Contains(bad.Text, want)):
			t.Errorf("%s: %+v, want %q", conf, bad, want)
		}
	}
	in := func(name, provider, more string) string {
		return fmt.Sprintf(`{"name":%q,"provider":%q,"weight":1,"auth":{}%s}`, name, provider, more)
	}
	f(`{}`, `property "instances" is required`)
	f(`{"instances":[]}`, `property "instances" validation failed: expect array to have at least 1 items`)
	f(`{"instances":[`+in("a", "openai", "")+`]}`, "")
	f(`{"instances":[`+in("a", "nobody", "")+`]}`, `matches none of the enum values`)
	f(`{"instances":[`+in("same-name", "openai", "")+`,`+in("x", "openai", "")+`,`+in("same-name", "openai", "")+`]}`, "duplicate instance name 'same-name' at instances[1] and instances[3]")
	f(`{"instances":[`+in("a", "openai", `,"override":{"endpoint":"nope"}`)+`]}`, "invalid endpoint")
	f(`{"instances":[`+in("a", "vertex-ai", "")+`]}`, "instance 'a': vertex-ai requires either provider_conf (project_id + region) or override.endpoint")
	f(`{"instances":[`+in("a", "bedrock", "")+`]}`, "instance 'a': bedrock requires provider_conf.region")
	f(`{"balancer":{"algorithm":"chash"},"instances":[`+in("a", "openai", "")+`]}`, "must configure `hash_key` when balancer `hash_on` is not set to cookie")
	f(`{"balancer":{"algorithm":"chash","key":"nope"},"instances":[`+in("a", "openai", "")+`]}`, "failed to match pattern")
	f(`{"balancer":{"algorithm":"chash","key":"arg_user"},"instances":[`+in("a", "openai", "")+`]}`, "")
	f(`{"balancer":{"algorithm":"chash","hash_on":"consumer"},"instances":[`+in("a", "openai", "")+`]}`, "")
	f(`{"balancer":{"algorithm":"semantic"},"instances":[`+in("a", "openai", "")+`]}`, "must configure `semantic_opts.embeddings` when balancer algorithm is semantic")
	f(`{"balancer":{},"instances":[`+in("a", "openai", "")+`]}`, "")
	f(`{"fallback_http_statuses":[200],"instances":[`+in("a", "openai", "")+`]}`, "expected 200 to be at least 400")
	f(`{"fallback_strategy":["nope"],"instances":[`+in("a", "openai", "")+`]}`, "fallback_strategy")
	f(`{"instances":[`+in("a", "openai", `,"checks":{}`)+`]}`, `property "active" is required`)
	f(`{"providers":[{"name":"some-unique","model":"m","auth":{}}]}`, "provider: some-unique is not supported.")
	f(`{"providers":[{"name":"openai","auth":{}}]}`, `property "model" is required`)
	f(`{"providers":[{"name":"openai","model":"m","auth":{}},{"name":"openai","model":"n","auth":{}}],"timeout":3000}`, "")
	f(`{"providers":[{"name":"openai","model":"m","auth":{}}],"timeout":70000}`, "expected 70000 to be at most 60000")
	_, found := reg.CheckRoute([]byte(`{"id":"1","uri":"/c","plugins":{"ai-proxy":{"provider":"openai","auth":{}},"ai-proxy-multi":{"instances":[` + in("a", "openai", "") + `]}}}`))
	if worst(found, Invalid) == nil {
		t.Error("both proxies on one route are accepted")
	}
}

// A route whose endpoint and key change under traffic never sends the old key
// to the new endpoint.
func TestMultiReloadUnderTraffic(t *testing.T) {
	r := newRig(t, Options{})
	other := r.provider(bench.Options{})
	urls := [2]string{r.mock.URL(), other.URL()}
	set := func(i int) {
		r.multi("", inst(fmt.Sprintf("key-%d", i%2), 1+i%3, 0, urls[i%2], ""), inst("also", 1, -1, r.mock.URL(), ""))
	}
	set(0)
	stop, end := make(chan struct{}), make(chan error, 8)
	for range cap(end) {
		go func() {
			for {
				select {
				case <-stop:
					end <- nil
					return
				default:
				}
				_, body, err := r.stream("x-mock-tokens: 3\r\n")
				if err != nil || !strings.HasSuffix(body, "data: [DONE]\n\n") {
					end <- fmt.Errorf("%v %q", err, body)
					return
				}
			}
		}()
	}
	for i := range 200 {
		set(i)
		time.Sleep(time.Millisecond)
	}
	close(stop)
	for range cap(end) {
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
	for i, url := range urls {
		resp, err := http.Get(url + "/mock/last?n=64")
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); strings.Contains(got, fmt.Sprintf("Bearer key-%d", 1-i)) {
			t.Errorf("endpoint %d was sent the key of the other", i)
		}
	}
}

// passthrough of the first release: the model's answer becomes the request to
// the route's own upstream, whose answer the client gets.
func TestMultiOldPassthrough(t *testing.T) {
	r := newRig(t, Options{})
	model := r.provider(bench.Options{Script: map[string]string{"body": "SELECT * FROM STUDENTS", "content-type": "text/plain"}})
	up := strings.TrimPrefix(r.mock.URL(), "http://")
	r.src.put(conf.Routes, "m", fmt.Sprintf(`{"id":"m","uri":"/anything","upstream":{"type":"roundrobin","nodes":{%q:1}},"plugins":{"ai-proxy-multi":{"passthrough":true,
		"providers":[{"name":"openai","model":"gpt-4","weight":1,"auth":{"header":{"Authorization":"Bearer k"}},"override":{"endpoint":%q}}]}}}`, up, model.URL()))
	resp, body := r.do("POST", "/anything?q=1", chat, "X-Mine", "yes")
	if resp.StatusCode != 200 || !strings.Contains(body, "SELECT * FROM STUDENTS") || !strings.Contains(body, `/anything`) || !strings.Contains(strings.ToLower(body), "x-mine") || strings.Contains(body, "Bearer k") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// An Anthropic client reaches an OpenAI provider through the converter.
func TestAnthropicClient(t *testing.T) {
	r := newRig(t, Options{})
	r.route("1", "/v1/messages", "")
	body := `{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"What is 1+1?"}]}`
	resp, got := r.do("POST", "/v1/messages", body, "anthropic-version", "2023-06-01", "x-api-key", "k")
	if resp.StatusCode != 200 || !strings.Contains(got, `"type":"message"`) || !strings.Contains(got, "1+1 equals 2.") || !strings.Contains(got, `"stop_reason":"end_turn"`) {
		t.Errorf("plain: %d %s", resp.StatusCode, got)
	}
	resp, got = r.do("POST", "/v1/messages", strings.Replace(body, `{`, `{"stream":true,`, 1))
	if resp.StatusCode != 200 || !strings.HasPrefix(got, "event: message_start\n") || !strings.HasSuffix(got, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") {
		t.Errorf("stream: %d %s", resp.StatusCode, got)
	}
	resp, got = r.do("POST", "/v1/messages", `{}`)
	if resp.StatusCode != 400 || got != "{\"error_msg\":\"missing messages\"}\n" {
		t.Errorf("no messages: %d %s", resp.StatusCode, got)
	}
}

// A stream that breaks off before its first byte is a failed attempt.
func TestMultiStreamFailsEarly(t *testing.T) {
	r := newRig(t, Options{})
	dead := r.provider(bench.Options{Script: map[string]string{"cut": "0"}})
	r.multi(`"fallback_strategy":["http_5xx"],`, inst("first", 1, 1, dead.URL(), ""), inst("second", 1, 0, r.mock.URL(), ""))
	status, body, err := r.stream("")
	if status != 200 || err != nil || !strings.Contains(body, `"model":"second"`) || !strings.HasSuffix(body, "data: [DONE]\n\n") {
		t.Errorf("%d %v %.200s", status, err, body)
	}
}
