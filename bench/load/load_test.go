//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	mock "headrace/bench"
)

func TestParseStat(t *testing.T) {
	f := func(line string, parent int, cpu time.Duration) {
		t.Helper()
		p, c, err := parseStat(line)
		if err != nil || p != parent || c != cpu {
			t.Errorf("parseStat(%q) = %d, %s, %v, want %d, %s", line, p, c, err, parent, cpu)
		}
	}
	f("15573 (cat) R 15566 15566 13166 0 -1 4194304 99 0 0 0 12 30 5 6 20 0 1 0 318632 3133440 412", 15566, 420*time.Millisecond)
	f("7 (a) b) (c) S 1 7 7 0 -1 0 0 0 0 0 1 0 0 0 20 0", 1, 10*time.Millisecond)
	for _, line := range []string{"", "7 (x)", "7 (x) S 1 7 7 0 -1 0 0 0 0 0 a 0"} {
		if _, _, err := parseStat(line); err == nil {
			t.Errorf("parseStat(%q) takes it", line)
		}
	}
}

func TestParseRollup(t *testing.T) {
	m, err := parseRollup("55fd-7fff ---p 00000000 00:00 0   [rollup]\nRss:      1672 kB\nPss:       372 kB\nPss_Anon:  112 kB\nAnonymous:      100 kB\nSwap: 0 kB\n")
	if want := (memory{1672 << 10, 372 << 10, 100 << 10}); err != nil || m != want {
		t.Errorf("parseRollup gives %v, %v, want %v", m, err, want)
	}
	for _, text := range []string{"", "Rss: 1 kB\nPss: 2 kB\n", "Rss: 1 MB\nPss: 2 kB\nAnonymous: 3 kB\n"} {
		if _, err := parseRollup(text); err == nil {
			t.Errorf("parseRollup(%q) takes it", text)
		}
	}
}

func TestParseCore(t *testing.T) {
	const text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 100 50 4 5 6 0 0\ncpu10 9 9 9 9 9 9 9 9 0 0\nintr 1\n"
	if d := parseCore(text, 0); d != 21*tick {
		t.Errorf("core 0 worked %s, want %s", d, 21*tick)
	}
	if d := parseCore(text, 1); d != 0 || coreTime(0) < 0 {
		t.Errorf("core 1 worked %s", d)
	}
}

func TestOwnProcess(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := cpuTime(pids)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := cpuTime(pids)
	if err != nil || after-before < 10*time.Millisecond || after-before > 10*time.Second {
		t.Errorf("50 ms of work cost %s, %v", after-before, err)
	}
	_, ticks, err := readStat(pids[0])
	if d := after - ticks; err != nil || d < -time.Second || d > time.Second {
		t.Errorf("the clock says %s, the stat file %s, %v", after, ticks, err)
	}
	if m, err := readMemory(pids); err != nil || m.rss < m.anon || m.anon == 0 || openFiles(pids) < 3 {
		t.Errorf("memory %v, %v, %d files", m, err, openFiles(pids))
	}
}

func TestTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60; true")
	if err := cmd.Start(); err != nil {
		t.Skip("no shell: ", err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	deadline := time.Now().Add(5 * time.Second)
	for {
		if pids := tree(cmd.Process.Pid); len(pids) == 2 && pids[0] == cmd.Process.Pid {
			child, _ := os.FindProcess(pids[1])
			child.Kill()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("tree(%d) = %v, want a child too", cmd.Process.Pid, tree(cmd.Process.Pid))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestResponse(t *testing.T) {
	f := func(text string, status, events int, size int64, tail string) {
		t.Helper()
		for step := 1; step <= len(text); step++ {
			var r response
			r.reset()
			done, n := false, 0
			for chunk := range slices.Chunk([]byte(text), step) {
				n += len(chunk)
				var err error
				if done, err = r.feed(chunk); err != nil || done != (n == len(text)) {
					t.Fatalf("%q in steps of %d: done %v, %v after %d bytes", text, step, done, err, n)
				}
			}
			if r.status != status || r.events() != events || r.bytes != size || !r.endsWith(tail) {
				t.Fatalf("%q in steps of %d: status %d, %d events, %d bytes, tail %q", text, step, r.status, r.events(), r.bytes, r.tail)
			}
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\"}", 200, 0, 5, "}")
	f("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404, 0, 0, "")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n1A\r\ndata: b\n\ndata: [DONE]\n\n012\r\n0\r\nX-Sum: 1\r\n\r\n", 200, 3, 35, "012")
	for _, text := range []string{"HTTP/9\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"} {
		var r response
		if _, err := r.feed([]byte(text)); err == nil {
			t.Errorf("feed(%q) takes it", text)
		}
	}
}

func TestFeedAllocates(t *testing.T) {
	head := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := []byte("10\r\ndata: 12345678\n\n\r\n")
	var r response
	if n := testing.AllocsPerRun(100, func() {
		r.reset()
		r.feed(head)
		for range 10 {
			if _, err := r.feed(chunk); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Errorf("%.1f allocations for an answer, want 0", n)
	}
}

func TestRequests(t *testing.T) {
	for _, size := range []int{700, 1 << 10, 16 << 10, 256 << 10} {
		for _, stream := range []bool{false, true} {
			s := newSource("h", chatPath, prompt{bytes: size, variants: 4, stream: stream}, 1, 2)
			seen := map[string]bool{}
			for range 12 {
				req := string(s.request())
				_, body, _ := strings.Cut(req, "\r\n\r\n")
				var v struct {
					Model    string
					Stream   bool
					Messages []struct{ Role, Content string }
				}
				if err := json.Unmarshal([]byte(body), &v); err != nil || len(body) != size || v.Model != askedModel || v.Stream != stream || len(v.Messages) < 2 {
					t.Fatalf("body of %d bytes, want %d: %v: %.200s", len(body), size, err, body)
				}
				seen[req] = true
			}
			if len(seen) != 12 {
				t.Errorf("%d different requests out of 12", len(seen))
			}
		}
	}
}

func TestNumber(t *testing.T) {
	f := func(v float64, digits int, want string) {
		t.Helper()
		if got := number(v, digits); got != want {
			t.Errorf("number(%v, %d) = %q, want %q", v, digits, got, want)
		}
	}
	f(0, 0, "0")
	f(999.96, 1, "1 000.0")
	f(1234567, 0, "1 234 567")
	f(-1234, 0, "-1 234")
	f(12.345, 2, "12.35")
}

func TestPick(t *testing.T) {
	all := scenarios(defaults(true))
	list, err := pick(all, []string{"events", "plain"})
	if err != nil || names(list) != "plain-1k, plain-16k, plain-256k, events" {
		t.Errorf("pick gives %s, %v", names(list), err)
	}
	if _, err := pick(all, []string{"plane"}); err == nil {
		t.Error("pick takes plane")
	}
}

// tiny runs scenarios against a mock in this process, as if it were a gateway.
func tiny(t *testing.T, o mock.Options, only ...string) *bench {
	t.Helper()
	m := mock.New(o)
	if err := m.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := defaults(true)
	s.warm, s.window, s.settle = 20*time.Millisecond, 200*time.Millisecond, 10*time.Millisecond
	s.rounds, s.conns, s.streams, s.rate, s.open, s.leave = 1, 2, 10, 1000, 20, 20
	list, err := pick(scenarios(s), only)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		settings: s, list: list, lab: &lab{cores: cores{-1, -1}, mockAddr: m.Addr().String()},
		gateways: []*gateway{{name: "nginx", addr: m.Addr().String(), pids: []int{os.Getpid()}}, {name: "other", absent: "it is not there"}},
		progress: func(string, ...any) {},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.run(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSmoke(t *testing.T) {
	b := tiny(t, mock.Options{})
	for _, r := range b.results {
		c := r.cells["nginx"]
		if c == nil || len(c.Rounds) != b.rounds {
			t.Errorf("%s: %+v", r.scenario.name, c)
			continue
		}
		for _, n := range c.Notes {
			if !strings.Contains(n, "not a fresh process") && !strings.Contains(n, "events/s were reached") {
				t.Errorf("%s: %s", r.scenario.name, n)
			}
		}
		for _, m := range r.scenario.metrics {
			v, _, ok := c.median(m.key)
			if m.key != "mallocs" && (!ok || v <= 0) && !(m.key == "left" && v == 0) && !r.scenario.fresh {
				t.Errorf("%s: %s is %v, %v", r.scenario.name, m.label, v, ok)
			}
		}
	}
	var text, md, raw bytes.Buffer
	b.print(&text, 60, "load")
	b.markdown(&md, "load")
	if err := b.json(&raw, "load"); err != nil || !json.Valid(raw.Bytes()) {
		t.Errorf("JSON: %v: %s", err, raw.Bytes())
	}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "  ") && len([]rune(line)) > 62 {
			t.Errorf("wider than 60: %q", line)
		}
	}
	if !strings.Contains(md.String(), "| CPU per request, µs |") || !strings.Contains(text.String(), "other: absent: it is not there") {
		t.Errorf("report:\n%s\n%s", &md, &text)
	}
}

func TestFaultsAreMarked(t *testing.T) {
	f := func(script map[string]string, only, want string) {
		t.Helper()
		b := tiny(t, mock.Options{Script: script}, only)
		_, rows, notes := b.table()
		all := strings.Join(notes, "\n")
		if !strings.Contains(all, want) {
			t.Errorf("%v, %s: notes %q, want %q", script, only, all, want)
		}
		if len(rows) < 2 || !strings.HasSuffix(rows[1].cells[1], "!") {
			t.Errorf("%v, %s: rows %v are not marked", script, only, rows)
		}
	}
	f(map[string]string{"status": "500"}, "plain-1k", "status 500")
	f(map[string]string{"cut": "20"}, "plain-1k", "connection closed inside of the answer")
	f(map[string]string{"cut": "4"}, "short", "connection closed inside of the answer")
	f(map[string]string{"no-done": "1"}, "short", "stream ends with")
	f(map[string]string{"no-usage": "1"}, "short", "stream has 6 events, want 7")
	f(map[string]string{"close-before-head": "1"}, "open", "connection closed before the answer")
}
