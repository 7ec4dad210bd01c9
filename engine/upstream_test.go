package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"headrace/conf"
)

// node starts an upstream and returns its address.
func (r *rig) node(h http.HandlerFunc) string {
	r.t.Helper()
	s := httptest.NewServer(h)
	r.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// named starts an upstream that answers with its name.
func (r *rig) named(name string) string {
	return r.node(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

// proxied stores a route to an ordinary upstream; extra are members of the route.
func (r *rig) proxied(id, uri, upstream, extra string) {
	r.src.put(conf.Routes, id, fmt.Sprintf(`{"id":%q,"uri":%q,"upstream":%s%s}`, id, uri, upstream, extra))
}

// refused is an address where nobody listens.
func refused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// spread sends n requests and counts the bodies.
func (r *rig) spread(n int, path string, headers ...string) map[string]int {
	r.t.Helper()
	seen := map[string]int{}
	for range n {
		resp, body := r.do("GET", path, "", headers...)
		if resp.StatusCode != 200 {
			r.t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		seen[body]++
	}
	return seen
}

func TestUpstreamNodes(t *testing.T) {
	r := newRig(t, Options{})
	a, b := r.named("a"), r.named("b")
	f := func(upstream string, wantA, wantB int) {
		t.Helper()
		r.proxied("1", "/n", upstream, "")
		if got := r.spread(wantA+wantB, "/n"); got["a"] != wantA || got["b"] != wantB {
			t.Errorf("%s: %v, want %d and %d", upstream, got, wantA, wantB)
		}
	}
	host, port, _ := net.SplitHostPort(b)
	f(fmt.Sprintf(`{"nodes":{%q:4,%q:1}}`, a, b), 8, 2)
	f(fmt.Sprintf(`{"nodes":{%q:1,%q:0}}`, a, b), 5, 0)
	f(fmt.Sprintf(`{"type":"roundrobin","nodes":[{"host":"127.0.0.1","port":%s,"weight":1},{"host":%q,"port":%s,"weight":3}]}`, strings.TrimPrefix(a, "127.0.0.1:"), host, port), 5, 15)
	f(fmt.Sprintf(`{"nodes":[{"host":"127.0.0.1","port":%s,"weight":1,"priority":-1},{"host":%q,"port":%s,"weight":1}]}`, strings.TrimPrefix(a, "127.0.0.1:"), host, port), 0, 6)
	f(fmt.Sprintf(`{"type":"ewma","nodes":{%q:1,%q:1}}`, a, b), 4, 4)
}

// The rotation goes on over a change of the route that leaves the nodes alone.
func TestUpstreamRotationKept(t *testing.T) {
	for _, cache := range []int64{0, -1} {
		r := newRig(t, Options{RouteCacheBytes: cache})
		up := fmt.Sprintf(`{"nodes":{%q:1,%q:1,%q:1}}`, r.named("a"), r.named("b"), r.named("c"))
		seen := map[string]int{}
		for i := range 9 {
			r.proxied("1", "/n", up, fmt.Sprintf(`,"desc":"%d"`, i))
			_, body := r.do("GET", "/n", "")
			seen[body]++
		}
		if seen["a"] != 3 || seen["b"] != 3 || seen["c"] != 3 {
			t.Errorf("cache %d: %v over nine reloads, want 3 each", cache, seen)
		}
	}
}

func TestUpstreamHash(t *testing.T) {
	r := newRig(t, Options{})
	var nodes []string
	for i := range 5 {
		nodes = append(nodes, fmt.Sprintf(`%q:1`, r.named(fmt.Sprint(i))))
	}
	all := "{" + strings.Join(nodes, ",") + "}"
	f := func(how string, request func(i int) (path string, headers []string), many bool) {
		t.Helper()
		r.proxied("1", "/n", `{"type":"chash","nodes":`+all+`,`+how+`}`, "")
		owners := map[string]bool{}
		for i := range 20 {
			path, headers := request(i)
			got := r.spread(3, path, headers...)
			if len(got) != 1 {
				t.Errorf("%s: key %d goes to %v", how, i, got)
			}
			for o := range got {
				owners[o] = true
			}
		}
		if (len(owners) > 1) != many {
			t.Errorf("%s: owners %v", how, owners)
		}
	}
	f(`"key":"arg_k"`, func(i int) (string, []string) { return fmt.Sprintf("/n?k=%d", i), nil }, true)
	f(`"hash_on":"header","key":"X-Session"`, func(i int) (string, []string) { return "/n", []string{"X-Session", fmt.Sprint(i)} }, true)
	f(`"hash_on":"cookie","key":"sid"`, func(i int) (string, []string) { return "/n", []string{"Cookie", fmt.Sprintf("a=b; sid=%d", i)} }, true)
	f(`"hash_on":"vars_combinations","key":"$request_method-$arg_k"`, func(i int) (string, []string) { return fmt.Sprintf("/n?k=%d", i), nil }, true)
	f(`"hash_on":"consumer"`, func(i int) (string, []string) { return fmt.Sprintf("/n?k=%d", i), nil }, false)
	f(`"hash_on":"header","key":"X-Absent"`, func(i int) (string, []string) { return fmt.Sprintf("/n?k=%d", i), nil }, false) // remote_addr
}

func TestUpstreamID(t *testing.T) {
	r := newRig(t, Options{})
	a, b := r.named("a"), r.named("b")
	f := func(wantStatus int, wantBody string) {
		t.Helper()
		for _, path := range []string{"/1", "/2"} {
			if resp, body := r.do("GET", path, ""); resp.StatusCode != wantStatus || body != wantBody {
				t.Errorf("%s: %d %q, want %d %q", path, resp.StatusCode, body, wantStatus, wantBody)
			}
		}
	}
	for _, id := range []string{"1", "2"} {
		r.src.put(conf.Routes, id, fmt.Sprintf(`{"id":%q,"uri":"/%s","upstream_id":7}`, id, id))
	}
	f(503, "")
	r.src.put(conf.Upstreams, "7", fmt.Sprintf(`{"id":7,"nodes":{%q:1}}`, a))
	f(200, "a")
	r.src.put(conf.Upstreams, "7", fmt.Sprintf(`{"id":7,"nodes":{%q:1}}`, b))
	f(200, "b")
	r.src.put(conf.Upstreams, "7", `{"id":7,"nodes":{"x":-1}}`) // a bad one leaves the last good one
	f(200, "b")
	r.src.put(conf.Upstreams, "7", `{"id":7,"type":"chash","nodes":{"x:1":1}}`)
	f(200, "b")
	r.src.put(conf.Upstreams, "7", `{"id":7,"scheme":"grpc","nodes":{"x:1":1}}`)
	f(503, "")
	r.src.put(conf.Upstreams, "7", `{"id":7,"nodes":[]}`)
	f(503, "")
	r.src.put(conf.Upstreams, "7", fmt.Sprintf(`{"id":7,"nodes":{%q:1}}`, a))
	f(200, "a")
	if n := len(r.e.Snapshot().Items(conf.Upstreams)); n != 1 {
		t.Errorf("%d upstreams in force", n)
	}
	r.src.put(conf.Upstreams, "7", "")
	f(503, "")
	if it, ok := r.e.Snapshot().Item(conf.Upstreams, "7"); ok {
		t.Errorf("deleted: %+v", it)
	}
}

// A list that is loaded anew takes away what it does not have.
func TestUpstreamResync(t *testing.T) {
	r := newRig(t, Options{})
	r.src.put(conf.Upstreams, "1", `{"nodes":{"a:1":1}}`)
	r.src.put(conf.Upstreams, "2", `{"nodes":{"b:1":1}}`)
	r.src.put(conf.GlobalRules, "1", `{"id":"1","plugins":{}}`)
	r.e.load([]conf.Item{{Kind: conf.Upstreams, ID: "2", Raw: []byte(`{"nodes":{"c:1":1}}`), Rev: 9}}, 9)
	s := r.e.Snapshot()
	if ups := s.Items(conf.Upstreams); len(ups) != 1 || ups[0].Rev != 9 || len(s.Items(conf.GlobalRules)) != 0 {
		t.Errorf("upstreams %v, rules %v", ups, s.Items(conf.GlobalRules))
	}
}

// Changes of nodes under traffic lose no request.
func TestUpstreamReload(t *testing.T) {
	r := newRig(t, Options{})
	a, b := r.named("a"), r.named("b")
	put := func(i int) {
		r.src.put(conf.Upstreams, "1", fmt.Sprintf(`{"nodes":{%q:%d,%q:%d}}`, a, 1+i%3, b, 1+i%2))
	}
	put(0)
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/n","upstream_id":"1"}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if resp, body := r.do("GET", "/n", ""); resp.StatusCode != 200 {
					t.Errorf("%d %s", resp.StatusCode, body)
					return
				}
			}
		})
	}
	for i := range 200 {
		put(i)
	}
	wg.Wait()
}

