package limitreq

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit/limittest"
)

// send sends a request and returns its status and how long it was delayed.
func send(p plugin.Accessor, headers string) string {
	c := limittest.Request(headers)
	got := limittest.Outcome(c, p.Access(c))
	if d := c.Owner.(*limittest.Client).Slept; d > 0 {
		got += " " + d.Round(time.Millisecond).String()
	}
	return got
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := limittest.New(t)
		var p plugin.Accessor
		f := func(headers string, want ...string) {
			t.Helper()
			for i, w := range want {
				if got := send(p, headers); got != w {
					t.Errorf("request %d: %s, want %s", i, got, w)
				}
			}
		}
		// limit-req.t
		p = g.Bind(&Spec, "routes/1", `{"rate":4,"burst":2,"key":"remote_addr"}`)
		f("", "200", "200 250ms", "200 500ms", "503", "503")
		time.Sleep(250 * time.Millisecond)
		f("", "200 500ms", "503")
		p = g.Bind(&Spec, "routes/1", `{"rate":0.1,"burst":0.1,"rejected_code":429,"rejected_msg":"slow down","key":"remote_addr"}`)
		f("", "200", `429 {"error_msg":"slow down"}`)
		p = g.Bind(&Spec, "routes/1", `{"rate":1,"burst":2,"key":"remote_addr","nodelay":true}`)
		f("", "200", "200", "200", "503")
		p = g.Bind(&Spec, "routes/1", `{"rate":1,"burst":0,"key":"$http_a $http_b","key_type":"var_combination"}`)
		f("a: 1, b: 2", "200", "503")
		f("a: 1, b: 3", "200", "503")
		f("", "200", "503") // the client's address
		p = g.Bind(&Spec, "routes/2", `{"rate":1,"burst":0,"key":"$http_a $http_b","key_type":"var_combination"}`)
		f("", "200", "503")
		// Delays that nobody feels are none.
		p = g.Bind(&Spec, "routes/2", `{"rate":10000,"burst":10000,"key":"remote_addr"}`)
		f("", "200", "200", "200")
	})
}

func TestClientGone(t *testing.T) {
	g := limittest.New(t)
	p := g.Bind(&Spec, "routes/1", `{"rate":1,"burst":10,"key":"remote_addr"}`)
	send(p, "")
	c := limittest.Request("")
	c.Owner.(*limittest.Client).Gone = true
	if v := p.Access(c); v != plugin.Gone {
		t.Errorf("verdict %d for a client that has left", v)
	}
}

func TestFailure(t *testing.T) {
	g := limittest.New(t)
	const down = `{"rate":1,"burst":0,"key":"remote_addr","policy":"redis","redis_host":"127.0.0.1","redis_port":1,"redis_password":"topsecret"}`
	if got := send(g.Bind(&Spec, "routes/1", down), ""); got != "500" {
		t.Errorf("without a redis: %s", got)
	}
	if got := send(g.Bind(&Spec, "routes/1", strings.Replace(down, "{", `{"allow_degradation":true,`, 1)), ""); got != "200" {
		t.Errorf("degraded: %s", got)
	}
	if log := g.Log.String(); strings.Count(log, "failed to limit req") != 2 || strings.Contains(log, "topsecret") {
		t.Errorf("the log has %s", log)
	}
	p := g.Bind(&Spec, "routes/1", strings.Replace(down, "topsecret", "$env://NONE", 1))
	for range 3 {
		if got := send(p, ""); got != "500" {
			t.Errorf("without a secret: %s", got)
		}
	}
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
	f(`{"rate":1,"burst":0,"key":"remote_addr"}`, "")
	f(`{"rate":0.1,"burst":0.5,"key":""}`, "")
	f(`{"rate":-1,"burst":0.1,"key":"remote_addr"}`, `property "rate" validation failed: expected -1 to be greater than 0`) // limit-req.t
	f(`{"rate":0,"burst":0,"key":"remote_addr"}`, `property "rate" validation failed: expected 0 to be greater than 0`)
	f(`{"rate":1,"burst":-1,"key":"remote_addr"}`, `property "burst" validation failed: expected -1 to be at least 0`)
	f(`{"rate":1,"burst":0}`, `property "key" is required`)
	f(`{"rate":1,"burst":0,"key":"a","key_type":"constant"}`, `property "key_type" validation failed: matches none of the enum values`)
	f(`{"rate":1,"burst":0,"key":"a","policy":"redis"}`, "then clause did not match") // limit-req-redis.t
	f(`{"rate":1,"burst":0,"key":"a","policy":"redis-cluster","redis_cluster_name":"c"}`, "else clause did not match")
	f(`{"rate":1,"burst":0,"key":"a","policy":"redis-sentinel"}`, `property "policy" validation failed: matches none of the enum values`)
}

func TestBudgetAccess(t *testing.T) {
	p := limittest.New(t).Bind(&Spec, "routes/1", `{"rate":1e9,"burst":1e9,"key":"remote_addr","nodelay":true}`)
	c := limittest.Request("")
	if n := testing.AllocsPerRun(100, func() { p.Access(c) }); n > 0 && !underRace {
		t.Errorf("%v allocations for a request", n)
	}
}
