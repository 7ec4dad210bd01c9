package engine

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"headrace/plugin"
)

func TestCutPattern(t *testing.T) {
	f := func(pattern string, params bool, literal string, want form) {
		t.Helper()
		if l, got := cutPattern(pattern, params); l != literal || got != want {
			t.Errorf("%s %v: %q, %d, want %q, %d", pattern, params, l, got, literal, want)
		}
	}
	for _, params := range []bool{false, true} {
		f("/v1/chat", params, "/v1/chat", exactForm)
		f("/v1/*", params, "/v1/", prefixForm)
		f("/v1*", params, "/v1", prefixForm)
		f("*", params, "", prefixForm)
		f("/a*/b", params, "/a", globForm)
		f("/m/gemini:generate", params, "/m/gemini:generate", exactForm)
	}
	f("/a/*/b", false, "/a/", globForm)
	f("/a/*/b", true, "/a/", paramForm)
	f("/u/:id", false, "/u/:id", exactForm) // T: router/radixtree-uri-host.t 15
	f("/u/:id", true, "/u/", paramForm)
	f("/u/:id/*", false, "/u/:id/", prefixForm)
	f("/u/:id/*", true, "/u/", paramForm)
	f("/f/*path", true, "/f/", paramForm)
	f("/f/*path", false, "/f/", globForm)
	f("/a/*/:id", true, "/a/", paramForm)
	f("/a*/:id", true, "/a", paramForm)
	f("/:name/foo", true, "/", paramForm)
}

// T: router/radixtree-uri-with-parameter.t.
func TestMatchParams(t *testing.T) {
	f := func(pattern, path, want string) {
		t.Helper()
		list, ok := matchParams(pattern, []byte(path), nil)
		got := "no"
		if ok {
			var b strings.Builder
			for _, p := range list {
				fmt.Fprintf(&b, "%s=%s ", p.Name, p.Value)
			}
			got = strings.TrimSpace(b.String())
		}
		if got != want {
			t.Errorf("%s %s: %q, want %q", pattern, path, got, want)
		}
	}
	f("/name/:name/bar", "/name/json/bar", "name=json") // 6
	f("/name/:name/bar", "/name/json2/foo", "no")       // 3
	f("/name/:name/bar", "/name/json/", "no")           // 4
	f("/name/:name/bar", "/name//bar", "no")            // 5
	f("/:name/foo", "/json/foo", "name=json")           // 8
	f("/:name/foo", "/json/bbb/foo", "no")              // 9
	f("/u/:id", "/u/7", "id=7")
	f("/u/:id", "/u/7/", "no")
	f("/u/:id/", "/u/7/", "id=7")
	f("/u/:id", "/u/", "no")
	f("/u/:id/x/:type", "/u/a%2Fb/x/\u00e9", "id=a%2Fb type=\u00e9")
	f("/f/*path", "/f/a/b/c", "path=a/b/c")
	f("/f/*path", "/f/", "path=")
	f("/f/*path/end", "/f/a/end/b/end", "path=a/end/b")
	f("/f/*path/end", "/f/a/end/b", "no")
	f("/u/:id/*", "/u/7/a/b", "id=7 :ext=a/b")
	f("/u/:id/*", "/u/7", "no")
	f("/a/*/:last", "/a/x/y/z", ":ext=x/y last=z")
	f("/a/*x/m/*y", "/a/1/m/2/m/3", "x=1 y=2/m/3")
	f("/m/:model:generate", "/m/g:x", "model:generate=g:x")
	f("/m/x:y/:z", "/m/x:y/1", "z=1")
	f("/a*/:id", "/ab/c/1", ":ext=b/c id=1")
	f("/:", "/x", "=x")
}

func FuzzMatchParams(f *testing.F) {
	f.Add("/u/:id/*", "/u/7/a/b")
	f.Add("/a/*x/m/*y", "/a/1/m/2/m/3")
	f.Add("/:a/*/:b/c*", "/1/2/3/4/c5")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		list, ok := matchParams(pattern, []byte(path), nil)
		if want := paramTwin(pattern).MatchString(latin1(path)); ok != want {
			t.Fatalf("%q %q: %v, want %v", pattern, path, ok, want)
		}
		// A pattern whose parameters are replaced by what they stand for is the path.
		if ok {
			for p := 0; p < len(pattern); {
				kind, _, end := partAt(pattern, p)
				if kind == literalPart {
					if !strings.HasPrefix(path, pattern[p:end]) {
						t.Fatalf("%q %q: %v", pattern, path, list)
					}
					path = path[end-p:]
				} else {
					path = strings.TrimPrefix(path, string(list[0].Value))
					list = list[1:]
				}
				p = end
			}
			if path != "" || len(list) > 0 {
				t.Fatalf("%q: %q and %v are left", pattern, path, list)
			}
		}
	})
}

// paramTwin makes of a pattern the regular expression that APISIX makes of it.
func paramTwin(pattern string) *regexp.Regexp {
	var b strings.Builder
	for p := 0; p < len(pattern); {
		kind, _, end := partAt(pattern, p)
		switch kind {
		case paramPart:
			b.WriteString("[^/]+?")
		case starPart:
			b.WriteString("(?s:.*)")
		default:
			fmt.Fprintf(&b, "\\x{%02x}", pattern[p])
		}
		p = end
	}
	return regexp.MustCompile("^(?:" + b.String() + ")$")
}

// latin1 makes a rune of every byte.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// The pattern of a candidate decides about the parameters that variables see.
func TestRouterParams(t *testing.T) {
	rt := &router{byURI: true, params: true}
	for i, e := range []*entry{
		{id: "exact", uris: []string{"/u/me"}},
		{id: "param", uris: []string{"/u/:id"}},
		{id: "host", uris: []string{"/u/:other"}, hosts: []string{"h.com"}},
		{id: "star", uris: []string{"/u/*"}},
		{id: "first", uris: []string{"/p/:a"}, priority: 1},
		{id: "longer", uris: []string{"/p/:abc"}},
		{id: "named", uris: []string{"/files/*path"}},
	} {
		e.seq = uint64(i)
		rt = rt.with(e)
	}
	var m match
	f := func(host, path, want string, params ...string) {
		t.Helper()
		ctx := &plugin.Ctx{Req: plugin.Request{Host: []byte(host), Path: []byte(path), Method: []byte("GET")}}
		got := ""
		if c := rt.find(ctx, &m); c != nil {
			got = c.entry.id
		}
		var list []string
		for _, p := range ctx.Params {
			list = append(list, p.Name, string(p.Value))
		}
		if got != want || strings.Join(list, "|") != strings.Join(params, "|") {
			t.Errorf("%s%s: %s %q, want %s %q", host, path, got, list, want, params)
		}
	}
	f("x", "/u/me", "exact")
	f("x", "/u/7", "param", "id", "7")
	f("h.com", "/u/7", "host", "other", "7") // the longer pattern
	f("x", "/u/7/8", "star")
	f("x", "/u/", "star")
	f("x", "/p/1", "first", "a", "1")
	f("x", "/files/a/b", "named", "path", "a/b")
	f("x", "/none", "")
}
