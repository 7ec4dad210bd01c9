package admin

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"headrace/conf"
)

// refused checks that a call is answered with 400 and the text.
func (g *gate) refused(call, body, text string) {
	g.t.Helper()
	g.f(call, body, 400, string(appendQuoted([]byte(`{"error_msg":`), text))+"}")
}

// put stores something that the test needs.
func (g *gate) put(path, body string) {
	g.t.Helper()
	if res, got := g.do("PUT "+path, body); res.StatusCode >= 300 {
		g.t.Fatalf("PUT %s %s: %d %s", path, body, res.StatusCode, got)
	}
}

// T: admin/consumers.t 1-11, consumers2.t 1.
func TestConsumers(t *testing.T) {
	g := newGate(t, nil)
	const key = `{"key":"/apisix/consumers/jack","value":`
	g.f("GET /consumers", "", 200, `{"list":[],"total":0}`)
	g.f("PUT /consumers", `{"username":"jack","desc":"new"}`, 201, key+`{"username":"jack","desc":"new","create_time":$now,"update_time":$now}}`)
	g.f("PUT /consumers/jack", `{"username":"jack","plugins":{"test-plugin":{"key":"k"}}}`, 200,
		key+`{"username":"jack","plugins":{"test-plugin":{"key":"k"}},"create_time":$now,"update_time":$now}}`)
	g.f("GET /consumers/jack", "", 200,
		key+`{"username":"jack","plugins":{"test-plugin":{"key":"k"}},"create_time":$now,"update_time":$now},"createdIndex":1,"modifiedIndex":2}`)
	if it, ok := g.engine.Snapshot().Item(conf.Consumers, "jack"); !ok || it.Rev != 2 {
		t.Errorf("in force: %+v", it)
	}
	g.refused("PUT /consumers/jill", `{"username":"jack"}`, "wrong username")
	g.refused("PUT /consumers/jack", `{"plugins":{}}`, `invalid configuration: property "username" is required`)
	g.refused("PUT /consumers", `{"username":"a b"}`, `invalid configuration: property "username" validation failed: failed to match pattern "^[a-zA-Z0-9_\\-]+$" with "a b"`)
	g.refused("PUT /consumers", `{"username":"jack","plugins":{"nobody":{}}}`, "invalid plugins configuration: unknown plugin [nobody]")
	g.refused("PUT /consumers", `{"username":"jack","plugins":{"test-plugin":{}}}`,
		`invalid plugins configuration: failed to check the configuration of plugin test-plugin err: property "key" is required`)
	g.refused("PUT /consumers", `{"username":"jack","create_time":1602883670}`, "the property is forbidden:  create_time")
	g.refused("PUT /consumers", `{"username":"jack","group_id":"x"}`,
		"failed to fetch consumer group info by consumer group id [x], response code: 404")
	g.refused("PUT /consumers", ``, "missing configurations")
	g.refused("PUT /consumers", `[7]`, "invalid configuration: wrong type: expected object, got array")
	g.refused("DELETE /consumers", ``, "missing consumer id")
	g.f("POST /consumers", `{}`, 405, "$e\"not supported `POST` method for consumer\"}")
	g.f("PATCH /consumers/jack", `{}`, 405, "$e\"not supported `PATCH` method for consumer\"}")

	g.put("/consumer_groups/g", `{"plugins":{}}`)
	g.put("/consumers", `{"username":"jack","group_id":"g"}`)
	g.refused("DELETE /consumer_groups/g", "", "can not delete this consumer group, consumer [jack] is still using it now")
	g.f("DELETE /consumers/jack", "", 200, `{"key":"/apisix/consumers/jack","deleted":"1"}`)
	g.f("DELETE /consumers/jack", "", 404, `{"message":"Key not found"}`)
	g.f("DELETE /consumer_groups/g", "", 200, `{"key":"/apisix/consumer_groups/g","deleted":"1"}`)
}

