package limit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/plugin"
)

func TestNumber(t *testing.T) {
	f := func(config, header string, zero bool, want int64, fault error) {
		t.Helper()
		var n Number
		if err := json.Unmarshal([]byte(config), &n); err != nil {
			t.Fatal(err)
		}
		c := &plugin.Ctx{}
		if header != "" {
			c.Req.Headers = []byte("count: " + header + "\r\n")
		}
		got, _, err := n.Of(c, nil, zero)
		if err != fault || err == nil && got != want {
			t.Errorf("%s with %q: %d %v, want %d %v", config, header, got, err, want, fault)
		}
	}
	f(`2`, "", false, 2, nil)
	f(`2.0`, "", false, 2, nil)
	f(`1e3`, "", false, 1000, nil)
	f(`"7"`, "", false, 7, nil)
	const header = `"${http_count ?? 2}"`
	f(header, "", false, 2, nil)
	f(header, "5", false, 5, nil)
	f(header, "5.0", false, 5, nil)
	f(header, "9007199254740991", false, MaxNumber, nil)
	// limit-count-variable.t 10; limit-conn-variable.t 12-18
	f(header, "0", false, 0, errNotPositive)
	f(header, "0", true, 0, nil)
	f(header, "-1", false, 0, errNotPositive)
	f(header, "-1", true, 0, errNegative)
	f(header, "-1.5", false, 0, errNotPositive)
	f(header, "1.5", false, 0, errFraction)
	f(header, "9999999999999999", false, 0, errTooLarge)
	f(header, "99007199254740993", true, 0, errTooLarge)
	f(header, "1e300", false, 0, errTooLarge)
	f(header, "-1e300", false, 0, errNotPositive)
	for _, s := range []string{"ten", "1_0", "0x10", "NaN", "1 0", strings.Repeat("1", 33), "10;"} {
		f(header, s, false, 0, errNoNumber)
	}
	f(header, "Inf", false, 0, errTooLarge)
	f(`"$http_none"`, "", false, 0, errNoNumber)
	if v, ok := new(Number).Fixed(); v != 0 || !ok {
		t.Error("the zero value is no 0")
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-0", "1e15", " 5 ", "0.0", "9007199254740992"} {
		f.Add(s)
	}
	n := Number{text: plugin.CompileCombination("$arg_n")}
	f.Fuzz(func(t *testing.T, s string) {
		c := &plugin.Ctx{Req: plugin.Request{Query: []byte("n=" + s)}}
		if v, _, err := n.Of(c, nil, false); err == nil && (v <= 0 || v > MaxNumber) {
			t.Errorf("%q is %d", s, v)
		}
	})
}

func TestKey(t *testing.T) {
	long := strings.Repeat("x", maxKey+1)
	c := &plugin.Ctx{Req: plugin.Request{
		Headers: []byte("a: 1\r\nempty:\r\nlong: " + long + "\r\nalmost: " + long[1:] + "\r\n"),
		Remote:  netip.MustParseAddrPort("192.0.2.1:4711"),
	}}
	f := func(k Key, want string, applies bool) {
		t.Helper()
		got, ok := k.Append([]byte("1:"), c)
		if string(got) != "1:"+want || ok != applies {
			t.Errorf("%s %v, want %s %v", got, ok, want, applies)
		}
	}
	f(CompileKey("http_a", KeyVar), "1", true)
	f(CompileKey("http_a", KeyConstant), "http_a", true)
	f(CompileKey("", KeyConstant), "", true)
	f(CompileKey("$http_a-${http_b}", KeyCombination), "1-", true)
	// The client's address stands in for what is empty (limit-count2.t 8, 12, 14).
	f(CompileKey("http_none", KeyVar), "192.0.2.1", true)
	f(CompileKey("http_empty", KeyVar), "192.0.2.1", true)
	f(CompileKey("", KeyVar), "192.0.2.1", true)
	f(CompileKey("$http_none $arg_none", KeyCombination), "192.0.2.1", true)
	f(CompileKey("abcdefgh", KeyCombination), "192.0.2.1", true)
	// limit-count-rules.t 18-20
	f(CompileRuleKey("$http_a"), "1", true)
	f(CompileRuleKey("$http_none"), "", false)
	f(CompileRuleKey("constant"), "constant", false)
	f(CompileRuleKey("${http_none ?? x}"), "x", true)
	// What a client can make us remember is bounded.
	f(CompileKey("http_almost", KeyVar), long[1:], true)
	sum := sha256.Sum256([]byte(long))
	f(CompileKey("http_long", KeyVar), "sha256:"+hex.EncodeToString(sum[:16]), true)
	f(CompileKey(long, KeyConstant), long, true)
}

func TestHeaders(t *testing.T) {
	f := func(h Headers, want string) {
		t.Helper()
		c := &plugin.Ctx{HTTP: new(fasthttp.RequestCtx)}
		h.Set(c, &Rule{Limit: 10, Remaining: 9, Reset: 59990 * time.Millisecond})
		var got []string
		for k, v := range c.HTTP.Response.Header.All() {
			if string(k) != "Content-Type" {
				got = append(got, string(k)+"="+string(v))
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
	const l, m, r = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
	f(NewHeaders(l, m, r, ""), "X-RateLimit-Limit=10 X-RateLimit-Remaining=9 X-RateLimit-Reset=59.99")
	f(NewHeaders(l, m, r, "jack"), "X-jack-RateLimit-Limit=10 X-jack-RateLimit-Remaining=9 X-jack-RateLimit-Reset=59.99")
	f(NewHeaders("X-AI-RateLimit-Limit", m, "", "1"), "X-AI-1-RateLimit-Limit=10 X-1-RateLimit-Remaining=9")
	f(NewHeaders("A: b\r\nC", m, r, "a b"), "A--b--C=10 X-a-b-RateLimit-Remaining=9 X-a-b-RateLimit-Reset=59.99")
}

func TestSeconds(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{{0, "0"}, {time.Minute, "60"}, {59999 * time.Millisecond, "59.99"}, {1500 * time.Millisecond, "1.5"}, {1050 * time.Millisecond, "1.05"}, {9 * time.Millisecond, "0"}, {24 * time.Hour, "86400"}} {
		if got := string(appendSeconds(nil, tt.d)); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.d, got, tt.want)
		}
	}
}
