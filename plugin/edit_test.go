package plugin

import (
	"bytes"
	"strings"
	"testing"
)

func TestSetHeader(t *testing.T) {
	const sent = "Host: a\r\nX-Key: 1\r\nAccept: b\r\nx-key: 2\r\n"
	for _, tt := range []struct{ name, value, want string }{
		{"X-Key", "new", "Host: a\r\nX-Key: new\r\nAccept: b\r\n"},
		{"x-KEY", "", "Host: a\r\nAccept: b\r\n"},
		{"X-Other", "v", sent + "X-Other: v\r\n"},
		{"X-Other", "", sent},
		{"Accept", "a\r\nX-Evil: 1", "Host: a\r\nX-Key: 1\r\nAccept: a  X-Evil: 1\r\nx-key: 2\r\n"},
	} {
		before := []byte(sent)
		c := &Ctx{Req: Request{Headers: before}}
		c.SetHeader(tt.name, tt.value)
		if got := string(c.Req.Headers); got != tt.want {
			t.Errorf("%s=%q: got %q, want %q", tt.name, tt.value, got, tt.want)
		}
		if string(before) != sent {
			t.Errorf("%s: the received bytes were changed", tt.name)
		}
	}
	c := &Ctx{Req: Request{Headers: []byte(sent)}}
	c.AddHeader("X-Key", "3")
	c.DelHeader("accept")
	c.DelHeader("nothing")
	if got := string(c.Req.Headers); got != "Host: a\r\nX-Key: 1\r\nx-key: 2\r\nX-Key: 3\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestSetHeaders(t *testing.T) {
	const sent = "A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\nD: 5\r\n"
	c := &Ctx{Req: Request{Headers: []byte(sent)}}
	c.SetHeaders(HeaderEdit{"c", "x"}, HeaderEdit{"E", "new"}, HeaderEdit{"A", "y"}, HeaderEdit{"b", ""}, HeaderEdit{"F", ""})
	if got := string(c.Req.Headers); got != "A: y\r\nc: x\r\nD: 5\r\nE: new\r\n" {
		t.Errorf("got %q", got)
	}
	c.SetHeaders()
	if got := string(c.Req.Headers); got != "A: y\r\nc: x\r\nD: 5\r\nE: new\r\n" {
		t.Errorf("no edits: got %q", got)
	}
}

// TestBudgetIdentify holds that a request pays for one copy of its headers.
func TestBudgetIdentify(t *testing.T) {
	who := &Consumer{Name: "jill", Credential: "c1", Labels: map[string]string{"custom_id": "7"}}
	sent := []byte("Host: a\r\nX-Consumer-Username: root\r\n" + strings.Repeat("X-Other: 12345678\r\n", 30))
	c := new(Ctx)
	if n := testing.AllocsPerRun(100, func() { c.Req.Headers = sent; c.Identify(who) }); n != 1 && !underRace {
		t.Errorf("%v allocations, want 1", n)
	}
}

func TestDelCookie(t *testing.T) {
	for _, tt := range []struct{ sent, want string }{
		{"Cookie: a=1; jwt=x.y; b=2\r\nHost: h\r\n", "Cookie: a=1; b=2\r\nHost: h\r\n"},
		{"Host: h\r\ncookie:jwt=x;a=1\r\n", "Host: h\r\ncookie: a=1\r\n"},
		{"Cookie: jwt=x\r\nHost: h\r\nCookie: c; jwt=y; jwt2=\"z\"; jwt=\r\n", "Host: h\r\nCookie: c; jwt2=\"z\"\r\n"},
		{"Cookie: jwt; JWT=1; =jwt\r\n", "Cookie: jwt; JWT=1; =jwt\r\n"},
		{"Set-Cookie: jwt=1\r\n", "Set-Cookie: jwt=1\r\n"},
	} {
		c := &Ctx{Req: Request{Headers: []byte(tt.sent)}}
		c.DelCookie("jwt")
		if got := string(c.Req.Headers); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.sent, got, tt.want)
		}
	}
}

