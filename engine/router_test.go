package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"headrace/plugin"
)

// linear is the slow twin of router: a list of rules, tried in the order of
// gateway.md 1.3 as it is written there.
type linear struct{ entries []*entry }

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
			if len(e.hosts) == 0 {
				all = append(all, cand{e, u, 2, 0})
			}
			for _, h := range e.hosts {
				if tail, wild := strings.CutPrefix(h, "*"); wild {
					if strings.HasSuffix(host, tail) {
						all = append(all, cand{e, u, 1, len(tail)})
					}
				} else if h == host {
					all = append(all, cand{e, u, 0, 0})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b cand) int {
		if a.level != b.level {
			return a.level - b.level
		}
		if a.suffix != b.suffix {
			return b.suffix - a.suffix
		}
		la, _, sa := strings.Cut(a.pattern, "*")
		lb, _, sb := strings.Cut(b.pattern, "*")
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
	path := string(req.Path)
	for _, c := range all {
		lit, rest, star := strings.Cut(c.pattern, "*")
		switch {
		case !star && lit != path:
			continue
		case star && !strings.HasPrefix(path, lit):
			continue
		case star && rest != "" && !globMatch(c.pattern, req.Path):
			continue
		}
		if c.e.methods == 0 || c.e.methods&methodBit(req.Method) != 0 {
			return c.e.id
		}
	}
	return ""
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomEntry(r *rand.Rand, i int) *entry {
	e := &entry{id: fmt.Sprint(i), seq: uint64(i), priority: r.IntN(3)}
	for range 1 + r.IntN(2) {
		u := pick(r, "/", "/a", "/a/", "/a/b", "/ab", "/a/*", "/a*", "/*", "/a/*/b", "/a/b*", "/b/*/c/*", "/a/b/c")
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
	return e
}

func randomRequest(r *rand.Rand) *plugin.Request {
	return &plugin.Request{
		Method: []byte(pick(r, "GET", "POST", "FOO")),
		Host:   []byte(pick(r, "x.com", "X.com:80", "a.x.com", "b.a.x.com", ".x.com", "yx.com", "other", "", "[::1]:80")),
		Path:   []byte(pick(r, "/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/a/x/b", "/b/1/c/2", "/abc", "/c", "/a/x/y/b")),
	}
}

// The tree answers as the list of rules does, through insertions, removals and replacements.
func TestRouterTwin(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		rt, l := &router{}, &linear{}
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
			if c := rt.find(req, &m); c != nil {
				got = c.entry.id
			}
			if want := l.find(req); got != want {
				t.Fatalf("seed %d: %s %s%s: route %q, want %q", seed, req.Method, req.Host, req.Path, got, want)
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
	f.Fuzz(func(t *testing.T, p1, p2, path string, n uint8) {
		l, rt := &linear{}, &router{}
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
		if c := rt.find(req, &m); c != nil {
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
		if c := rt.find(req, &m); c != nil {
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
}
