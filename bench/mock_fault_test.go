package bench

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// raw sends one streaming chat and returns everything until the mock closes.
func raw(t *testing.T, m *Mock, headers string) (string, error) {
	t.Helper()
	c := dial(t, m)
	c.post("/v1/chat/completions", headers+"Connection: close\r\n", streamChat)
	return c.rest()
}

func TestFaultsSeenFromTheWire(t *testing.T) {
	m := startMock(t, Options{Tokens: 4}) // 8 events
	has := func(n int) func(string) bool {
		return func(s string) bool { return strings.Count(s, "data: ") == n && !strings.HasSuffix(s, "0\r\n\r\n") }
	}
	for name, c := range map[string]struct {
		header string
		ok     func(string) bool
	}{
		"whole": {"", func(s string) bool {
			return strings.HasSuffix(s, "data: [DONE]\n\n\r\n0\r\n\r\n") && strings.Count(s, "data: ") == 8
		}},
		"cut":               {"x-mock-cut: 3", has(3)},
		"cut at once":       {"x-mock-cut: 0", has(0)},
		"close before head": {"x-mock-close-before-head: 1", func(s string) bool { return s == "" }},
		"garbage head":      {"x-mock-garbage: head", func(s string) bool { return strings.HasPrefix(s, "HTPP") }},
		"garbage chunk":     {"x-mock-garbage: chunk:3", func(s string) bool { return strings.Contains(s, "\r\nzz\r\n") && strings.Count(s, "data: ") == 3 }},
		"garbage event": {"x-mock-garbage: event", func(s string) bool {
			return strings.Contains(s, "\"content\":\n\n") && strings.HasSuffix(s, "0\r\n\r\n")
		}},
		"no done":  {"x-mock-no-done: 1", func(s string) bool { return !strings.Contains(s, "DONE") && strings.HasSuffix(s, "}\n\n\r\n0\r\n\r\n") }},
		"no usage": {"x-mock-no-usage: 1", func(s string) bool { return !strings.Contains(s, "usage") }},
		"close framing": {"x-mock-framing: close", func(s string) bool {
			return strings.HasSuffix(s, "\n\ndata: [DONE]\n\n") && !strings.Contains(s, "chunked")
		}},
		"crlf":      {"x-mock-crlf: 1", func(s string) bool { return strings.Count(s, "\r\n\r\n\r\n") == 8 }},
		"cr":        {"x-mock-crlf: cr", func(s string) bool { return strings.Contains(s, "data: [DONE]\r\r\r\n") }},
		"comments":  {"x-mock-comments: 2", func(s string) bool { return strings.Count(s, ": keep-alive") == 16 }},
		"bom":       {"x-mock-bom: 1", func(s string) bool { return strings.Contains(s, "\r\n\xef\xbb\xbfdata: ") }},
		"big event": {"x-mock-big-event: 300000", func(s string) bool { return len(s) > 300000 && strings.HasSuffix(s, "0\r\n\r\n") }},
		"bytes":     {"x-mock-bytes: 5000", func(s string) bool { return len(s) > 20000 && len(s) < 25000 }},
		"early hints": {"x-mock-early-hints: 1", func(s string) bool {
			return strings.HasPrefix(s, "HTTP/1.1 103 ") && strings.Contains(s, "HTTP/1.1 200 ")
		}},
		"big head": {"x-mock-big-head: 100000", func(s string) bool { h, _, _ := strings.Cut(s, "\r\n\r\n"); return len(h) > 100000 && len(h) < 101000 }},
		"error event": {"x-mock-error-event: 3", func(s string) bool {
			return strings.Contains(s, `data: {"error":{`) && strings.Count(s, "data: ") == 3 && strings.HasSuffix(s, "0\r\n\r\n")
		}},
		"split":           {"x-mock-split: 1", func(s string) bool { return strings.HasSuffix(s, "[DONE]\n\n\r\n0\r\n\r\n") }},
		"split at random": {"x-mock-split: random", func(s string) bool { return strings.HasSuffix(s, "[DONE]\n\n\r\n0\r\n\r\n") }},
		"chunk size":      {"x-mock-chunk-size: 7", func(s string) bool { return strings.Count(s, "\r\n7\r\n") > 50 && strings.HasSuffix(s, "0\r\n\r\n") }},
		"batch":           {"x-mock-batch: 3", func(s string) bool { return strings.Count(s, "data: ") == 8 }},
		"stamp":           {"x-mock-stamp: 1", func(s string) bool { return strings.Count(s, ": sent=") == 8 }},
		"tokens":          {"x-mock-tokens: 50", func(s string) bool { return strings.Count(s, "data: ") == 54 }},
		"model":           {"x-mock-model: zork", func(s string) bool { return strings.Contains(s, `"model":"zork"`) }},
	} {
		s, err := raw(t, m, c.header+strings.Repeat("\r\n", min(1, len(c.header))))
		if err != nil || !c.ok(s) {
			t.Errorf("%s: %v in %.2000q", name, err, s)
		}
	}
}

