package limitconn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit/limittest"
)

// begin lets a request in and returns its status and how long it was delayed.
func begin(p plugin.Accessor, headers string) (*plugin.Ctx, string) {
	c := limittest.Request(headers)
	got := limittest.Outcome(c, p.Access(c))
	if d := c.Owner.(*limittest.Client).Slept; d > 0 {
		got += " " + d.Round(time.Millisecond).String()
	}
	return c, got
}

// crowd begins n requests at once, ends them and returns their statuses.
func crowd(p plugin.Accessor, n int, headers string) string {
	var all []*plugin.Ctx
	var got []string
	for range n {
		c, s := begin(p, headers)
		all, got = append(all, c), append(got, s)
	}
	for _, c := range all {
		c.End()
	}
	return strings.Join(got, ",")
}

func TestConn(t *testing.T) {
	f := func(config, headers, want string) {
		t.Helper()
		p := limittest.New(t).Bind(&Spec, "routes/1", config)
		for i := range 2 { // the second time as if it were the first
			if got := crowd(p, strings.Count(want, ",")+1, headers); got != want {
				t.Errorf("%s %s, time %d: %s, want %s", config, headers, i, got, want)
			}
		}
	}
	f(`{"conn":1,"burst":0,"default_conn_delay":0.1,"key":"remote_addr"}`, "", "200,503,503")
	f(`{"conn":2,"burst":1,"default_conn_delay":0.1,"key":"remote_addr","rejected_code":429,"rejected_msg":"busy"}`, "",
		`200,200,200 100ms,429 {"error_msg":"busy"}`)
	// The more there are, the longer they wait: delay * floor((n-1)/conn).
	f(`{"conn":1,"burst":3,"default_conn_delay":0.5,"key":"remote_addr"}`, "", "200,200 500ms,200 1s,200 1.5s,503")
	f(`{"conn":2,"burst":4,"default_conn_delay":0.5,"key":"remote_addr","only_use_default_delay":true}`, "",
		"200,200,200 500ms,200 500ms,200 1s,200 1s,503")
	f(`{"conn":1,"burst":0,"default_conn_delay":0.1,"key":"$http_a $http_b","key_type":"var_combination"}`, "a: 1", "200,503")
	// limit-conn-variable.t 2-4, 7-10, 12-18
	const variable = `{"conn":"${http_conn ?? 5}","burst":"${http_burst ?? 2}","default_conn_delay":0.0001,"key":"remote_addr"}`
	f(variable, "", "200,200,200,200,200,200,200,503")
	f(variable, "conn: 3", "200,200,200,200,200,503")
	f(variable, "conn: 3, burst: 4", "200,200,200,200,200,200,200,503")
	f(variable, "burst: 0", "200,200,200,200,200,503")
	for _, h := range []string{"conn: 0", "conn: -1", "conn: 1.5", "burst: 1.5", "conn: 99007199254740993", "burst: -1", "conn: many"} {
		f(variable, h, "500")
	}
	f(strings.Replace(variable, "{", `{"allow_degradation":true,`, 1), "conn: 0", "200")
	const rules = `{"default_conn_delay":0.0001,"rules":[{"conn":4,"burst":3,"key":"${http_user}"},
		{"conn":"${http_project_conn ?? 3}","burst":"${http_project_burst ?? 2}","key":"${http_project}"}]}`
	f(rules, "user: jack", "200,200,200,200,200,200,200,503")
	f(rules, "project: apisix", "200,200,200,200,200,503")
	f(rules, "project: apisix, project-conn: 2, project-burst: 1", "200,200,200,503")
	f(rules, "project: apisix, user: jack", "200,200,200,200,200,503")
	f(rules, "", "500")
	f(rules, "project: apisix, user: jack, project-conn: 0", "500") // no way around the rule
	f(strings.Replace(rules, "0.0001", "0.1", 1), "project: apisix, user: jack", "200,200,200,200 100ms,200 200ms,503")
}

// TestOwners holds that routes count for themselves, keys too, and that a
// configuration that is saved again goes on counting.
func TestOwners(t *testing.T) {
	g := limittest.New(t)
	const config = `{"conn":1,"burst":0,"default_conn_delay":0.1,"key":"http_a"}`
	f := func(source, headers, want string) *plugin.Ctx {
		t.Helper()
		c, got := begin(g.Bind(&Spec, source, config), headers)
		if got != want {
			t.Errorf("%s %s: %s, want %s", source, headers, got, want)
		}
		return c
	}
	c := f("routes/1", "a: 1", "200")
	f("routes/1", "a: 1", "503").End()
	f("routes/1", "a: 2", "200")
	f("routes/2", "a: 1", "200")
	f("global_rules/1", "a: 1", "200")
	c.End()
	f("routes/1", "a: 1", "200")
}

