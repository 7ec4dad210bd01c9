package consumerrestriction

import (
	"fmt"
	"strings"
	"testing"

	"headrace/plugin"
)

var jack1 = &plugin.Consumer{Name: "jack1", Group: "group1"}

func bind(t *testing.T, config string) plugin.Accessor {
	t.Helper()
	b, err := Spec.Bind([]byte(config), &plugin.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Value.(plugin.Accessor)
}

func TestAccess(t *testing.T) {
	f := func(config string, who *plugin.Consumer, method, want string) {
		t.Helper()
		c := &plugin.Ctx{Info: &plugin.Info{RouteID: "r1", ServiceID: "s1"}, Consumer: who, Req: plugin.Request{Method: []byte(method)}}
		got := ""
		if v := bind(t, config).Access(c); v != 0 {
			got = fmt.Sprintf("%d %s", v, c.Answer().Body)
			if a := c.Answer(); a.ContentType != plugin.JSON {
				t.Errorf("content type %q", a.ContentType)
			}
		}
		if got != want {
			t.Errorf("%s %v %s: %s, want %s", config, who, method, got, want)
		}
	}
	jack2, nobody := &plugin.Consumer{Name: "jack2", Group: "group2"}, (*plugin.Consumer)(nil)
	forbidden := func(what string) string { return `403 {"message":"The ` + what + ` is forbidden."}` + "\n" }
	unknown := func(what string) string {
		return `401 {"message":"The request is rejected, please check the ` + what + ` for this request"}` + "\n"
	}
	const message = `403 {"message":"request is forbidden"}` + "\n"

	// consumer-restriction.t 5-20.
	white := `{"whitelist":["jack1"]}`
	f(white, jack1, "GET", "")
	f(white, jack2, "GET", forbidden("consumer_name"))
	f(white, nobody, "GET", unknown("consumer_name"))
	black := `{"blacklist":["jack1"],"rejected_msg":"request is forbidden"}`
	f(black, jack1, "GET", message)
	f(black, jack2, "GET", "")
	f(black, nobody, "GET", unknown("consumer_name"))
	f(`{"blacklist":["jack1"],"rejected_msg":"say \"no\"/\n","rejected_code":418}`, jack1, "GET", `418 {"message":"say \"no\"/\n"}`+"\n")
	// 21-30.
	f(`{"allowed_by_methods":[{"user":"jack1","methods":["POST"]}]}`, jack1, "GET", forbidden("consumer_name"))
	f(`{"allowed_by_methods":[{"user":"jack1","methods":["POST","GET"]}]}`, jack1, "GET", "")
	f(`{"allowed_by_methods":[{"user":"jack1","methods":["POST"]}]}`, jack2, "GET", "")
	f(`{"allowed_by_methods":[{"user":"jack1","methods":["POST"]},{"user":"jack1","methods":["GET"]}]}`, jack1, "GET", forbidden("consumer_name"))
	f(`{"allowed_by_methods":[{"user":"jack1"}]}`, jack1, "GET", forbidden("consumer_name"))
	f(`{"allowed_by_methods":[{"methods":["POST"]},{}]}`, jack1, "GET", "")
	both := `{"blacklist":["jack1"],"allowed_by_methods":[{"user":"jack1","methods":["POST","GET"]}]}`
	f(both, jack1, "GET", forbidden("consumer_name"))
	f(both, jack2, "GET", "")
	both = `{"whitelist":["jack1"],"allowed_by_methods":[{"user":"jack1","methods":["POST"]},{"user":"jack2","methods":["GET"]}]}`
	f(both, jack1, "GET", "")
	f(both, jack2, "GET", forbidden("consumer_name"))
	f(`{"whitelist":["jack1"],"blacklist":["jack1"]}`, jack1, "GET", forbidden("consumer_name"))
	// 36-50; a route or service is known without any consumer.
	f(`{"type":"service_id","whitelist":["s1"],"rejected_code":401}`, nobody, "GET", "")
	f(`{"type":"service_id","whitelist":["s2"],"rejected_code":401}`, nobody, "GET", `401 {"message":"The service_id is forbidden."}`+"\n")
	f(`{"type":"service_id","blacklist":["s1"]}`, nobody, "GET", forbidden("service_id"))
	f(`{"type":"route_id","blacklist":["r1"],"rejected_code":401}`, nobody, "GET", `401 {"message":"The route_id is forbidden."}`+"\n")
	f(`{"type":"route_id","whitelist":["r1"]}`, nobody, "GET", "")
	// consumer-restriction2.t 6-18.
	f(`{"type":"consumer_group_id","whitelist":["group1"]}`, jack1, "GET", "")
	f(`{"type":"consumer_group_id","whitelist":["group1"]}`, jack2, "GET", forbidden("consumer_group_id"))
	f(`{"type":"consumer_group_id","blacklist":["group1"],"rejected_msg":"request is forbidden"}`, jack1, "GET", message)
	f(`{"type":"consumer_group_id","blacklist":["group1"]}`, jack2, "GET", "")
	f(`{"type":"consumer_group_id","blacklist":["group1"]}`, &plugin.Consumer{Name: "jack3"}, "GET", unknown("consumer_group_id"))
	f(`{"type":"consumer_group_id","blacklist":["group1"]}`, nobody, "GET", unknown("consumer_group_id"))
}

func TestNoService(t *testing.T) {
	for kind, config := range map[string]string{
		"service_id": `{"type":"service_id","blacklist":["1"],"rejected_msg":"no"}`,
		"route_id":   `{"type":"route_id","blacklist":["1"]}`, // a global rule without a route
	} {
		c := &plugin.Ctx{Info: &plugin.Info{}}
		if v := bind(t, config).Access(c); v != 401 || !strings.Contains(string(c.Answer().Body), "please check the "+kind+" for this request") {
			t.Errorf("%s: %d %s", config, v, c.Answer().Body)
		}
	}
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Validate([]byte(raw))
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	f(`{"title":"whitelist","whitelist":["jack1","jack2"]}`, "")                   // consumer-restriction.t 1
	f(`{"whitelist":["jack1"],"blacklist":["jack2"],"allowed_by_methods":[]}`, "") // 2
	f(`{}`, `object matches none of the required: ["blacklist"] or ["whitelist"] or ["allowed_by_methods"]`)
	f(`{"whitelist":[]}`, `property "whitelist" validation failed: expect array to have at least 1 items`)
	f(`{"type":"name","whitelist":["a"]}`, `property "type" validation failed: matches none of the enum values`)
	f(`{"whitelist":["a"],"rejected_code":100}`, `property "rejected_code" validation failed: expected 100 to be at least 200`)
	f(`{"whitelist":["a"],"rejected_code":65536}`, `property "rejected_code" validation failed: expected 65536 to be at most 599`)
	f(`{"allowed_by_methods":[{"user":"a","methods":["GOT"]}]}`,
		`property "allowed_by_methods" validation failed: failed to validate item 1: property "methods" validation failed: failed to validate item 1: matches none of the enum values`)
}

func TestUnknownType(t *testing.T) {
	_, err := Spec.Bind([]byte(`{"type":"$env://TYPE","whitelist":["a"]}`), &plugin.Env{Resolve: func(string) (string, error) { return "rout_id", nil }})
	if err == nil || err.Error() != "unknown type" {
		t.Error(err)
	}
}

func TestBudget(t *testing.T) {
	c := &plugin.Ctx{Info: &plugin.Info{}, Consumer: jack1, Req: plugin.Request{Method: []byte("GET")}}
	for _, config := range []string{`{"whitelist":["jack1"]}`, `{"blacklist":["x"],"allowed_by_methods":[{"user":"jack1","methods":["GET"]}]}`} {
		r := bind(t, config)
		if n := testing.AllocsPerRun(100, func() {
			if r.Access(c) != 0 {
				t.Fatal("refused")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", config, n)
		}
	}
}
