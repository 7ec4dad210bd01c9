package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// T: router/radixtree-uri-sanity.t 16, 18, 19.
func TestWithoutPathParams(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		got := withoutPathParams([]byte(path))
		if string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	f("/hello;world", "/hello")
	f("/hello;a=b/world;a/;", "/hello/world/")
	f("/a/b", "/a/b")
	f("/..a;x", "/..a")
	f("/.;", "")
	f("/..;", "")
	f("/..;/a", "")
	f("/;/a", "")
	f("/b/;/c", "")
	f("/%2e;", "")
	f("/%2E%2e;x/a", "")
}

func TestMatchPath(t *testing.T) {
	f := func(o Options, uri, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(uri)
		if got := (&Engine{opts: o}).matchPath(&ctx); string(got) != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
	f(Options{}, "/a//b/%2e%2e/c%20d/./e", "/a/c d/e")
	f(Options{}, "/a/.", "/a/")
	f(Options{}, "/a/..", "/")
	f(Options{}, "/a/", "/a/")
	f(Options{}, "/a;b", "/a;b")
	f(Options{TrimTailSlash: true}, "/a/", "/a")
	f(Options{TrimTailSlash: true}, "/", "/")
	f(Options{ServletPaths: true}, "/a;b/c;d/", "/a/c/")
	f(Options{ServletPaths: true, TrimTailSlash: true}, "/a;b/;", "/a")
	f(Options{ServletPaths: true}, "/%2e;", "")
	f(Options{ServletPaths: true}, "/a%3Bx", "/a")
}

// T: router/radixtree-uri-with-parameter-encoded-slash.t 2-10.
func TestKeepSlashes(t *testing.T) {
	f := func(uri, path, want string) {
		t.Helper()
		if got := keepSlashes(nil, []byte(uri), []byte(path)); string(got) != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
	f("/v1/te%2Fst/x", "/v1/te/st/x", "/v1/te%2Fst/x")
	f("/v1/te%2fst/%41", "/v1/te/st/A", "/v1/te%2Fst/A")
	f("/v1/2024%2F01%2F0001?a=%2F", "/v1/2024/01/0001", "/v1/2024%2F01%2F0001")
	f("/v1/test", "/v1/test", "")
	f("/?next=%2Fadmin", "/", "")
	f("/x%2Fy/../..", "/", "")
	f("/a%2Fb/%2e%2e/%2e%2e", "/", "")
	f("/a%2F/b", "/a/b", "")
	f("/a%2Fb/", "/a/b", "")
	f("http://h/a%2Fb", "/a/b", "")
	f("/a%2", "/a%2", "")
	f("/a%2Fb%", "/a/b%", "/a%2Fb%")
}

// What clients send as a path leads to no panic, and to no path that the
// server's normalisation has not seen.
func FuzzPaths(f *testing.F) {
	f.Add("/v1/te%2Fst/x;a=b/..;/%2e", "/v1/te/st/x;a=b/..;/.")
	f.Fuzz(func(t *testing.T, uri, path string) {
		if p := keepSlashes(nil, []byte(uri), []byte(path)); p != nil && strings.ReplaceAll(string(p), "%2F", "/") != strings.ReplaceAll(path, "%2F", "/") {
			t.Fatalf("%q: %q of %q", uri, p, path)
		}
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(uri)
		p := string((&Engine{opts: Options{ServletPaths: true}}).matchPath(&ctx))
		if strings.Contains(p, ";") {
			t.Fatalf("%q: %q", uri, p)
		}
		if plain := string((&Engine{}).matchPath(&ctx)); strings.HasPrefix(plain, "/") {
			for _, dots := range []string{"/./", "/../", "//"} {
				if strings.Contains(p, dots) && !strings.Contains(plain, dots) {
					t.Fatalf("%q: %q of %q", uri, p, plain)
				}
			}
		}
	})
}

func TestEncodedSlashes(t *testing.T) {
	r := newRig(t, Options{RouterParams: true, KeepSlashes: true, ServletPaths: true})
	up := "{" + nodes(r.node(dump)) + "}"
	r.proxied("1", "/echo/:id", up, `,"vars":[["uri","~~","^/echo/(a|%2F|b)+$"]]`)
	r.proxied("2", "/exact%2Fx", up, "")
	f := func(path string, want int) {
		t.Helper()
		got := r.talk("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("%s: %.60q, want %d", path, got, want)
		}
		// The upstream gets what was sent (T: 14).
		if want == 200 && !strings.Contains(got, "GET "+path+" HTTP/1.1\r\n") {
			t.Errorf("%s arrived as %q", path, got)
		}
	}
	f("/echo/a%2Fb", 200)
	f("/echo/a%2fb", 200)
	f("/echo/a/b", 404)
	f("/exact%2fx", 200)
	f("/exact/x", 404)
	f("/echo/a;v=1", 200)
	f("/echo/..;/x", 400)
}
