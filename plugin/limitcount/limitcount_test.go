package limitcount

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit/limittest"
)

// send sends requests with the given headers and returns their statuses.
func send(p plugin.Accessor, headers ...string) string {
	var got []string
	for _, h := range headers {
		c := limittest.Request(h)
		got = append(got, limittest.Outcome(c, p.Access(c)))
	}
	return strings.Join(got, ",")
}

func times(n int, header string) []string {
	return strings.Split(strings.Repeat(header+"|", n)[:n*(len(header)+1)-1], "|")
}

// TestExamples are the limits of APISIX's tests, by their numbers.
func TestExamples(t *testing.T) {
	f := func(config, want string, headers ...string) {
		t.Helper()
		if got := send(limittest.New(t).Bind(&Spec, "routes/1", config), headers...); got != want {
			t.Errorf("%s: %s, want %s", config, got, want)
		}
	}
	four := times(4, "")
	f(`{"count":2,"time_window":60,"rejected_code":503,"key":"remote_addr"}`, "200,200,503,503", four...) // limit-count.t 4
	f(`{"count":2,"time_window":60,"key":"server_addr"}`, "200,200,503,503", four...)                     // 19
	f(`{"count":2,"time_window":60}`, "200,200,503,503", four...)                                         // 36
	f(`{"count":1,"time_window":600,"rejected_msg":"Requests are too frequent, please try again later."}`,
		`200,503 {"error_msg":"Requests are too frequent, please try again later."}`, "", "") // limit-count2.t 5
	const a = `{"count":2,"time_window":60,"key":"http_a","key_type":"var"}`
	f(a, "200,200,503,503", times(4, "a: 1")...) // 7
	f(a, "200,200,503,503", four...)             // 8: the client's address
	f(a, "200,200,503,200", "a: 1", "a: 1", "a: 1", "a: 2")
	const ab = `{"count":2,"time_window":60,"key":"$http_a $http_b","key_type":"var_combination"}`
	f(ab, "200,200,503,503", times(4, "a: 1, b: 2")...) // 10
	f(ab, "200,200,503,200", "a: 1", "a: 1", "a: 1", "a: 2")
	f(ab, "200,200,503,503", four...)                                                                           // 12
	f(`{"count":2,"time_window":60,"key":"abcdefgh","key_type":"var_combination"}`, "200,200,503,503", four...) // 14
	f(`{"count":2,"time_window":60,"key":"http_a","key_type":"constant"}`, "200,200,503", "a: 1", "a: 2", "a: 3")
	f(`{"count":2,"time_window":60,"rejected_code":200}`, "200,200,200", "", "", "")
	f(`{"count":1,"time_window":60,"window_type":"sliding"}`, "200,503", "", "")
	// limit-count-variable.t 2, 3, 10, 11
	const variable = `{"count":"${http_count ?? 2}","time_window":"${http_time_window ?? 5}"}`
	f(variable, "200,200,503", "", "", "")
	f(variable, "200,200,200,200,200,503", times(6, "count: 5")...)
	f(variable, "500,500,500,500", "count: 0", "count: -1", "count: 1.5", "count: 9999999999999999")
	f(variable, "500,500,500,500", "time-window: 0", "time_window: -1", "time_window: 1.5", "time_window: 9999999999999999")
	f(strings.Replace(variable, "{", `{"allow_degradation":true,`, 1), "200", "count: 0")
	// limit-count-rules.t 4-9, 11
	const rules = `{"rejected_msg":"rejected","rules":[
		{"key":"${http_user}","count":"${http_jack_count}","time_window":60},
		{"key":"${http_project}","count":"${http_apisix_count}","time_window":60}]}`
	const rejected = `503 {"error_msg":"rejected"}`
	f(rules, "500", "")
	f(strings.Replace(rules, "{", `{"allow_degradation":true,`, 1), "200", "")
	f(rules, "200,200,"+rejected, times(3, "user: jack, jack-count: 2")...)
	f(rules, "200,200,200,"+rejected, times(4, "project: apisix, apisix-count: 3")...)
	f(rules, "200,"+rejected, times(2, "user: jack, jack-count: 1, project: apisix, apisix-count: 3")...)
	f(rules, "500", "user: jack, jack-count: 0")
	f(rules, "500", "user: jack, jack-count: 2, project: apisix") // an applying rule without a number is no rule to skip
	f(`{"rules":[{"count":1,"time_window":10,"key":"${http_project ?? apisix}"}]}`, "200,503,200", "", "", "project: kubernetes")
	// Two rules whose keys come out the same do not share a counter.
	f(`{"rules":[{"count":2,"time_window":10,"key":"$http_a"},{"count":9,"time_window":10,"key":"$http_b"}]}`, "200,200,503", times(3, "a: x, b: x")...)
	f(`{"rules":[]}`, "500", "")
	f(`{"rules":[{"count":1,"time_window":1,"key":"constant"}]}`, "500", "")
}

