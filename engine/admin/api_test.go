package admin

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"headrace/conf"
)

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

const (
	okRoute = `{"uri":"/a","plugins":{}}`
	no401   = `{"error_msg":"failed to check token","description":"`
)

// T: admin/token.t 1-12.
func TestToken(t *testing.T) {
	g := newGate(t, nil)
	g.key = ""
	f := func(call, body, description string, header ...string) {
		t.Helper()
		res, got := g.do(call, body, header...)
		if description == "" {
			if res.StatusCode >= 300 {
				t.Errorf("%s %v: %d %s", call, header, res.StatusCode, got)
			}
			return
		}
		if want := no401 + description + `"}`; res.StatusCode != 401 || got != want {
			t.Errorf("%s %v: %d %s, want %s", call, header, res.StatusCode, got, want)
		}
	}
	const missing, wrong, viewer = "missing apikey", "wrong apikey", "invalid method for role viewer"
	f("PUT /routes/1", okRoute, missing)
	f("PUT /routes/1", okRoute, wrong, "X-API-KEY", "x")
	f("PUT /routes/1", okRoute, wrong, "X-API-KEY", "")
	f("PUT /routes/1?api_key=", okRoute, wrong)
	f("PUT /routes/1", okRoute, wrong, "X-API-KEY", adminKey[1:])
	f("PUT /routes/1", okRoute, "", "X-API-KEY", adminKey)
	f("GET /plugins/list", "", missing)
	f("PUT /plugins/reload", "", missing)
	f("PUT /plugins/reload?api_key="+adminKey, "", "")
	f("PUT /plugins/reload", "", "", "Cookie", "x_api_key="+adminKey)
	f("PUT /plugins/reload", "", viewer, "X-API-KEY", viewerKey)
	f("GET /plugins/list", "", "", "X-API-KEY", viewerKey)
	f("GET /routes/1", "", "", "X-API-KEY", viewerKey)
	f("DELETE /routes/1", "", viewer, "X-API-KEY", viewerKey)
	f("POST /schema/validate/routes", okRoute, missing)
	f("POST /schema/validate/routes", okRoute, wrong, "X-API-KEY", "x")
	f("POST /schema/validate/routes", okRoute, "", "X-API-KEY", adminKey)
	// The query comes before the header, the header before the cookie.
	f("GET /routes?api_key=x", "", wrong, "X-API-KEY", adminKey)
	f("GET /routes", "", wrong, "X-API-KEY", "x", "Cookie", "x_api_key="+adminKey)
	f("GET /nonsense", "", missing)
	if log := g.log.String(); strings.Contains(log, adminKey) || strings.Contains(log, viewerKey) {
		t.Errorf("the log has a key: %s", log)
	}

	for _, open := range []func(*Options){func(o *Options) { o.KeyRequired = false }, func(o *Options) { o.Keys = nil }} {
		g := newGate(t, open)
		g.key = ""
		if res, got := g.do("PUT /routes/1", okRoute); res.StatusCode != 201 {
			t.Errorf("without keys: %d %s", res.StatusCode, got)
		}
	}
	g = newGate(t, func(o *Options) { o.Keys = []conf.AdminKeyEntry{{Name: "admin", Role: "admin"}} })
	g.key = ""
	if res, got := g.do("GET /routes", "", "X-API-KEY", ""); res.StatusCode != 401 {
		t.Errorf("an empty key was accepted: %d %s", res.StatusCode, got)
	}
}

func TestAllow(t *testing.T) {
	f := func(from string, want int, allow ...string) {
		t.Helper()
		g := newGate(t, func(o *Options) {
			for _, a := range allow {
				o.Allow = append(o.Allow, netip.MustParsePrefix(a))
			}
		})
		g.client = serve(t, g.api.Handler, from)
		if res, body := g.do("GET /routes", ""); res.StatusCode != want {
			t.Errorf("from %s with %v: %d %s, want %d", from, allow, res.StatusCode, body, want)
		}
	}
	f("127.0.0.9:1", 200, "127.0.0.0/24")
	f("127.0.1.9:1", 403, "127.0.0.0/24")
	f("[::ffff:127.0.0.9]:1", 200, "127.0.0.0/24")
	f("[::1]:1", 403, "127.0.0.0/24")
	f("[2001:db8::1]:1", 200, "127.0.0.0/24", "2001:db8::/32")
	f("192.0.2.1:1", 200)
}

func TestHead(t *testing.T) {
	g := newGate(t, nil)
	g.key = ""
	res, _ := g.do("HEAD /", "")
	if res.StatusCode != 404 {
		t.Errorf("HEAD of another path: %d", res.StatusCode)
	}
	res, _ = g.do("HEAD ", "")
	if res.StatusCode != 200 || res.Header.Get("X-API-VERSION") != "v3" || res.Header.Get("Server") != "headrace/test" {
		t.Errorf("HEAD: %d %v", res.StatusCode, res.Header)
	}
}

