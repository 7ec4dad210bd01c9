package requestid

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

func phases(v any) (plugin.Rewriter, plugin.HeaderFilter) {
	return v.(plugin.Rewriter), v.(plugin.HeaderFilter)
}

func TestID(t *testing.T) {
	g := plugintest.New(t, &Spec)
	v := func(name string, c *plugin.Ctx) string {
		look, _ := plugin.LookupVar(name)
		out, _ := look(c, nil)
		return string(out)
	}
	f := func(config, headers, upstream, header, want string) {
		t.Helper()
		rewrite, filter := phases(g.Bind(config))
		c := g.Request("GET", "/opentracing", headers)
		if rewrite.Rewrite(c) != 0 {
			t.Error("the request ends")
		}
		sent := string(c.Header(header))
		if upstream != "" {
			c.HTTP.Response.Header.Set(header, upstream)
		}
		filter.FilterHeader(c)
		if want == "" {
			want = sent
		}
		if got := string(c.HTTP.Response.Header.Peek(header)); sent == "" || got != strings.TrimPrefix(want, "-") || v("apisix_request_id", c) != sent {
			t.Errorf("%s %q: sent %q, answered %q, logged %q", config, headers, sent, got, v("apisix_request_id", c))
		}
		if !strings.Contains(headers, "a-b") && len(sent) != 36 || strings.Contains(headers, "a-b") && sent != "a-b" {
			t.Errorf("%s %q: sent %q", config, headers, sent)
		}
	}
	f(`{}`, "", "", "X-Request-Id", "")
	f(`{}`, "X-Request-ID: a-b\n", "", "X-Request-Id", "a-b") // request-id.t 14
	f(`{}`, "X-Request-Id:\n", "", "X-Request-Id", "")        // 16
	f(`{}`, "", "theirs", "X-Request-Id", "theirs")
	f(`{"header_name":"Custom-Header-Name"}`, "", "", "Custom-Header-Name", "")
	f(`{"include_in_response":false}`, "", "", "X-Request-Id", "-")
	f(`{"include_in_response":false}`, "", "theirs", "X-Request-Id", "theirs")
	f(`{"header_name":"$env://X-Trace"}`, "", "", "X-Trace", "")

	// A request that ended before has no id to show.
	_, filter := phases(g.Bind(`{}`))
	c := g.Request("GET", "/", "")
	if filter.FilterHeader(c); plugintest.Head(c) != "" {
		t.Error(plugintest.Head(c))
	}
	// What comes later may rewrite the header for the upstream; the consumer's
	// route has a value of its own.
	rewrite, _ := phases(g.Bind(`{}`))
	rewrite.Rewrite(c)
	id := string(c.Header("X-Request-Id"))
	c.DelHeader("X-Request-Id")
	if filter.FilterHeader(c); string(c.HTTP.Response.Header.Peek("x-request-id")) != id {
		t.Error(plugintest.Head(c))
	}
}

// TestTwo is request-id.t 10 and 11: one in a global rule, one in the route.
func TestTwo(t *testing.T) {
	g := plugintest.New(t, &Spec)
	c := g.Request("GET", "/", "")
	for _, config := range []string{`{"header_name":"Custom-Header-Name"}`, `{}`} {
		rewrite, filter := phases(g.Bind(config))
		rewrite.Rewrite(c)
		defer filter.FilterHeader(c)
	}
	one, two := string(c.Header("Custom-Header-Name")), string(c.Header("X-Request-Id"))
	if one == two || one == "" || two == "" || c.RequestID != two {
		t.Errorf("%q and %q, the variable is %q", one, two, c.RequestID)
	}
}

