package engine

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// sleepy is a plugin that delays by the argument d and notes how that ended.
type sleepy struct{ began, stayed, left, logged *atomic.Int64 }

func (s sleepy) Rewrite(c *plugin.Ctx) plugin.Verdict {
	d, _ := time.ParseDuration(string(c.Arg("d")))
	s.began.Add(1)
	if !c.Sleep(d) {
		s.left.Add(1)
		return plugin.Gone
	}
	s.stayed.Add(1)
	return c.Reply(499, plugin.Text, []byte("slept")) // a status like any other
}

func (s sleepy) Log(c *plugin.Ctx) { s.logged.Store(int64(c.Status)) }

func sleepyRig(t *testing.T) (*rig, sleepy) {
	s := sleepy{new(atomic.Int64), new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
	r := newRigWith(t, Options{}, plugin.Spec{
		Name: "sleepy", Schema: schema.MustCompile("sleepy", `{"type":"object"}`),
		New: func([]byte, *plugin.Env) (any, error) { return s, nil },
	})
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/*","plugins":{"sleepy":{}}}`)
	return r, s
}

func TestSleep(t *testing.T) {
	r, s := sleepyRig(t)
	for _, d := range []string{"0s", "-1s", "20ms"} {
		if resp, body := r.do("GET", "/?d="+d, ""); resp.StatusCode != 499 || body != "slept" {
			t.Errorf("%s: %d %s", d, resp.StatusCode, body)
		}
	}
	f := func(leave func(*net.TCPConn)) {
		t.Helper()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began, left := s.began.Load(), s.left.Load()
		s.logged.Store(0)
		// Most of the body is not there and never will be.
		io.WriteString(c, "POST /?d=1h HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
		poll(t, "the request sleeps", func() bool { return s.began.Load() > began })
		start := time.Now()
		leave(c.(*net.TCPConn))
		poll(t, "the request ends", func() bool { return s.left.Load() > left && s.logged.Load() == 499 })
		if d := time.Since(start); d > time.Second {
			t.Errorf("the request ends after %v", d)
		}
	}
	f(func(c *net.TCPConn) { c.Close() })
	f(func(c *net.TCPConn) { c.CloseWrite() })
	f(func(c *net.TCPConn) { c.SetLinger(0); c.Close() })
	if n := s.stayed.Load(); n != 3 {
		t.Errorf("%d requests slept to the end", n)
	}
}

// TestSleepCut holds that a shutdown that has waited enough ends a delay.
func TestSleepCut(t *testing.T) {
	r, s := sleepyRig(t)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /?d=1h HTTP/1.1\r\nHost: a\r\n\r\n")
	poll(t, "the request sleeps", func() bool { return s.began.Load() > 0 })
	ctx, cancel := contextWithTimeout(10 * time.Millisecond)
	defer cancel()
	if r.e.Shutdown(ctx) == nil {
		t.Error("the shutdown did not wait for the request")
	}
	poll(t, "the request ends", func() bool { return s.left.Load() == 1 })
}