// T: admin/credentials.t 1-16.
func TestCredentials(t *testing.T) {
	g := newGate(t, nil)
	const key = `{"key":"/apisix/consumers/jack/credentials/a","value":`
	g.f("PUT /consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":"k"}}}`, 404, `$e"consumer not found"}`)
	g.put("/consumers", `{"username":"jack"}`)
	g.f("GET /consumers/jack/credentials", "", 404, `{"message":"Key not found"}`)
	g.f("PUT /consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":"k"}}}`, 201,
		key+`{"plugins":{"test-plugin":{"key":"k"}},"id":"a","create_time":$now,"update_time":$now}}`)
	g.f("PUT /consumers/jack/credentials", `{"id":7,"name":"n","plugins":{"test-plugin":{"key":"k7"}}}`, 201,
		`{"key":"/apisix/consumers/jack/credentials/7","value":{"id":7,"name":"n","plugins":{"test-plugin":{"key":"k7"}},"create_time":$now,"update_time":$now}}`)
	g.f("GET /consumers/jack/credentials/a", "", 200,
		key+`{"plugins":{"test-plugin":{"key":"k"}},"id":"a","create_time":$now,"update_time":$now},"createdIndex":2,"modifiedIndex":2}`)
	for path, n := range map[string]string{"/consumers": `"total":1`, "/consumers/jack/credentials": `"total":2`, "/consumers/jack/credentials?name=^n$": `"total":1`} {
		if res, got := g.do("GET "+path, ""); res.StatusCode != 200 || !strings.Contains(got, n) || (path == "/consumers") == strings.Contains(got, "credentials") {
			t.Errorf("GET %s: %d %s", path, res.StatusCode, got)
		}
	}
	if who := g.engine.Snapshot().ByKey("test-plugin", []byte("k7")); who == nil || who.Name != "jack" || who.Credential != "7" {
		t.Errorf("by key: %+v", who)
	}

	g.refused("PUT /consumers/jack/credentials/a", `{"plugins":{"prometheus":{}}}`, "only supports auth type plugins in consumer credential")
	g.refused("PUT /consumers/jack/credentials/a", `{"plugins":{"nobody":{}}}`, "invalid plugins configuration: unknown plugin [nobody]")
	g.refused("PUT /consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":7}}}`,
		`invalid plugins configuration: failed to check the configuration of plugin test-plugin err: property "key" validation failed: wrong type: expected string, got number`)
	g.refused("PUT /consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":"x"},"key-auth":{"key":"x"}}}`,
		`invalid configuration: property "plugins" validation failed: expect object to have at most 1 properties`)
	g.refused("PUT /consumers/jack/credentials", `{"plugins":{"test-plugin":{"key":"x"}}}`, "missing credential id")
	g.refused("PUT /consumers/jack/credentials/a", `{"id":"b","plugins":{"test-plugin":{"key":"x"}}}`, "wrong credential id")
	g.refused("DELETE /consumers/jack/credentials", ``, "missing credential id")
	g.f("POST /consumers/jack/credentials", `{}`, 405, "$e\"not supported `POST` method for credential\"}")
	g.f("PATCH /consumers/jack/credentials/a", `{}`, 405, "$e\"not supported `PATCH` method for credential\"}")

	g.f("DELETE /consumers/jack/credentials/a", "", 200, `{"key":"/apisix/consumers/jack/credentials/a","deleted":"1"}`)
	g.f("DELETE /consumers/jack/credentials/a", "", 404, `{"message":"Key not found"}`)
	// A consumer takes its credentials with it, and only its own.
	g.put("/consumers", `{"username":"jackson"}`)
	g.put("/consumers/jackson/credentials/a", `{"plugins":{"test-plugin":{"key":"s"}}}`)
	g.f("DELETE /consumers/jack", "", 200, `{"key":"/apisix/consumers/jack","deleted":"1"}`)
	g.f("GET /consumers/jack/credentials/7", "", 404, `{"message":"Key not found"}`)
	g.f("GET /consumers/jack/credentials", "", 404, `{"message":"Key not found"}`)
	if res, _ := g.do("GET /consumers/jackson/credentials/a", ""); res.StatusCode != 200 {
		t.Errorf("a credential of another consumer: %d", res.StatusCode)
	}
	if g.engine.Snapshot().ByKey("test-plugin", []byte("k7")) != nil {
		t.Error("a deleted consumer is still recognised")
	}
	for _, want := range []string{`verb=DELETE item=consumers/jack/credentials/7`, `verb=DELETE item=consumers/jack old_rev`} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("no line %q in %s", want, &g.log)
		}
	}
}