// TestOwners holds whose requests are counted together (limit-count3.t,
// limit-count2.t 15-20).
func TestOwners(t *testing.T) {
	g := limittest.New(t)
	f := func(source, config, want string, n int) {
		t.Helper()
		if got := send(g.Bind(&Spec, source, config), times(n, "")...); got != want {
			t.Errorf("%s %s: %s, want %s", source, config, got, want)
		}
	}
	const minute = `{"count":2,"time_window":60}`
	f("routes/1", minute, "200,200", 2)
	f("routes/1", `{"time_window": 60, "count": 2, "key": "remote_addr"}`, "503,503", 2) // the same, spelled otherwise
	f("routes/1", `{"count":2,"time_window":61}`, "200,200,503", 3)
	f("routes/1", minute, "503", 1)
	f("routes/2", minute, "200,200,503", 3)
	f("consumers/jack1", minute, "200,200,503", 3)
	f("consumers/jack2", minute, "200,200,503", 3)
	const group = `{"count":2,"time_window":60,"group":"services_1"}`
	f("routes/1", group, "200", 1)
	f("routes/2", group, "200", 1)
	f("routes/1", group, "503", 1)
	f("routes/3", group, "503", 1)
	f("routes/3", `{"count":3,"time_window":60,"group":"services_1"}`, "200,503", 2) // should not be; one counter all the same
	f("routes/3", `{"count":2,"time_window":60,"group":"services_2"}`, "200,200,503", 3)
}

func TestHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := limittest.New(t)
		var p plugin.Accessor
		f := func(headers, prefix, want string) {
			t.Helper()
			c := limittest.Request(headers)
			p.Access(c)
			if got := limittest.Quota(c, prefix); got != want {
				t.Errorf("%s: %s, want %s", headers, got, want)
			}
		}
		p = g.Bind(&Spec, "routes/1", `{"count":2,"time_window":60}`)
		f("", "", "2 1 60")
		time.Sleep(1235 * time.Millisecond)
		f("", "", "2 0 58.76")
		f("", "", "2 0 58.76") // refused
		p = g.Bind(&Spec, "routes/1", `{"count":2,"time_window":60,"show_limit_quota_header":false}`)
		f("", "", "  ")
		// limit-count-rules.t 13-17
		p = g.Bind(&Spec, "routes/1", `{"rules":[{"key":"${http_user}","count":"${http_jack_count}","time_window":60,"header_prefix":"jack"},
			{"key":"${http_project}","count":"${http_apisix_count}","time_window":60}]}`)
		const both = "user: jack, jack-count: 2, project: apisix, apisix-count: 3"
		f("user: jack, jack-count: 2", "jack-", "2 1 60")
		f(both, "jack-", "2 0 60")
		f(both, "2-", "  ") // the first rule has refused
		f("project: apisix, apisix-count: 3", "2-", "3 1 60")
		f("project: apisix, apisix-count: 3", "jack-", "  ")
		// limit-count5.t 5
		g.Metadata = `{"limit_header":"APISIX-RATELIMIT-QUOTA","remaining_header":"X-RateLimit-Remaining","reset_header":"APISIX-RATELIMIT-RESET"}`
		p = g.Bind(&Spec, "routes/1", `{"count":10,"time_window":60}`)
		f("", "", " 9 ")
		c := limittest.Request("")
		p.Access(c)
		if l, r := limittest.Header(c, "APISIX-RATELIMIT-QUOTA"), limittest.Header(c, "APISIX-RATELIMIT-RESET"); l != "10" || r != "60" {
			t.Errorf("limit %s, reset %s", l, r)
		}
		g.Metadata = `{"limit_header":3}`
		p = g.Bind(&Spec, "routes/2", `{"count":10,"time_window":60}`)
		f("", "", "10 9 60")
		if log := g.Log.String(); !strings.Contains(log, "goes without its metadata") {
			t.Errorf("the log has %s", log)
		}
	})
}