func TestLengthFraming(t *testing.T) {
	m := startMock(t, Options{Tokens: 3})
	for _, h := range []string{"", "x-mock-crlf: 1\r\n", "x-mock-comments: 1\r\nx-mock-bom: 1\r\nx-mock-stamp: 1\r\n", "x-mock-error-event: 2\r\n", "x-mock-tool: get_weather\r\n"} {
		for path, body := range map[string]string{"/v1/chat/completions": strings.Replace(toolsChat, "%v", "true", 1),
			"/v1/responses": `{"stream":true,"input":"x"}`, "/v1/messages": `{"stream":true,"messages":[]}`} {
			c := dial(t, m)
			c.post(path, h+"x-mock-framing: length\r\n", body)
			res := c.response()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.ContentLength != int64(len(b)) || len(b) < 200 || c.br.Buffered() > 0 {
				t.Errorf("%s %q: %v, %d of %d bytes, %d more", path, h, err, len(b), res.ContentLength, c.br.Buffered())
			}
		}
	}
}

func TestPlainFaults(t *testing.T) {
	m := startMock(t, Options{})
	for _, h := range []string{"x-mock-cut: 10\r\n", "x-mock-cut: 10\r\nx-mock-framing: chunked\r\n", "x-mock-garbage: chunk\r\n", "x-mock-reset: 5\r\n"} {
		c := dial(t, m)
		c.post("/v1/chat/completions", h, plainChat)
		res := c.response()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%q: %q is whole", h, b)
		}
	}
	for _, h := range []string{"x-mock-framing: close\r\n", "x-mock-framing: chunked\r\n", "x-mock-split: 3\r\n"} {
		c := dial(t, m)
		c.post("/v1/chat/completions", h, plainChat)
		if b, err := io.ReadAll(c.response().Body); err != nil || !strings.Contains(string(b), "equals 2.") {
			t.Errorf("%q: %v %q", h, err, b)
		}
	}
}

func TestReset(t *testing.T) {
	m := startMock(t, Options{})
	if s, err := raw(t, m, "x-mock-reset: 2\r\n"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v after %q", err, s)
	}
}

// TestWaits covers the faults that keep a connection open.
func TestWaits(t *testing.T) {
	m := startMock(t, Options{Tokens: 4})
	var notices []time.Duration
	for _, h := range []string{"x-mock-hang: 1\r\n", "x-mock-stall: 3\r\n", "x-mock-delay: 1m\r\n", "x-mock-first: 1m\r\n", "x-mock-gap: 1m\r\n", "x-mock-gap: 15ms\r\nx-mock-tokens: 100000\r\n", "x-mock-linger: 1m\r\n"} {
		c := dial(t, m)
		c.post("/v1/chat/completions", h, streamChat)
		poll(t, h+"the stream does not begin", func() bool { return m.stats.streams.open.Load() == 1 })
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		s, err := c.rest()
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: %v", h, err)
		}
		if got := strings.Count(s, "data: "); strings.Contains(h, "stall") && got != 3 || strings.Contains(h, "linger") && got != 8 {
			t.Errorf("%s: %d events", h, got)
		}
		gone := m.stats.streams.gone.Load()
		c.Close()
		left := time.Now()
		poll(t, h+"the departure goes unnoticed", func() bool { return m.stats.streams.gone.Load() == gone+1 })
		notices = append(notices, time.Since(left))
	}
	// The median, because the test may share its machine.
	if slices.Sort(notices); notices[len(notices)/2] > 50*time.Millisecond {
		t.Errorf("departures were noticed after %v", notices)
	}
	// A half-closed client counts as gone, as in nginx.
	c := dial(t, m)
	c.post("/v1/chat/completions", "x-mock-hang: 1\r\n", plainChat)
	c.Conn.(*net.TCPConn).CloseWrite()
	c.gone()
	s := get(t, m, "/mock/stats").decode(t)
	want(t, s, 8.0, "requests", "client_gone")
	want(t, s, 0.0, "streams", "open")
	if n := at(s, "client_gone_notice", "count").(float64); n < 7 {
		t.Errorf("%v departures noticed while waiting", n)
	}
}