// TestGone holds that a request whose client leaves while it waits keeps its
// slots until it ends, and no longer.
func TestGone(t *testing.T) {
	p := limittest.New(t).Bind(&Spec, "routes/1", `{"conn":1,"burst":1,"default_conn_delay":10,"key":"remote_addr"}`)
	begin(p, "")
	c := limittest.Request("")
	c.Owner.(*limittest.Client).Gone = true
	if v := p.Access(c); v != plugin.Gone {
		t.Errorf("verdict %d for a client that has left", v)
	}
	if _, got := begin(p, ""); got != "503" {
		t.Errorf("before its end: %s", got)
	}
	c.End()
	if _, got := begin(p, ""); got != "200 10s" {
		t.Errorf("after its end: %s", got)
	}
}

func TestFailure(t *testing.T) {
	g := limittest.New(t)
	const down = `{"conn":1,"burst":0,"default_conn_delay":0.1,"key":"remote_addr","policy":"redis","redis_host":"127.0.0.1","redis_port":1,"redis_password":"topsecret"}`
	if got := crowd(g.Bind(&Spec, "routes/1", down), 2, ""); got != "500,500" {
		t.Errorf("without a redis: %s", got)
	}
	if got := crowd(g.Bind(&Spec, "routes/1", strings.Replace(down, "{", `{"allow_degradation":true,`, 1)), 2, ""); got != "200,200" {
		t.Errorf("degraded: %s", got)
	}
	if log := g.Log.String(); strings.Count(log, "failed to limit conn") != 2 || strings.Contains(log, "topsecret") || strings.Contains(log, "cannot write") {
		t.Errorf("the log has %s", log)
	}
	if got := crowd(g.Bind(&Spec, "routes/1", strings.Replace(down, "topsecret", "$env://NONE", 1)), 1, ""); got != "500" {
		t.Errorf("without a secret: %s", got)
	}
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		config, _, err := Spec.Validate([]byte(raw))
		if err == nil {
			err = errors.New("")
		}
		if err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
		if strings.Contains(raw, "redis_host") && want == "" && strings.Contains(string(config), `"key_ttl":3600`) == strings.Contains(raw, "key_ttl") {
			t.Errorf("%s: %s", raw, config)
		}
	}
	const good = `"burst":0,"default_conn_delay":0.1,"key":"remote_addr"`
	f(`{"conn":1,`+good+`}`, "") // limit-conn.t 1
	const none = "value should match only one schema, but matches none"
	f(`{"conn":1,"default_conn_delay":0.1,"key":"remote_addr"}`, none) // 2
	f(`{`+good+`}`, none)
	f(`{"conn":0,`+good+`}`, `property "conn" validation failed: `+none) // 25
	f(`{"conn":-1,`+good+`}`, `property "conn" validation failed: `+none)
	f(`{"conn":1,"burst":0,"default_conn_delay":0,"key":"remote_addr"}`, `property "default_conn_delay" validation failed: expected 0 to be greater than 0`)
	f(`{"conn":1,`+good+`,"allow_degradation":"true1"}`, `property "allow_degradation" validation failed: wrong type: expected boolean, got string`)
	f(`{"conn":1,`+good+`,"rejected_msg":""}`, `property "rejected_msg" validation failed: string too short, expected at least 1, got 0`) // limit-conn2.t 8
	f(`{"conn":1,`+good+`,"rules":[{"conn":1,"burst":0,"key":"${http_company}"}]}`, "value should match only one schema, but matches both schemas 1 and 2")
	f(`{"default_conn_delay":0.1,"rules":[{"conn":1,"key":"a"}]}`, `property "rules" validation failed: failed to validate item 1: property "burst" is required`)
	f(`{"conn":1,`+good+`,"policy":"redis"}`, "then clause did not match") // limit-conn-redis.t
	f(`{"conn":1,`+good+`,"policy":"redis","redis_host":"127.0.0.1"}`, "")
	f(`{"conn":1,`+good+`,"policy":"redis","redis_host":"127.0.0.1","key_ttl":60}`, "") // t/utils/redis-schema.t 2
	f(`{"conn":1,`+good+`,"policy":"redis","redis_host":"127.0.0.1","key_ttl":0}`, "then clause did not match")
	if got := Spec.Warn([]byte(`{"rules":[{"conn":1,"burst":0,"key":"a"},{"conn":1,"burst":0,"key":"$a"}]}`)); fmt.Sprint(got) != "[rule 1 never applies: its key has no variable]" {
		t.Errorf("warnings %v", got)
	}
}

func TestBudgetAccess(t *testing.T) {
	p := limittest.New(t).Bind(&Spec, "routes/1", `{"default_conn_delay":0.1,"rules":[{"conn":5,"burst":0,"key":"$http_a"},{"conn":"${http_b ?? 7}","burst":0,"key":"$remote_addr"}]}`)
	c := limittest.Request("a: 1")
	n := testing.AllocsPerRun(100, func() {
		if p.Access(c) != 0 {
			t.Fatal("refused")
		}
		c.End()
	})
	if n > 0 && !underRace {
		t.Errorf("%v allocations for a request", n)
	}
}
