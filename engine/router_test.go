package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/plugin"
)

// linear is the slow twin of router: a list of rules, tried in the order of
// gateway.md 1.3 as it is written there.
type linear struct {
	entries       []*entry
	byURI, params bool
}

func (l *linear) find(req *plugin.Request) string {
	host := strings.ToLower(string(plugin.HostOnly(req.Host)))
	type cand struct {
		e       *entry
		pattern string
		level   int // 0 exact host, 1 wildcard, 2 none
		suffix  int
	}
	var all []cand
	for _, e := range l.entries {
		for _, u := range e.uris {
			fits := len(e.hosts) == 0
			if fits {
				all = append(all, cand{e, u, 2, 0})
			}
			for _, h := range e.hosts {
				c := cand{e, u, 0, 0}
				if tail, wild := strings.CutPrefix(h, "*"); wild && strings.HasSuffix(host, tail) {
					c.level, c.suffix = 1, len(tail)
				} else if h != host {
					continue
				}
				if l.byURI {
					c.level, c.suffix = 0, 0
				}
				if !l.byURI || !fits {
					all = append(all, c)
				}
				fits = true
			}
		}
	}
	if l.byURI {
		for i := range all {
			all[i].level = 0
		}
	}
	slices.SortStableFunc(all, func(a, b cand) int {
		if a.level != b.level {
			return a.level - b.level
		}
		if a.suffix != b.suffix {
			return b.suffix - a.suffix
		}
		la, sa := l.literal(a.pattern)
		lb, sb := l.literal(b.pattern)
		if sa != sb { // exact first
			if !sa {
				return -1
			}
			return 1
		}
		if len(la) != len(lb) {
			return len(lb) - len(la)
		}
		if a.e.priority != b.e.priority {
			return b.e.priority - a.e.priority
		}
		if len(a.pattern) != len(b.pattern) {
			return len(b.pattern) - len(a.pattern)
		}
		return int(a.e.seq) - int(b.e.seq)
	})
	for _, c := range all {
		if l.pathFits(c.pattern, string(req.Path)) && (c.e.methods == 0 || c.e.methods&methodBit(req.Method) != 0) && conditionsTwin(c.e, req) {
			return c.e.id
		}
	}
	return ""
}

// literal is the beginning of a pattern that the order goes by.
func (l *linear) literal(pattern string) (lit string, more bool) {
	end := strings.IndexByte(pattern, '*')
	if i := strings.Index(pattern, "/:"); l.params && i >= 0 && (end < 0 || i < end) {
		end = i + 1
	}
	if end < 0 {
		return pattern, false
	}
	return pattern[:end], true
}

func (l *linear) pathFits(pattern, path string) bool {
	lit, more := l.literal(pattern)
	switch {
	case !more:
		return lit == path
	case l.params:
		return paramTwin(pattern).MatchString(latin1(path))
	}
	return strings.HasPrefix(path, lit) && globMatch(pattern, []byte(path))
}

// varsTwin has the expressions of random routes and what they mean.
var varsTwin = map[string]func(req *plugin.Request) bool{
	`[["arg_m","==","a"]]`:           func(r *plugin.Request) bool { return string(r.Query) == "m=a" },
	`[["arg_m","!","in",["a","b"]]]`: func(r *plugin.Request) bool { return string(r.Query) == "" },
	`["OR",["arg_m","b"],["uri","~~","c$"]]`: func(r *plugin.Request) bool {
		return string(r.Query) == "m=b" || strings.HasSuffix(string(r.Path), "c")
	},
	`[["consumer_name","==",null]]`: func(*plugin.Request) bool { return true },
	`[["uri_param_id","~=",null]]`:  func(*plugin.Request) bool { return false }, // set when the route is found
}