func TestCORS(t *testing.T) {
	f := func(on bool, call string, status int, want map[string]string) {
		t.Helper()
		g := newGate(t, func(o *Options) { o.CORS = on })
		g.key = ""
		res, _ := g.do(call, "")
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", call, res.StatusCode, status)
		}
		for _, name := range []string{"Allow-Origin", "Allow-Credentials", "Max-Age", "Allow-Methods", "Allow-Headers", "Expose-Headers"} {
			if got := res.Header.Get("Access-Control-" + name); got != want[name] {
				t.Errorf("%s: %s is %q, want %q", call, name, got, want[name])
			}
		}
	}
	f(true, "OPTIONS /routes/1", 200, map[string]string{"Allow-Origin": "*", "Allow-Credentials": "true", "Max-Age": "3600",
		"Allow-Methods": "POST, GET, PUT, OPTIONS, DELETE, PATCH", "Allow-Headers": "*"})
	f(true, "GET /routes/1", 401, map[string]string{"Allow-Origin": "*", "Allow-Credentials": "true", "Max-Age": "3600", "Expose-Headers": "*"})
	f(false, "OPTIONS /routes/1", 404, nil)
	f(false, "GET /routes/1", 401, nil)
}

// T: admin/routes4.t 14,16, admin/resources.t 1.
func TestBodyAndPath(t *testing.T) {
	g := newGate(t, nil)
	large := `{"uri":"/a","desc":"` + strings.Repeat("a", maxBody) + `"}`
	tooLarge := `$e"invalid request body: request size ` + strconv.Itoa(len(large)) + ` is greater than the maximum size 1572864 allowed"}`
	g.f("PUT /routes/1", large, 400, tooLarge)
	g.f("PUT /routes/1", `{"uri":"/a"`, 400, `$e"invalid request body: unexpected end of JSON input","req_body":"{\"uri\":\"/a\""}`)
	g.f("PUT /routes/1", "{\"uri\":\"/\xff\"}", 400, `$e"invalid request body: it is not valid UTF-8","req_body":"{\"uri\":\"/\ufffd\"}"}`)
	g.f("PUT /routes/1", `{"uri":"/`+strings.Repeat("a", 5000)+`","plugins":{}}`, 400,
		`$e"invalid configuration: property \"uri\" validation failed: string too long, expected at most 4096, got 5001"}`)
	g.f("PUT /routs/1", okRoute, 404, `$e"Unsupported resource type: routs"}`)
	g.f("GET /configs", "", 404, `$e"Unsupported resource type: configs"}`)
	g.f("GET /", "", 404, `$e"not found"}`)
	g.f("GET //elsewhere", "", 404, `$e"not found"}`)
	g.f("PURGE /routes/1", "", 404, `$e"not found"}`)
	g.f("POST /schema/route", "", 404, `$e"not found"}`)
	g.f("PUT /plugins/x", "{}", 404, `$e"not found"}`)
	g.f("GET /routes/1/plugins", "", 404, `$e"not found"}`)
	g.f("DELETE /routes/1/plugins", "", 404, `$e"not found"}`)
	g.f("GET /consumers/jack/creds", "", 404, `$e"not found"}`)
	g.f("GET /consumers/jack/credentials/a/b", "", 404, `$e"not found"}`)
	g.f("GET /stream_routes", "", 400, `$e"stream mode is disabled, can not add stream routes"}`)
	g.f("GET /protos?page=1&page_size=10", "", 200, `{"list":[],"total":0}`)
	g.f("GET /protos/1", "", 404, `{"message":"Key not found"}`)
	g.f("PUT /protos/1", "{}", 400, `$e"protos are not supported: this gateway does not transcode gRPC"}`)
	if res, _ := g.do("GET /routes", ""); res.Header.Get("X-API-VERSION") != "v3" {
		t.Errorf("header %v", res.Header)
	}
}

// What a handler does not read of a body must not become the next request.
func TestUnreadBody(t *testing.T) {
	g := newGate(t, nil)
	mem := fasthttputil.NewInmemoryListener()
	s := NewServer(g.api.Handler, nil)
	go func() { _ = s.Serve(mem) }()
	defer s.Shutdown()
	large := strings.Repeat("a", maxBody+100_000)
	f := func(head, body string, want ...int) {
		t.Helper()
		c, err := mem.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			_, _ = io.WriteString(c, head+"\r\n\r\n"+body+"GET /apisix/admin/routes?api_key="+adminKey+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		}()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(c)
		for i, status := range want {
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%.60q, answer %d: %v", head, i, err)
			}
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != status {
				t.Errorf("%.60q, answer %d: %d %.200s, %v", head, i, res.StatusCode, text, err)
			}
		}
	}
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(large), large)
	const host = " HTTP/1.1\r\nHost: a\r\n"
	f("PUT /apisix/admin/routes/1"+host+"Content-Length: "+strconv.Itoa(len(large)), large, 401, 200)
	f("PUT /apisix/admin/routes/1?api_key="+adminKey+host+"Content-Length: "+strconv.Itoa(len(large)), large, 400, 200)
	f("PUT /apisix/admin/routes/1?api_key="+adminKey+host+"Transfer-Encoding: chunked", chunked, 400, 200)
	f("PUT /apisix/admin/routes/1?api_key="+adminKey+host+"Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(okRoute), okRoute), 201, 200)
	f("GET /apisix/admin/routes/1?api_key="+adminKey+host+"Content-Length: 5", "hello", 200, 200)
	f("DELETE /elsewhere"+host+"Content-Length: 100000", large[:100000], 404, 200)
}
