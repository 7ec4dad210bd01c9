package engine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// meddler changes requests and answers as its configuration says: method, host
// and what becomes of the body.
type meddler struct {
	method, host, body string
	swallow            bool
}

func (m meddler) Rewrite(c *plugin.Ctx) plugin.Verdict {
	if m.method != "" {
		c.Req.Method = []byte(m.method)
	}
	if m.host != "" {
		c.Req.AskHost = []byte(m.host)
	}
	return 0
}

// swallower is a meddler with a body filter.
type swallower struct{ meddler }

func (m swallower) FilterChunk(_ *plugin.Ctx, dst, chunk []byte, last bool) []byte {
	if !m.swallow {
		dst = append(dst, chunk...)
	}
	if last {
		dst = append(dst, m.body...)
	}
	return dst
}

func meddlerSpec(name string) plugin.Spec {
	return plugin.Spec{
		Name: name, Schema: schema.MustCompile(name, `{"type":"object"}`),
		New: func(raw []byte, _ *plugin.Env) (any, error) {
			f := strings.Split(string(raw), `"`)
			get := func(key string) string {
				for i, s := range f {
					if s == key {
						return f[i+2]
					}
				}
				return ""
			}
			m := meddler{get("method"), get("host"), get("body"), get("swallow") != ""}
			if get("body")+get("swallow") != "" {
				return swallower{m}, nil
			}
			return m, nil
		},
	}
}

// TestChangedMethod holds that the framing of both answers follows the method
// of its own side.
func TestChangedMethod(t *testing.T) {
	r := newRigWith(t, Options{}, meddlerSpec("meddler"))
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Method", req.Method)
		n := 10
		if req.URL.Query().Get("n") != "" {
			fmt.Sscan(req.URL.Query().Get("n"), &n)
		}
		if req.URL.Query().Get("length") != "" {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		if req.Method == "HEAD" {
			return
		}
		io.WriteString(w, strings.Repeat("x", n))
		w.(http.Flusher).Flush()
	})
	f := func(plugins, method, path, want string) {
		t.Helper()
		r.proxied("1", "/*", "{"+nodes(up)+"}", `,"plugins":{"meddler":`+plugins+`}`)
		got := r.talk(method + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" + "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		first, _, _ := strings.Cut(got, "HTTP/1.1 200 OK\r\n")
		if first != "" || strings.Count(got, "HTTP/1.1 200 OK") != 2 {
			t.Errorf("%s %s: two answers were to come, not %q", method, path, got)
			return
		}
		if got = strings.Split(got, "HTTP/1.1 200 OK\r\n")[1]; !strings.Contains(got, want) {
			t.Errorf("%s %s %s: no %q in %q", plugins, method, path, want, got)
		}
	}
	for _, query := range []string{"?length=1", "?n=100000&length=1", "?n=100000", ""} {
		f(`{"method":"HEAD"}`, "GET", "/"+query, "X-Method: HEAD\r\n")
		f(`{"method":"GET"}`, "HEAD", "/"+query, "X-Method: GET\r\n")
		f(`{"method":"POST"}`, "GET", "/"+query, "X-Method: POST\r\n")
		f(`{"body":"!"}`, "HEAD", "/"+query, "X-Method: HEAD\r\n")
	}
	f(`{"method":"GET"}`, "HEAD", "/?length=1", "Content-Length: 10\r\n")
	f(`{}`, "HEAD", "/?length=1", "Content-Length: 10\r\n")
	f(`{"body":"!"}`, "HEAD", "/?length=1", "Transfer-Encoding: chunked\r\n") // of another length than the upstream's
}

// TestEmptied holds that a filter may leave nothing of a body, and that those
// of global rules run as well, before the route's.
func TestEmptied(t *testing.T) {
	r := newRigWith(t, Options{}, meddlerSpec("meddler"), meddlerSpec("other"))
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		n := 0
		fmt.Sscan(req.URL.Query().Get("n"), &n)
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		io.WriteString(w, strings.Repeat("x", n))
	})
	f := func(global, route string, want string) {
		t.Helper()
		if r.src.put(conf.GlobalRules, "1", ""); global != "" {
			r.src.put(conf.GlobalRules, "1", `{"id":"1","plugins":{"other":`+global+`}}`)
		}
		r.proxied("1", "/", "{"+nodes(up)+"}", `,"plugins":{"meddler":`+route+`}`)
		for _, n := range []int{0, 10, 200000} {
			resp, body := r.do("GET", fmt.Sprintf("/?n=%d", n), "")
			if resp.StatusCode != 200 || body != strings.ReplaceAll(want, "BODY", strings.Repeat("x", n)) {
				t.Errorf("%s %s: %d bytes become %d %.50q", global, route, n, resp.StatusCode, body)
			}
		}
	}
	f("", `{"swallow":"1"}`, "")
	f("", `{"swallow":"1","body":"new"}`, "new")
	f(`{"swallow":"1"}`, `{}`, "")
	f(`{"body":"1"}`, `{}`, "BODY1")
	f(`{"body":"1"}`, `{"body":"2"}`, "BODY12")
	resp, body := r.do("GET", "/none", "")
	if resp.StatusCode != 404 || !strings.HasSuffix(body, "}\n1") {
		t.Errorf("no route: %d %s", resp.StatusCode, body)
	}
}

func TestAskHost(t *testing.T) {
	r := newRigWith(t, Options{}, meddlerSpec("meddler"))
	up := r.node(func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.Host) })
	f := func(upstream, want string) {
		t.Helper()
		r.proxied("1", "/", "{"+nodes(up)+upstream+"}", `,"plugins":{"meddler":{"host":"asked:81"}}`)
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: sent\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"} {
			if got := r.talk(request); !strings.HasSuffix(got, "\r\n\r\n"+want) {
				t.Errorf("%s: %q", upstream, got)
			}
		}
	}
	f("", "asked:81")
	f(`,"pass_host":"node"`, up)
	f(`,"pass_host":"rewrite","upstream_host":"in.side"`, "in.side")
}
