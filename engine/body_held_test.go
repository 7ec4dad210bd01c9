package engine

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"headrace/conf/schema"
	"headrace/plugin"
)

// reader is a plugin that asks for the body, twice, before the proxy does.
type reader struct{ limits []int64 }

func (p reader) Rewrite(c *plugin.Ctx) plugin.Verdict {
	for _, limit := range p.limits {
		body, v := c.ReadBody(limit)
		if v != 0 {
			return v
		}
		c.SetHeader("X-Seen", strconv.Itoa(len(body)))
	}
	return 0
}

func readerSpec(limits ...int64) plugin.Spec {
	return plugin.Spec{
		Name: "reader", Priority: 1, Schema: schema.MustCompile("reader", `{"type":"object"}`),
		New: func([]byte, *plugin.Env) (any, error) { return reader{limits}, nil },
	}
}

// TestHeldBody holds that a body which a plugin has read reaches the upstream
// whole, however it was framed and wherever it goes.
func TestHeldBody(t *testing.T) {
	const limit = 1 << 20
	r := newRigWith(t, Options{}, readerSpec(limit, limit))
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		fmt.Fprint(w, n, " ", err, " ", req.ContentLength, " ", req.Header.Get("X-Seen"))
	})
	r.proxied("1", "/u", "{"+nodes(up)+"}", `,"plugins":{"reader":{}}`)
	f := func(method string, size int, chunked bool, want string) {
		t.Helper()
		var body io.Reader
		if size > 0 {
			body = strings.NewReader(strings.Repeat("x", size))
			if chunked {
				body = struct{ io.Reader }{body}
			}
		}
		req, err := http.NewRequest(method, r.url+"/u", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != want {
			t.Errorf("%s of %d bytes, chunked %v: %d %s, want %s", method, size, chunked, resp.StatusCode, got, want)
		}
	}
	f("GET", 0, false, "0 <nil> 0 0")
	f("POST", 0, false, "0 <nil> 0 0")
	f("POST", 5, false, "5 <nil> 5 5")
	f("POST", 5, true, "5 <nil> 5 5")
	f("POST", 500_000, false, "500000 <nil> 500000 500000")
	f("POST", 500_000, true, "500000 <nil> 500000 500000")
	f("GET", 0, false, "0 <nil> 0 0") // nothing is left of the one before
	const big = `{"message":"could not get body: request size 1048577 is greater than the maximum size 1048576 allowed"}` + "\n"
	f("POST", limit+1, false, big)
	f("POST", limit+1, true, big)

	r.route("2", "/ai", `,"max_req_body_size":100},"reader":{`)
	chat := `{"messages":[{"role":"user","content":"hi"}]}`
	if resp, got := r.do("POST", "/ai", chat); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	if resp, got := r.do("POST", "/ai", strings.Repeat(" ", 100)+chat); resp.StatusCode != 413 || !strings.Contains(got, "maximum size 100 ") {
		t.Errorf("a body above the proxy's own limit: %d %s", resp.StatusCode, got)
	}
}

// TestHeldBodyLimits holds that a second plugin has its own limit.
func TestHeldBodyLimits(t *testing.T) {
	r := newRigWith(t, Options{}, readerSpec(100, 10))
	r.route("1", "/ai", `},"reader":{`)
	resp, got := r.do("POST", "/ai", strings.Repeat("x", 11))
	if resp.StatusCode != 413 || !strings.Contains(got, "size 11 is greater than the maximum size 10 ") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}