// T: admin/consumers.t 12-18, credentials.t 17-24.
func TestDuplicateKeys(t *testing.T) {
	g := newGate(t, nil)
	conf := func(key string) string { return `"plugins":{"test-plugin":{"key":"` + key + `"}}` }
	const dup = "duplicate key of plugin test-plugin found with "
	g.put("/consumers", `{"username":"case_a",`+conf("one")+`}`)
	g.refused("PUT /consumers", `{"username":"case_b",`+conf("one")+`}`, dup+"consumer: case_a")
	g.refused("PUT /consumers", `{"username":"case_b",`+conf(`\u006fne`)+`}`, dup+"consumer: case_a")
	g.put("/consumers", `{"username":"case_b",`+conf(`t\u0077o`)+`}`)
	g.refused("PUT /consumers", `{"username":"case_a",`+conf("two")+`}`, dup+"consumer: case_b")
	g.put("/consumers", `{"username":"case_a","desc":"updated",`+conf("one")+`}`)

	g.put("/consumers", `{"username":"alex"}`)
	g.put("/consumers", `{"username":"bob",`+conf("bob")+`}`)
	g.put("/consumers/alex/credentials/cred-alex-a", `{`+conf("alex")+`}`)
	g.refused("PUT /consumers/bob/credentials/cred-bob", `{`+conf("alex")+`}`, dup+"credential: cred-alex-a of consumer: alex")
	g.refused("PUT /consumers/alex/credentials/cred-alex-b", `{`+conf("bob")+`}`, dup+"consumer: bob")
	g.refused("PUT /consumers", `{"username":"bob",`+conf("alex")+`}`, dup+"credential: cred-alex-a of consumer: alex")
	g.put("/consumers/alex/credentials/cred-alex-a", `{"desc":"updated",`+conf("alex")+`}`)
	g.refused("PUT /consumers/alex/credentials/cred-alex-b", `{`+conf("alex")+`}`, dup+"credential: cred-alex-a of consumer: alex")
	g.refused("PUT /consumers/bob/credentials/cred-bob-a", `{`+conf("bob")+`}`, dup+"consumer: bob")
	// A consumer does not conflict with its own credentials.
	g.put("/consumers", `{"username":"alex",`+conf("alex")+`}`)
	// What a reference stands for is not known when it is written.
	g.put("/consumers", `{"username":"ref_a",`+conf("$env://KEY")+`}`)
	g.put("/consumers", `{"username":"ref_b",`+conf("$env://KEY")+`}`)
}

// Of two consumers that want one key at the same time one gets it.
func TestDuplicateKeysRace(t *testing.T) {
	g := newGate(t, nil)
	for round := range 5 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		created := 0
		for i := range 8 {
			wg.Go(func() {
				res, _ := g.do("PUT /consumers", fmt.Sprintf(`{"username":"u%d_%d","plugins":{"test-plugin":{"key":"same%d"}}}`, round, i, round))
				if res.StatusCode == 201 {
					mu.Lock()
					created++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if created != 1 {
			t.Fatalf("%d consumers got the key", created)
		}
	}
}

// A credential never outlives its consumer.
func TestCredentialRace(t *testing.T) {
	g := newGate(t, nil)
	for range 10 {
		g.put("/consumers", `{"username":"jack"}`)
		var wg sync.WaitGroup
		wg.Go(func() { g.do("PUT /consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":"k"}}}`) })
		wg.Go(func() { g.do("DELETE /consumers/jack", "") })
		wg.Wait()
		if res, body := g.do("GET /consumers/jack/credentials/a", ""); res.StatusCode != 404 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
	}
}