func TestAlgorithms(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, pattern string) {
		t.Helper()
		re := regexp.MustCompile("^" + pattern + "$")
		append := g.Bind(config).(*requestID).append
		seen := map[string]bool{}
		for range 2000 {
			id := string(append([]byte("+")))[1:]
			if !re.MatchString(id) || seen[id] {
				t.Fatalf("%s: %q, seen: %v", config, id, seen[id])
			}
			seen[id] = true
		}
	}
	f(`{}`, `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	f(`{"algorithm":"uuidv7"}`, `0[0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	f(`{"algorithm":"nanoid"}`, `[-_0-9a-zA-Z]{21}`)
	f(`{"algorithm":"ksuid"}`, `[0-9a-zA-Z]{27}`)
	f(`{"algorithm":"range_id"}`, `[0-9a-zA-Z]{16}`)
	f(`{"algorithm":"range_id","range_id":{"char_set":"abcdefg","length":20}}`, `[a-g]{20}`)
	f(`{"algorithm":"range_id","range_id":{"length":9}}`, `[0-9a-zA-Z]{9}`)
}

// TestUUIDv7 is request-id.t 22, 24, 26 and 27.
func TestUUIDv7(t *testing.T) {
	now := time.UnixMilli(0x0123456789ab)
	if got := v7Time(now.Add(500 * time.Microsecond)); got != 0x0123456789ab800 {
		t.Errorf("%x", got)
	}
	if got := v7Time(now.Add(999999 * time.Nanosecond)); got != 0x0123456789abfff {
		t.Errorf("%x", got)
	}
	before := time.Now()
	prev := string(appendUUIDv7(nil))
	if ms, want := prev[:8]+prev[9:13], v7Time(before)>>12; ms < hexOf(want) {
		t.Errorf("%s is before %s", ms, hexOf(want))
	}
	lastV7.Store(v7Time(before.Add(time.Hour))) // the clock was set back
	defer lastV7.Store(v7Time(before))
	for range 10000 {
		id := string(appendUUIDv7(nil))
		if id <= prev {
			t.Fatalf("%s after %s", id, prev)
		}
		prev = id
	}
	var work sync.WaitGroup
	var seen sync.Map
	for range 8 {
		work.Go(func() {
			for range 1000 {
				if _, twice := seen.LoadOrStore(string(appendUUIDv7(nil))[:23], true); twice {
					t.Error("one time twice")
				}
			}
		})
	}
	work.Wait()
}

func hexOf(ms int64) string { return fmt.Sprintf("%012x", ms) }

func TestBase62(t *testing.T) {
	f := func(fill byte, want string) {
		t.Helper()
		var k [20]byte
		for i := range k {
			k[i] = fill
		}
		if got := string(appendBase62(nil, &k)); got != want {
			t.Errorf("%x: %s", fill, got)
		}
	}
	f(0, "000000000000000000000000000")
	f(0xff, "aWgEPTl1tmebfsQzFP4bxwgy80V") // the largest KSUID there is
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{}`, "")
	g.Check(`{"include_in_response":"bad_type"}`, `property "include_in_response" validation failed: wrong type: expected boolean, got string`) // 2
	g.Check(`{"algorithm":"bad_algorithm"}`, `property "algorithm" validation failed: matches none of the enum values`)                         // 12
	g.Check(`{"algorithm":"uuidv7"}`, "")
	g.Check(`{"algorithm":"range_id","range_id":{"length":5}}`, `property "range_id" validation failed: property "length" validation failed: expected 5 to be at least 6`)
	g.Check(`{"algorithm":"range_id","range_id":{"char_set":"abc"}}`, `property "range_id" validation failed: property "char_set" validation failed: string too short, expected at least 6, got 3`)
	g.Check(`{"header_name":""}`, errHeader.Error())
	g.Check(`{"header_name":"a b"}`, errHeader.Error())
	g.Check(`{"header_name":"a\r\nb"}`, errHeader.Error())
	g.Check(`{"header_name":"$env://NAME"}`, "")
	for _, config := range []string{`{"header_name":"$env://X"}`, `{"algorithm":"$env://none"}`, `{"algorithm":"range_id","range_id":{"char_set":"$env://"}}`} {
		if _, err := g.TryBind(config); err == nil {
			t.Errorf("%s is taken", config)
		}
	}
}

func TestBudget(t *testing.T) {
	g := plugintest.New(t, &Spec)
	c := g.Request("GET", "/", "")
	for _, algorithm := range []string{"uuid", "uuidv7", "nanoid", "ksuid", "range_id"} {
		rewrite, filter := phases(g.Bind(`{"algorithm":"` + algorithm + `"}`))
		headers := []byte("Host: a\r\n")
		// The id and what keeps it, the copy of the headers.
		plugintest.Budget(t, algorithm, 5, func() {
			c.Req.Headers = headers
			c.HTTP.Response.Header.Del("X-Request-Id")
			rewrite.Rewrite(c)
			filter.FilterHeader(c)
		})
	}
}