func TestInfo(t *testing.T) {
	g := limittest.New(t)
	v, _ := plugin.LookupVar("rate_limiting_info")
	f := func(source, config, headers, want string) {
		t.Helper()
		c := limittest.Request(headers)
		g.Bind(&Spec, source, config).Access(c)
		got, _ := v(c, nil)
		if hash := strings.Split(string(got), ":"); len(hash) > 3 && len(hash[2]) == 12 { // of the configuration
			got = []byte(strings.Replace(string(got), hash[2], "HASH", 1))
		}
		if string(got) != want {
			t.Errorf("%s %s: %s, want %s", source, config, got, want)
		}
	}
	const host = `{"count":2,"time_window":10,"key":"http_host"}`
	f("routes/1", host, "", `{"rate_limiting_key":"/apisix/routes/1:HASH:test.com","rate_limiting_limit":2,"rate_limiting_remaining":1,"rate_limiting_reset":10}`)
	f("routes/1", host, "", `{"rate_limiting_key":"/apisix/routes/1:HASH:test.com","rate_limiting_limit":2,"rate_limiting_remaining":0,"rate_limiting_reset":9}`)
	f("routes/2", `{"count":2,"time_window":10,"group":"g"}`, "", `{"rate_limiting_key":"g:192.0.2.1","rate_limiting_limit":2,"rate_limiting_remaining":1,"rate_limiting_reset":10}`)
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Validate([]byte(raw))
		if err == nil {
			err = errors.New("")
		}
		if err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	f(`{"count":2,"time_window":60}`, "")
	f(`{"count":2,"time_window":60,"key":""}`, "") // limit-count.t 2
	f(`{"count":2.0,"time_window":"10"}`, "")
	const none = "value should match only one schema, but matches none"
	f(`{"time_window":60}`, none) // limit-count.t 8
	f(`{}`, none)
	f(`{"count":-100,"time_window":60}`, `property "count" validation failed: `+none)   // 9
	f(`{"count":0,"time_window":60}`, `property "count" validation failed: `+none)      // 41
	f(`{"count":2,"time_window":0}`, `property "time_window" validation failed: `+none) // 42
	f(`{"count":2,"time_window":60,"rejected_msg":true}`, `property "rejected_msg" validation failed: wrong type: expected string, got boolean`)
	f(`{"count":2,"time_window":60,"rejected_msg":""}`, `property "rejected_msg" validation failed: string too short, expected at least 1, got 0`)
	f(`{"count":2,"time_window":60,"rejected_code":199}`, `property "rejected_code" validation failed: expected 199 to be at least 200`)
	f(`{"count":2,"time_window":60,"policy":"memcached"}`, `property "policy" validation failed: matches none of the enum values`)
	f(`{"count":2,"time_window":60,"key_type":"x"}`, `property "key_type" validation failed: matches none of the enum values`)
	// limit-count-rules.t 1, 2
	const rule = `"rules":[{"count":1,"time_window":10,"key":"${http_company}"}]`
	f(`{"count":2,"time_window":5,`+rule+`}`, "count/time_window and rules cannot be specified at the same time")
	f(`{"count":2,`+rule+`}`, "count/time_window and rules cannot be specified at the same time")
	f(`{"group":"g",`+rule+`}`, "group and rules cannot be specified at the same time")
	f(`{"rules":[{"count":1,"time_window":10,"key":"${http_company}"},{"count":8,"time_window":20,"key":"${http_company}"}]}`, "duplicate key '${http_company}' in rules")
	f(`{"rules":[{"count":1,"key":"a"}]}`, `property "rules" validation failed: failed to validate item 1: property "time_window" is required`)
	// limit-count-redis.t 1, limit-count-redis-cluster.t 1 and others
	f(`{"count":2,"time_window":60,"policy":"redis"}`, "then clause did not match")
	f(`{"count":2,"time_window":60,"policy":"redis-cluster","redis_cluster_nodes":["127.0.0.1:5000"]}`, "else clause did not match")
	f(`{"count":2,"time_window":60,"policy":"redis-sentinel","redis_sentinels":[{"host":"127.0.0.1","port":26379}]}`, "else clause did not match")
	const redis = `"count":2,"time_window":60,"policy":"redis","redis_host":"127.0.0.1"`
	f(`{`+redis+`}`, "")
	f(`{`+redis+`,"sync_interval":0.1}`, "")
	f(`{`+redis+`,"sync_interval":0.09}`, "sync_interval should not be smaller than 0.1")
	f(`{`+redis+`,"sync_interval":60}`, "sync_interval should be smaller than time_window")
	f(`{"count":2,"time_window":60,"sync_interval":60}`, "") // of no account where counters are local
	f(`{"count":2,"time_window":60,"policy":"redis-cluster","redis_cluster_nodes":["127.0.0.1:5000"],"redis_cluster_name":"c"}`, "")
	f(`{"count":2,"time_window":60,"policy":"redis-sentinel","redis_sentinels":[{"host":"127.0.0.1","port":26379}],"redis_master_name":"m"}`, "")

	w := func(raw string, want ...string) {
		t.Helper()
		if got := Spec.Warn([]byte(raw)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
	}
	w(`{"count":1,"time_window":1}`)
	w(`{"rules":[{"count":1,"time_window":1,"key":"$a"},{"count":1,"time_window":1,"key":"a"}],"_meta":{"priority":1}}`, "rule 2 never applies: its key has no variable")
	w(`{"policy":"redis-sentinel","redis_role":"slave"}`, "redis_role slave: a replica takes no writes unless it is told to, so nothing can be counted there")
	w(`{`)
}

// TestSecrets holds that references are resolved and that a route whose secret
// is missing lets nothing pass uncounted.
func TestSecrets(t *testing.T) {
	g := limittest.New(t)
	g.Env["LIMIT_COUNT_KEY"] = "http_a"
	f := func(config, want string) {
		t.Helper()
		if got := send(g.Bind(&Spec, "routes/1", config), "a: 1", "a: 1", "a: 2"); got != want {
			t.Errorf("%s: %s, want %s", config, got, want)
		}
	}
	f(`{"count":1,"time_window":60,"key":"$ENV://LIMIT_COUNT_KEY"}`, "200,503,200") // limit-count5.t 3
	const missing = `{"count":1,"time_window":60,"policy":"redis","redis_host":"127.0.0.1","redis_password":"$env://NONE"}`
	const fault = `500 {"error_msg":"failed to limit count"}`
	f(missing, fault+","+fault+","+fault)
	f(strings.Replace(missing, "{", `{"allow_degradation":true,`, 1), "200,200,200")
	if log := g.Log.String(); !strings.Contains(log, "NONE") {
		t.Errorf("the log has %s", log)
	}
}

func TestBudgetAccess(t *testing.T) {
	g := limittest.New(t)
	f := func(config string) {
		t.Helper()
		p := g.Bind(&Spec, "routes/1", config)
		c := limittest.Request("user: jack, project: apisix")
		n := testing.AllocsPerRun(100, func() {
			if p.Access(c) != 0 {
				t.Fatal("refused")
			}
		})
		if n > 0 && !underRace {
			t.Errorf("%s: %v allocations for a request", config, n)
		}
	}
	f(`{"count":1000000,"time_window":3600}`)
	f(`{"count":1000000,"time_window":3600,"window_type":"sliding","key":"$http_user $remote_addr","key_type":"var_combination"}`)
	f(`{"rules":[{"count":"${http_none ?? 1000000}","time_window":"3600","key":"$http_user"},{"count":1000000,"time_window":60,"key":"${http_project}"}]}`)
}