// conditionsTwin checks address and variables by other means than the router.
func conditionsTwin(e *entry, req *plugin.Request) bool {
	if e.when == nil {
		return true
	}
	inside := len(e.when.addrs) == 0
	for _, p := range e.when.addrs {
		_, block, err := net.ParseCIDR(p.String())
		inside = inside || err == nil && block.Contains(req.Remote.Addr().AsSlice())
	}
	return inside && (e.when.vars == nil || varsTwin[string(e.when.vars)](req))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomEntry(r *rand.Rand, i int) *entry {
	e := &entry{id: fmt.Sprint(i), seq: uint64(i), priority: r.IntN(3)}
	for range 1 + r.IntN(2) {
		u := pick(r, "/", "/a", "/a/", "/a/b", "/ab", "/a/*", "/a*", "/*", "/a/*/b", "/a/b*", "/b/*/c/*", "/a/b/c", "/a/:id", "/:x/b", "/a/:id/*", "/b/*rest")
		if !slices.Contains(e.uris, u) {
			e.uris = append(e.uris, u)
		}
	}
	for range r.IntN(3) {
		h := pick(r, "x.com", "*.x.com", "a.x.com", "*", "*.com", "*x.com", "b.a.x.com")
		if !slices.Contains(e.hosts, h) {
			e.hosts = append(e.hosts, h)
		}
	}
	if r.IntN(3) == 0 {
		e.methods = methodsOf([]string{pick(r, "GET", "POST")})
	}
	rt := &conf.Route{}
	for range r.IntN(4) / 2 {
		rt.RemoteAddrs = append(rt.RemoteAddrs, pick(r, "10.0.0.0/8", "10.1.2.3", "::1", "2001:db8::/32", "0.0.0.0/0"))
	}
	if r.IntN(3) == 0 {
		rt.Vars = []byte(pick(r, slices.Sorted(maps.Keys(varsTwin))...))
	}
	e.when = newConditions(rt)
	return e
}

func randomRequest(r *rand.Rand) *plugin.Request {
	return &plugin.Request{
		Method: []byte(pick(r, "GET", "POST", "FOO")),
		Host:   []byte(pick(r, "x.com", "X.com:80", "a.x.com", "b.a.x.com", ".x.com", "yx.com", "other", "", "[::1]:80")),
		Path:   []byte(pick(r, "/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/a/x/b", "/b/1/c/2", "/abc", "/c", "/a/x/y/b", "/a/:id")),
		Query:  []byte(pick(r, "", "m=a", "m=b")),
		Remote: netip.AddrPortFrom(netip.MustParseAddr(pick(r, "10.1.2.3", "11.0.0.1", "::1", "2001:db8::5")), 1),
	}
}

// The tree answers as the list of rules does, through insertions, removals and
// replacements, for every value of router.http.
func TestRouterTwin(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &linear{byURI: seed%3 > 0, params: seed%3 == 2}
		rt := &router{byURI: l.byURI, params: l.params}
		for i := range 30 {
			if len(l.entries) > 0 && r.IntN(3) == 0 {
				k := r.IntN(len(l.entries))
				rt = rt.without(l.entries[k])
				l.entries = slices.Delete(l.entries, k, k+1)
				continue
			}
			e := randomEntry(r, i)
			before := rt
			rt = rt.with(e)
			if before == rt {
				t.Fatal("with returned the same router")
			}
			l.entries = append(l.entries, e)
		}
		var m match
		for range 100 {
			req := randomRequest(r)
			got := ""
			if c := rt.find(&plugin.Ctx{Req: *req}, &m); c != nil {
				got = c.entry.id
			}
			if want := l.find(req); got != want {
				t.Fatalf("seed %d: %s %s%s?%s from %s: route %q, want %q", seed, req.Method, req.Host, req.Path, req.Query, req.Remote, got, want)
			}
		}
		for _, e := range l.entries {
			rt = rt.without(e)
		}
		if rt.hosts != nil || rt.anyHost != nil {
			t.Fatalf("seed %d: something is left of an emptied router", seed)
		}
	}
}

