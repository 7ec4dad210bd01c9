package plugin

import (
	"net/netip"
	"strings"
	"testing"

	"headrace/conf/expr"
)

// Where conditions see something else than logs do.
func TestVarOfExpressions(t *testing.T) {
	c := full()
	is := func(name string, want expr.Value) {
		t.Helper()
		got := c.Var([]byte("before"), name)
		if got.Kind != want.Kind || string(got.Bytes) != string(want.Bytes) || got.Bool != want.Bool {
			t.Errorf("%s is %d %q %v, want %d %q %v", name, got.Kind, got.Bytes, got.Bool, want.Kind, want.Bytes, want.Bool)
		}
	}
	text := func(s string) expr.Value { return expr.StringValue([]byte(s)) }
	is("request_uri", text("/v1/chat?model=x%20y&Model=z&e&bad=%zz%41&%6bey=1+2&model=second"))
	is("arg_e", expr.BoolValue(true))
	is("arg_model", text("x y"))
	is("arg_none", expr.Value{})
	c.Req.Query = nil
	is("request_uri", text("/v1/chat"))
	if v, _ := LookupVar("arg_e"); v != nil {
		if out, ok := v(full(), nil); len(out) > 0 || !ok {
			t.Errorf("a log shows %q, %v for an argument without a value", out, ok)
		}
	}
}

// What clients claim about their way (gateway.md 1.8).
func TestForwarded(t *testing.T) {
	const claims = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.com\r\nX-Forwarded-Port: 8443\r\nForwarded: for=1.2.3.4\r\n"
	f := func(name string, trust Trust, host, headers string, want ...string) {
		t.Helper()
		c := &Ctx{Req: Request{Host: []byte(host), Headers: []byte(headers), Trust: trust, Local: netip.MustParseAddrPort("10.0.0.1:9080")}}
		for i, v := range []string{"http_x_forwarded_proto", "http_x_forwarded_host", "http_X-Forwarded-Port", "http_forwarded"} {
			got := c.Var(nil, v)
			if string(got.Bytes) != want[i] || (got.Kind == expr.Absent) != (want[i] == "") {
				t.Errorf("%s: %s is %d %q, want %q", name, v, got.Kind, got.Bytes, want[i])
			}
		}
	}
	f("no addresses", TrustUnset, "a.com", claims, "http", "a.com", "9080", "")
	f("trusted", Trusted, "a.com", claims, "https", "evil.com", "8443", "for=1.2.3.4")
	f("not trusted", Untrusted, "a.com", claims, "http", "a.com", "9080", "")
	f("a host with its port", TrustUnset, "Example.COM:81", "", "http", "Example.COM:81", "81", "")
	f("a port that is none", TrustUnset, "[::1]", "", "http", "[::1]", "9080", "")
	f("trusted, but silent", Trusted, "a.com:81", "X-Forwarded-Proto:\r\n", "http", "a.com:81", "81", "")
	f("trusted, repeated", Trusted, "a.com", "X-Forwarded-Proto: https\r\nx-forwarded-proto: http\r\n", "https, http", "a.com", "9080", "")
	f("no host", TrustUnset, "", "", "http", "", "9080", "")
}

// A plugin's word counts, whoever the client is.
func TestForwardedByPlugin(t *testing.T) {
	for _, trust := range []Trust{TrustUnset, Trusted, Untrusted} {
		c := &Ctx{Req: Request{Headers: []byte("X-Forwarded-Proto: grpc\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Host-2: x\r\n"), Trust: trust}}
		c.SetHeader("X-Forwarded-Proto", "https")
		c.AddHeader("x-forwarded-host", "b.com")
		for h, want := range map[Forwarded]string{ForwardedProto: "https", ForwardedHost: "b.com"} {
			got, _ := c.Req.AppendForwarded(nil, h)
			if s := string(got); s != want && (trust != Trusted || !strings.HasSuffix(s, ", "+want)) {
				t.Errorf("trust %d: %s is %q, want %q", trust, forwardedNames[h], s, want)
			}
		}
		// Removed, whether the client has sent it or not (proxy-rewrite2.t 9, 10).
		c.DelHeader("X-Forwarded-Host")
		c.DelHeader("X-Forwarded-Port")
		for _, h := range []Forwarded{ForwardedHost, ForwardedPort} {
			if got, ok := c.Req.AppendForwarded(nil, h); ok {
				t.Errorf("trust %d: %s is removed, but %q", trust, forwardedNames[h], got)
			}
		}
	}
}

func TestArgs(t *testing.T) {
	f := func(query, name string, want ...string) {
		t.Helper()
		var got []string
		for a := ArgsOf([]byte(query)); a.Next(); {
			if a.Is(name) {
				v := string(AppendUnescaped(nil, a.Value))
				if a.Bare {
					v = "bare"
				}
				got = append(got, v)
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%s of %q: %q, want %q", name, query, got, want)
		}
	}
	f("a=1&b=2&a=3", "a", "1", "3")
	f("a=1&ab=2&%61=4&a", "a", "1", "4", "bare")
	f("a%20b=1&a+b=2", "a b", "1", "2")
	f("a=x%3Dy=z&&=e", "a", "x=y=z")
	f("a=x&&=e", "", "bare", "e")
	f("", "a")
	f("%", "%", "bare")
	f("%4=1", "%4", "1")
}