// What an upstream resource or the one of a route may say.
func TestUpstreamFindings(t *testing.T) {
	reg := NewRegistry(nil, nil)
	f := func(raw string, level Level, text string) {
		t.Helper()
		for _, it := range []conf.Item{
			{Kind: conf.Upstreams, ID: "1", Raw: []byte(raw)},
			{Kind: conf.Routes, ID: "1", Raw: []byte(`{"uri":"/","upstream":` + raw + `}`)},
		} {
			found := reg.CheckItem(it)
			if text == "" {
				if len(found) > 0 {
					t.Errorf("%s %s: %v", it.Kind, raw, found)
				}
				continue
			}
			if len(found) != 1 || found[0].Level != level || !strings.Contains(found[0].Text, text) {
				t.Errorf("%s %s: %v, want %d %q", it.Kind, raw, found, level, text)
			}
		}
	}
	f(`{"nodes":{"a:80":1}}`, 0, "")
	f(`{"nodes":{"a":1},"type":"chash","key":"uri","tls":{"verify":true},"keepalive_pool":{"size":1,"idle_timeout":0,"requests":1},"retries":0,"retry_timeout":1}`, 0, "")
	f(`{"nodes":{"a":1},"type":"chash","hash_on":"consumer"}`, 0, "")
	f(`{"nodes":{"a":1},"type":"chash"}`, Invalid, "missing key")
	f(`{"nodes":{"a":1},"type":"chash","key":"nothing"}`, Invalid, "invalid configuration: failed to match pattern")
	f(`{"nodes":{"a":1},"type":"chash","hash_on":"header","key":"a b"}`, Invalid, "invalid configuration: failed to match pattern")
	f(`{"nodes":{"a":1},"type":"random"}`, Invalid, "unknown balancer: random")
	f(`{"nodes":{"a":1},"pass_host":"rewrite"}`, Invalid, "`upstream_host` can't be empty when `pass_host` is `rewrite`")
	f(`{"nodes":{"a:b":1}}`, Invalid, `expected an address and a weight at "a:b"`)
	f(`{"nodes":{"a":1},"scheme":"grpc"}`, Refused, "upstream scheme grpc is not supported")
	f(`{"service_name":"x","discovery_type":"dns"}`, Refused, "service_name and discovery_type are not supported")
	f(`{"nodes":{"a":1},"tls":{"client_cert_id":"1"}}`, Refused, "client certificates for upstreams are not supported yet")
	f(`{"nodes":{"a":1},"type":"least_conn"}`, Warned, "upstream type least_conn is not supported yet")
	f(`{"nodes":{"a":1},"checks":{"active":{}}}`, Warned, "health checks of upstreams are not supported yet")

	ai := `{"uri":"/","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"A":"b"}}}},"upstream":{"nodes":{"a":1},"scheme":"grpc"}}`
	if found := reg.CheckItem(conf.Item{Kind: conf.Routes, ID: "1", Raw: []byte(ai)}); worst(found, Refused) != nil {
		t.Errorf("beside an AI proxy: %v", found)
	}
}