func FuzzRouter(f *testing.F) {
	f.Add("/a/*", "/a/*/b", "/a/x/b", uint8(1))
	f.Add("/a/:id", "/a/*r/b", "/a/x/b", uint8(32))
	f.Fuzz(func(t *testing.T, p1, p2, path string, n uint8) {
		l := &linear{params: n&32 != 0}
		rt := &router{params: l.params}
		for i, p := range []string{p1, p2, "/" + p1, p2 + "*"} {
			if p == "" || n&(1<<i) != 0 {
				continue
			}
			e := &entry{id: fmt.Sprint(i), seq: uint64(i), uris: []string{p}, priority: int(n) % (i + 1)}
			rt = rt.with(e)
			l.entries = append(l.entries, e)
		}
		var m match
		req := &plugin.Request{Path: []byte(path), Method: []byte("GET")}
		got := ""
		if c := rt.find(&plugin.Ctx{Req: *req}, &m); c != nil {
			got = c.entry.id
		}
		if want := l.find(req); got != want {
			t.Fatalf("route %q, want %q", got, want)
		}
	})
}

// The rules of gateway.md 1.3 as it spells them out.
func TestRouterOrder(t *testing.T) {
	f := func(want string, req *plugin.Request, es ...*entry) {
		t.Helper()
		rt := &router{}
		for i, e := range es {
			e.seq = uint64(i)
			rt = rt.with(e)
		}
		var m match
		got := ""
		if c := rt.find(&plugin.Ctx{Req: *req}, &m); c != nil {
			got = c.entry.id
		}
		if got != want {
			t.Errorf("route %q, want %q", got, want)
		}
	}
	get := func(host, path string) *plugin.Request {
		return &plugin.Request{Method: []byte("GET"), Host: []byte(host), Path: []byte(path)}
	}
	f("", get("x", "/v1/chat/"), &entry{id: "1", uris: []string{"/v1/chat"}})
	f("", get("x", "/v1"), &entry{id: "1", uris: []string{"/v1/*"}})
	f("1", get("x", "/v1/"), &entry{id: "1", uris: []string{"/v1/*"}})
	f("exact", get("x", "/a"), &entry{id: "prefix", uris: []string{"/*"}, priority: 9}, &entry{id: "exact", uris: []string{"/a"}})
	f("long", get("x", "/a/b/c"), &entry{id: "short", uris: []string{"/a/*"}, priority: 9}, &entry{id: "long", uris: []string{"/a/b/*"}})
	f("p9", get("x", "/a"), &entry{id: "p1", uris: []string{"/a"}, priority: 1}, &entry{id: "p9", uris: []string{"/a"}, priority: 9})
	f("first", get("x", "/a"), &entry{id: "first", uris: []string{"/a"}}, &entry{id: "second", uris: []string{"/a"}})
	f("host", get("h.com", "/a"), &entry{id: "none", uris: []string{"/a"}, priority: 9}, &entry{id: "host", uris: []string{"/*"}, hosts: []string{"h.com"}})
	f("none", get("h.com", "/a"), &entry{id: "none", uris: []string{"/a"}}, &entry{id: "host", uris: []string{"/*"}, hosts: []string{"h.com"}, methods: methodsOf([]string{"POST"})})
	f("", get("foo.com", "/a"), &entry{id: "w", uris: []string{"/a"}, hosts: []string{"*.foo.com"}})
	f("w", get(".foo.com", "/a"), &entry{id: "w", uris: []string{"/a"}, hosts: []string{"*.foo.com"}})
	f("w", get("A.b.FOO.com:9080", "/a"), &entry{id: "w", uris: []string{"/a"}, hosts: []string{"*.foo.com"}})
	f("h", get("foo.com.:80", "/a"), &entry{id: "h", uris: []string{"/a"}, hosts: []string{"foo.com"}}, &entry{id: "none", uris: []string{"/a"}})
}
