package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"headrace/engine"
	"headrace/lb"
)

func TestHealthcheck(t *testing.T) {
	g := newGate(t, nil)
	g.do("PUT /routes/1", `{"uri":"/a","plugins":{"test-plugin":{"n":1}}}`)
	c := NewControl(ControlOptions{
		Registry: g.engine.Registry(), Snapshot: g.engine.Snapshot,
		Health: func() []engine.Health {
			return []engine.Health{{
				Name: "/routes/1#plugins['ai-proxy-multi'].instances[0]", Route: "1", Type: "http",
				Nodes: []lb.NodeStatus{
					{Node: lb.Node{IP: "127.0.0.1", Port: 80}, State: lb.Unhealthy, Counters: lb.Counters{HTTPFailure: 5}},
					{Node: lb.Node{IP: "127.0.0.2", Port: 80, Host: "h.test"}},
				},
			}}
		},
	})
	client := serve(t, c.Handler, "127.0.0.1:4711")
	_, all := exchange(t, client, "GET", "/v1/healthcheck", "")
	_, one := exchange(t, client, "GET", "/v1/healthcheck/routes/1", "")
	want := `{"name":"/routes/1#plugins['ai-proxy-multi'].instances[0]","type":"http","nodes":[` +
		`{"ip":"127.0.0.1","hostname":"127.0.0.1","port":80,"status":"unhealthy","counter":{"success":0,"http_failure":5,"tcp_failure":0,"timeout_failure":0}},` +
		`{"ip":"127.0.0.2","hostname":"h.test","port":80,"status":"healthy","counter":{"success":0,"http_failure":0,"tcp_failure":0,"timeout_failure":0}}]}`
	same := func(got, want string) {
		t.Helper()
		var a, b any
		if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
			t.Fatalf("no JSON: %s", got)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Errorf("got\n%s\nwant\n%s", x, y)
		}
	}
	same(all, "["+want+"]")
	same(one, want)
	res, page := exchange(t, client, "GET", "/v1/healthcheck", "", "Accept", "text/html")
	if res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page, "<td>h.test 127.0.0.2:80<td class=\"healthy\">healthy") {
		t.Errorf("%v\n%s", res.Header, page)
	}
}
