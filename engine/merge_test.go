package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// mark answers the request's marks in a header of the answer, and adds its
// own: who it is, phase by phase.
type mark struct{ Name string }

func (m *mark) Rewrite(c *plugin.Ctx) plugin.Verdict {
	c.HTTP.Response.Header.Add("X-Rewrite", m.Name)
	return 0
}

func (m *mark) FilterHeader(c *plugin.Ctx) { c.HTTP.Response.Header.Add("X-Filter", m.Name) }

// door lets those in whose key it knows.
type door struct{}

func (door) Rewrite(c *plugin.Ctx) plugin.Verdict {
	who := c.Directory.ByKey("test-door", c.Header("x-door"))
	if who == nil {
		return c.Reply(401, plugin.JSON, []byte(`{"message":"who?"}`))
	}
	c.Identify(who)
	return 0
}

func markSpec(name string, priority int) plugin.Spec {
	return plugin.Spec{Name: name, Priority: priority, Schema: schema.MustCompile(name, `{"type":"object"}`),
		New: func(raw []byte, env *plugin.Env) (any, error) {
			m := new(mark)
			err := json.Unmarshal(raw, m)
			m.Name = name + ":" + m.Name + "@" + env.Source
			return m, err
		}}
}

var mergeSpecs = []plugin.Spec{
	markSpec("m1", 3), markSpec("m2", 2), markSpec("m3", 1),
	{Name: "test-door", Priority: 9000, Kind: plugin.Auth, Schema: schema.MustCompile("test-door", `{"type":"object"}`),
		Credential: &plugin.CredentialSpec{Schema: schema.MustCompile("test-door key", `{"type":"object","properties":{"key":{"type":"string"}},"required":["key"]}`), Key: "key"},
		New:        func([]byte, *plugin.Env) (any, error) { return door{}, nil }},
}

// marks asks path and returns the status with what was marked in both phases.
func (r *rig) marks(path string, headers ...string) string {
	r.t.Helper()
	res, body := r.do("POST", path, chatBody, headers...)
	if res.StatusCode != 200 {
		return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, body))
	}
	return strings.Join(res.Header.Values("X-Rewrite"), " ") + " | " + strings.Join(res.Header.Values("X-Filter"), " ")
}

const chatBody = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`

// seen is the latest request that reached the provider.
func (r *rig) seen() (got struct {
	Headers map[string]string
	JSON    struct{ Model string }
}) {
	r.t.Helper()
	res, err := http.Get(r.mock.URL() + "/mock/last?n=1")
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	all := []any{&got}
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) proxy() string {
	return fmt.Sprintf(`"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}`, r.mock.URL())
}