func TestDelArg(t *testing.T) {
	for _, tt := range []struct{ query, want string }{
		{"apikey=1&a=2&apikey=3&%61pikey=4&apikey", "a=2"},
		{"a=1&b", "a=1&b"},
		{"apikey=1", ""},
		{"", ""},
	} {
		c := &Ctx{Req: Request{Query: []byte(tt.query)}}
		c.DelArg("apikey")
		if got := string(c.Req.Query); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestIdentify(t *testing.T) {
	c := &Ctx{Req: Request{Headers: []byte("X-Consumer-Username: root\r\nX-Credential-Identifier: x\r\nx-consumer-custom-id: 9\r\n")}}
	c.Identify(&Consumer{Name: "jill", Group: "g", Labels: map[string]string{"custom_id": "7"}})
	if got := string(c.Req.Headers); got != "X-Consumer-Username: jill\r\nX-Consumer-Custom-ID: 7\r\n" {
		t.Errorf("got %q", got)
	}
	v, _ := LookupVar("consumer_group_id")
	if got, ok := v(c, nil); string(got) != "g" || !ok {
		t.Errorf("consumer_group_id is %q, %v", got, ok)
	}
}

func TestSetTarget(t *testing.T) {
	c := &Ctx{Req: Request{URI: []byte("/sent")}}
	c.SetTarget([]byte("/a b/\u00fc?#%\r\n"), []byte("x=1 2\r\nX: y&z=%20"))
	if got := string(c.Req.Target); got != "/a%20b/%C3%BC%3F%23%25%0D%0A?x=1%202%0D%0AX:%20y&z=%20" {
		t.Errorf("got %q", got)
	}
	if string(c.Req.URI) != "/sent" || string(c.Req.Path) != "/a b/\u00fc?#%\r\n" {
		t.Errorf("URI %q, path %q", c.Req.URI, c.Req.Path)
	}
}

func TestSetRawTarget(t *testing.T) {
	c := &Ctx{Req: Request{URI: []byte("/sent"), Path: []byte("/p")}}
	c.SetRawTarget([]byte("/a%20b?x=%E4\u00fc&y=\r\nX: 1"))
	if got := string(c.Req.Target); got != "/a%20b?x=%E4\u00fc&y=%0D%0AX:%201" || string(c.Req.Path) != "/p" {
		t.Errorf("got %q, path %q", got, c.Req.Path)
	}
	if c.SetRawTarget(nil); c.Req.Target != nil {
		t.Errorf("got %q", c.Req.Target)
	}
}

// FuzzEdit holds that what is removed is gone and what is set can be read,
// whatever a client has sent.
func FuzzEdit(f *testing.F) {
	f.Add("Cookie: a=1; jwt=x\r\ncookie:jwt=y\r\nX: z\r\n", "jwt")
	f.Add("Cookie:;;=;\n:\nX", "x")
	f.Fuzz(func(t *testing.T, headers, name string) {
		c := &Ctx{Req: Request{Headers: []byte(headers)}}
		lines := bytes.Count(c.Req.Headers, []byte("\n"))
		c.DelCookie(name)
		if got := c.Cookie(name); got != nil {
			t.Errorf("%q in %q is still %q", name, headers, got)
		}
		if n := bytes.Count(c.Req.Headers, []byte("\n")); n > lines+1 {
			t.Errorf("%q has become %q", headers, c.Req.Headers)
		}
		c.Req.Headers = append([]byte(headers), "\r\n"...)
		c.SetHeaders(HeaderEdit{HeaderConsumer, "jill"}, HeaderEdit{HeaderCredential, ""})
		if string(c.Header(HeaderConsumer)) != "jill" || c.Header(HeaderCredential) != nil {
			t.Errorf("%q has become %q", headers, c.Req.Headers)
		}
	})
}
