package engine

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// counting is a plugin that counts the requests under way, and in a header of
// theirs what they ask for: a pause, or a panic.
type counting struct {
	open, ended *atomic.Int64
	fail        failing
}

func (n counting) Access(c *plugin.Ctx) plugin.Verdict {
	n.open.Add(1)
	c.OnEnd(n)
	if d, err := time.ParseDuration(string(c.Header("x-pause"))); err == nil && !c.Sleep(d) {
		return plugin.Gone
	}
	if c.Header("x-panic") != nil {
		panic("in the access phase")
	}
	return 0
}

func (n counting) End(*plugin.Ctx) {
	n.open.Add(-1)
	n.ended.Add(1)
}

func (n counting) FilterHeader(c *plugin.Ctx) { n.fail.FilterHeader(c) }
func (n counting) Log(c *plugin.Ctx)          { n.fail.Log(c) }

// TestOnEnd holds that what a plugin begins ends once for every request,
// whatever ends that, and not before.
func TestOnEnd(t *testing.T) {
	var open, ended atomic.Int64
	spec := func(name string, fail failing) plugin.Spec {
		return plugin.Spec{Name: name, Priority: 1, Schema: schema.MustCompile(name, `{"type":"object"}`), New: func([]byte, *plugin.Env) (any, error) {
			return counting{&open, &ended, fail}, nil
		}}
	}
	r := newRigWith(t, Options{}, spec("counting", ""), spec("counting-header", "header"), spec("counting-log", "log"))
	r.src.put(conf.GlobalRules, "1", `{"id":"1","plugins":{"counting-log":{"_meta":{"filter":[["http_x_global","==","1"]]}}}}`)
	route := func(uri, plugins string) {
		r.src.put(conf.Routes, uri[1:], `{"id":"`+uri[1:]+`","uri":"`+uri+`","plugins":{`+plugins+`}}`)
	}
	ai := `,"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":"` + r.mock.URL() + `"}}`
	route("/c", `"counting":{}`+ai)
	route("/header", `"counting-header":{}`+ai)
	route("/log", `"counting-log":{},"counting":{}`+ai)
	// A filter that holds when the request comes, and no more when it is logged.
	route("/filter", `"counting":{"_meta":{"filter":[["status","==","000"]]}}`+ai)
	r.proxied("proxied", "/p", "{"+nodes(r.mock.URL()[len("http://"):])+"}", `,"plugins":{"counting":{}}`)
	closed := make(chan string, 9)
	r.proxied("ws", "/ws", "{"+nodes(r.echo(closed))+"}", `,"enable_websocket":true,"plugins":{"counting":{}}`)

	settled := func(what string, want int64) {
		t.Helper()
		poll(t, what+": all has ended", func() bool { return open.Load() == 0 && ended.Load() == want })
		ended.Store(0)
	}
	// The client leaves.
	r.abort(post("/c", "x-mock-hang: 1\r\n", chat), "")
	settled("gone while waiting for the head", 1)
	r.abort(post("/c", "x-mock-stall: 3\r\n", chatStream), "200")
	settled("gone between tokens", 1)
	r.abort(post("/c", "x-mock-stall: 20\r\n", chat), "")
	settled("gone within a plain answer", 1)

	r.do("POST", "/c", chat)
	settled("a plain answer", 1)
	r.do("POST", "/c", chatStream)
	settled("a stream", 1)
	r.do("POST", "/c", chat, "x-mock-status", "500")
	settled("an error of the provider", 1)
	r.do("POST", "/p", chat)
	settled("an ordinary upstream", 1)
	r.do("POST", "/nothing", chat, "x-global", "1")
	settled("no route", 1)
	r.talk(post("/nothing", "Connection: close\r\nExpect: 100-continue\r\nX-Global: 1\r\n", chat))
	settled("no route, and a client that asks first", 1)
	r.talk(post("/c", "Connection: close\r\nExpect: 100-continue\r\n", chat))
	settled("a client that asks first", 1)
	r.do("POST", "/filter", chat)
	settled("a filter", 1)
	r.do("POST", "/c", chat, "x-panic", "1")
	settled("a panic", 1)
	r.do("POST", "/header", chat)
	settled("a panic before the answer", 1)
	r.talk(post("/header", "Connection: close\r\n", chatStream))
	settled("a panic before a stream", 1)
	r.do("POST", "/log", chat, "x-global", "1")
	settled("panics while logging", 3)
	r.talk(post("/log", "Connection: close\r\n", chatStream))
	settled("a panic while a stream is logged", 2)

	// It counts until its last byte.
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, post("/c", "x-mock-gap: 100ms\r\nx-mock-tokens: 5\r\n", chatStream))
	br := bufio.NewReader(c)
	for range 12 { // into the body
		br.ReadString('\n')
	}
	if n := open.Load(); n != 1 {
		t.Errorf("%d requests are counted within a stream", n)
	}
	poll(t, "the stream ends", func() bool { line, _ := br.ReadString('\n'); return line == "data: [DONE]\n" })
	settled("a stream on a kept connection", 1)
	c.Close()

	for _, path := range []string{"/c", "/p"} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, post(path, "x-pause: 1h\r\n", chat))
		poll(t, "the request waits", func() bool { return open.Load() == 1 })
		start := time.Now()
		c.Close()
		settled("gone while it was delayed", 1)
		if d := time.Since(start); d > time.Second {
			t.Errorf("freed only after %v", d)
		}
	}
	c, br, _ = r.dial("/ws", "")
	expect(t, br, "hello ")
	if n := open.Load(); n != 1 {
		t.Errorf("%d requests are counted within a tunnel", n)
	}
	c.Close()
	<-closed
	settled("a tunnel", 1)
}