func TestMergeService(t *testing.T) {
	r := newRigWith(t, Options{}, mergeSpecs...)
	f := func(want string, headers ...string) {
		t.Helper()
		if got := r.marks("/s", headers...); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	r.src.put(conf.Routes, "1", `{"uri":"/s","service_id":"sv","plugin_config_id":"pc","plugins":{"m1":{"Name":"r"}}}`)
	f("503")
	r.src.put(conf.PluginConfigs, "pc", `{"plugins":{"m1":{"Name":"p"},"m2":{"Name":"p"}}}`)
	f("404")
	r.src.put(conf.Services, "sv", `{"plugins":{`+r.proxy()+`,"m1":{"Name":"s"},"m2":{"Name":"s"},"m3":{"Name":"s"}}}`)
	const all = "m1:r@routes/1 m2:p@plugin_configs/pc m3:s@services/sv"
	f(all + " | " + all)
	// The route's copy switches the service's off; an empty list changes nothing.
	r.src.put(conf.Routes, "1", `{"uri":"/s","service_id":"sv","plugins":{"m2":{"_meta":{"disable":true}}}}`)
	f("m1:s@services/sv m3:s@services/sv | m1:s@services/sv m3:s@services/sv")
	r.src.put(conf.Routes, "1", `{"uri":"/s","service_id":"sv","plugins":{}}`)
	// A change of the service is in force at once, also for its hosts.
	r.src.put(conf.Services, "sv", `{"hosts":["A.com"],"plugins":{`+r.proxy()+`,"m1":{"Name":"t"}}}`)
	f(`404 {"error_msg":"404 Route Not Found"}`)
	f("m1:t@services/sv | m1:t@services/sv", "Host", "a.com")
	// A bad service leaves the one before in force.
	r.src.put(conf.Services, "sv", `{"hosts":5}`)
	f("m1:t@services/sv | m1:t@services/sv", "Host", "a.com")
	r.src.put(conf.Services, "sv", `{"plugins":{`+r.proxy()+`,"key-auth":{}}}`)
	if got := r.marks("/s"); !strings.HasPrefix(got, "503") || !strings.Contains(got, "key-auth") {
		t.Errorf("a guard of the service that is missing: %s", got)
	}
	r.src.put(conf.Services, "sv", "")
	f("404")
}

func TestMergeServiceUpstream(t *testing.T) {
	r := newRig(t, Options{})
	node := strings.TrimPrefix(r.mock.URL(), "http://")
	r.src.put(conf.Services, "up", fmt.Sprintf(`{"name":"svc","upstream":{"nodes":{%q:1},"type":"roundrobin"}}`, node))
	r.src.put(conf.Routes, "1", `{"uri":"/u","service_id":"up"}`)
	r.src.put(conf.Routes, "2", `{"uri":"/v","service_id":"up","upstream":{"nodes":{"127.0.0.1:1":1},"type":"roundrobin"}}`)
	if res, body := r.do("GET", "/u", ""); res.StatusCode != 200 {
		t.Errorf("the service's upstream: %d %s", res.StatusCode, body)
	}
	if res, _ := r.do("GET", "/v", ""); res.StatusCode != 502 {
		t.Errorf("the route's own upstream: %d", res.StatusCode)
	}
}

func TestConsumers(t *testing.T) {
	r := newRigWith(t, Options{Env: func(name string) (string, bool) { return "from-env", name == "DOOR" }}, mergeSpecs...)
	f := func(key, want string) {
		t.Helper()
		if got := r.marks("/c", "X-Door", key); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", key, got, want)
		}
	}
	r.src.put(conf.Routes, "1", `{"uri":"/c","plugins":{`+r.proxy()+`,"test-door":{},"m1":{"Name":"r"},"m2":{"Name":"r"}}}`)
	const plain = "m1:r@routes/1 m2:r@routes/1 | m1:r@routes/1 m2:r@routes/1"
	f("jack", `401 {"message":"who?"}`)
	r.src.put(conf.Consumers, "jack", `{"username":"jack","plugins":{"test-door":{"key":"jack"}}}`)
	f("jack", plain)
	if got := r.seen().Headers["x-consumer-username"]; got != "jack" {
		t.Errorf("the provider was told %q", got)
	}
	// What the consumer and its group bring along: m2 has run already, m3 runs now.
	r.src.put(conf.Consumers, "jack", `{"username":"jack","group_id":"g","plugins":{"test-door":{"key":"jack"},"m2":{"Name":"c"}}}`)
	f("jack", "503")
	r.src.put(conf.ConsumerGroups, "g", `{"plugins":{"m2":{"Name":"g"},"m3":{"Name":"g"}}}`)
	f("jack", "m1:r@routes/1 m2:r@routes/1 m3:g@consumer_groups/g | m1:r@routes/1 m2:c@consumers/jack m3:g@consumer_groups/g")
	r.src.put(conf.ConsumerGroups, "g", `{"plugins":{"m3":{"Name":"h"}}}`)
	f("jack", "m1:r@routes/1 m2:r@routes/1 m3:h@consumer_groups/g | m1:r@routes/1 m2:c@consumers/jack m3:h@consumer_groups/g")
	// Others get the route as it is.
	r.src.put(conf.Consumers, "jill", `{"username":"jill","plugins":{}}`)
	r.src.put(conf.Consumers, "jill/credentials/one", `{"plugins":{"test-door":{"key":"$env://DOOR"}}}`)
	f("from-env", plain)
	if h := r.seen().Headers; h["x-consumer-username"] != "jill" || h["x-credential-identifier"] != "one" {
		t.Errorf("the provider was told %v", h)
	}
	f("$env://DOOR", `401 {"message":"who?"}`)
	// A secret that is missing is no key, its text neither.
	r.src.put(conf.Consumers, "jill/credentials/one", `{"plugins":{"test-door":{"key":"$env://NONE"}}}`)
	f("$env://NONE", `401 {"message":"who?"}`)
	f("from-env", `401 {"message":"who?"}`)
	// Of two with one key the later counts; the other comes back.
	r.src.put(conf.Consumers, "jill/credentials/two", `{"plugins":{"test-door":{"key":"jack"}}}`)
	f("jack", plain)
	r.src.put(conf.Consumers, "jill/credentials/two", "")
	f("jack", "m1:r@routes/1 m2:r@routes/1 m3:h@consumer_groups/g | m1:r@routes/1 m2:c@consumers/jack m3:h@consumer_groups/g")
	r.src.put(conf.Consumers, "jack", "")
	f("jack", `401 {"message":"who?"}`)
}

// A consumer's own AI proxy takes the place of the route's.
func TestConsumerProxy(t *testing.T) {
	r := newRigWith(t, Options{}, mergeSpecs...)
	r.src.put(conf.Routes, "1", `{"uri":"/c","plugins":{`+r.proxy()+`,"test-door":{}}}`)
	own := strings.Replace(r.proxy(), `"auth":{}`, `"auth":{},"options":{"model":"theirs"}`, 1)
	r.src.put(conf.Consumers, "jack", `{"username":"jack","plugins":{"test-door":{"key":"jack"},`+own+`}}`)
	r.src.put(conf.Consumers, "jill", `{"username":"jill","plugins":{"test-door":{"key":"jill"}}}`)
	for key, want := range map[string]string{"jack": "theirs", "jill": "m"} {
		if got := r.marks("/c", "X-Door", key); got != " | " {
			t.Errorf("%s: %s", key, got)
		}
		if got := r.seen().JSON.Model; got != want {
			t.Errorf("%s: model %q, want %q", key, got, want)
		}
	}
}
