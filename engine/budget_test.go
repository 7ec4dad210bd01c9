package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/plugin"
)

// canned is an upstream that answers every request with the same bytes and
// allocates nothing for it.
func canned(t *testing.T, answer string) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReaderSize(c, 64<<10)
				for {
					n, ok := readHead(r)
					if !ok {
						return
					}
					if _, err := r.Discard(n); err != nil {
						return
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

var lengthName = []byte("content-length:")

// readHead reads a head and returns the length of the body behind it.
func readHead(r *bufio.Reader) (length int, ok bool) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, true
		}
		if len(line) > len(lengthName) && bytes.EqualFold(line[:len(lengthName)], lengthName) {
			for _, c := range bytes.TrimSpace(line[len(lengthName):]) {
				length = length*10 + int(c-'0')
			}
		}
	}
}

// mallocs counts the allocations of the whole process over runs of f.
func mallocs(n int, f func()) float64 {
	f()
	var before, after runtime.MemStats
	best := -1.0
	for range 3 {
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range n {
			f()
		}
		runtime.ReadMemStats(&after)
		if got := float64(after.Mallocs-before.Mallocs) / float64(n); best < 0 || got < best {
			best = got
		}
	}
	return best
}

// mallocsOf counts the allocations for one request with an answer of that length.
func (r *rig) mallocsOf(request string, length int) float64 {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	req := []byte(request)
	br := bufio.NewReaderSize(c, 16<<10)
	return mallocs(500, func() {
		c.Write(req)
		n, ok := readHead(br)
		if !ok || n != length {
			r.t.Fatal("bad answer", n, ok)
		}
		br.Discard(n)
	})
}

const plainAnswer = `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"2"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`

var cannedPlain = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(plainAnswer), plainAnswer)

// A whole plain chat request through the gateway, with metrics on: at most 10
// allocations (the aim is 4).
func TestBudgetPlainRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Options{})
	up := canned(t, cannedPlain)
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/v1/chat/completions","plugins":{"prometheus":{},"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}},"options":{"model":"gpt"},"override":{"endpoint":"`+up+`"}}}}`)
	r.plainBudget("/v1/chat/completions")
}

// plainBudget counts what chat requests to path allocate.
func (r *rig) plainBudget(path string) {
	t := r.t
	t.Helper()
	got := r.mallocsOf(post(path, "Content-Type: application/json\r\n", chat), len(plainAnswer))
	t.Logf("%.2f allocations per plain request", got)
	if got > 10 {
		t.Errorf("%.2f allocations per plain request, at most 10 are allowed", got)
	}
}

// Events of a running stream cost no allocation at all.
func TestBudgetStreamEvents(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Options{})
	const events = 2000
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i := range events {
		ev := fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w%d\"}}]}\n\n", i)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(ev), ev)
	}
	b.WriteString("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
	up := canned(t, b.String())
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/s","plugins":{"prometheus":{},"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":"`+up+`"}}}}`)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := []byte("POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(chatStream)) + "\r\n\r\n" + chatStream)
	br := bufio.NewReaderSize(c, 64<<10)
	end := []byte("0\r\n\r\n")
	got := mallocs(20, func() {
		c.Write(req)
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(line, end[:3]) {
				br.Discard(2)
				return
			}
		}
	})
	t.Logf("%.1f allocations per stream of %d events", got, events)
	if got > 40 {
		t.Errorf("%.1f allocations per stream of %d events: events allocate", got, events)
	}
}

// A request whose model decides about its route: the body is read and parsed
// once, for the condition and for the proxy.
func TestBudgetModelRouting(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Options{})
	up := canned(t, cannedPlain)
	for _, model := range []string{"a", "b", "m"} {
		r.src.put(conf.Routes, model, `{"id":"`+model+`","uri":"/c","vars":[["post_arg.model","==","`+model+`"]],"plugins":{"prometheus":{},"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}},"override":{"endpoint":"`+up+`"}}}}`)
	}
	r.plainBudget("/c")
}

// Finding a route allocates nothing, whatever the table looks like.
func TestBudgetMatch(t *testing.T) {
	rt := &router{}
	for i := range 1000 {
		e := &entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf("/api/v%d/*", i), fmt.Sprintf("/exact/%d", i)}}
		if i%3 == 0 {
			e.hosts = []string{fmt.Sprintf("h%d.example.com", i), "*.wild.example.com"}
		}
		rt = rt.with(e)
	}
	var m match
	ctx := &plugin.Ctx{Req: plugin.Request{Path: []byte("/api/v999/chat"), Host: []byte("h999.example.com:8080"), Method: []byte("POST")}}
	if rt.find(ctx, &m) == nil {
		t.Fatal("no match")
	}
	if n := testing.AllocsPerRun(200, func() { rt.find(ctx, &m) }); n != 0 {
		t.Errorf("%v allocations per match", n)
	}
}

// Neither do conditions and parameters, once they are compiled.
func TestBudgetConditions(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	rt := &router{byURI: true, params: true}
	for i, vars := range []string{
		`[["arg_user","==","nobody"]]`, `[["http_x_tier","in",["gold","silver"]],["arg_n",">",10]]`, `["OR",["http_authorization","~~","^Basic "],["cookie_a","==","x"]]`,
		`[["uri","~~","^/u/7"],["request_method","==","POST"],["http_x_long","!","==",""]]`,
	} {
		e := &entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{"/u/:id/*rest"}}
		e.when = newConditions(&conf.Route{Vars: []byte(vars), RemoteAddrs: []string{"10.0.0.0/8", "::1"}})
		rt = rt.with(e)
	}
	var m match
	ctx := &plugin.Ctx{Req: plugin.Request{
		Path: []byte("/u/7/a/b"), Query: []byte("user=me&n=7"), Method: []byte("POST"), Remote: netip.MustParseAddrPort("10.1.2.3:1"),
		Headers: []byte("Authorization: Bearer " + strings.Repeat("t", 2000) + "\r\nX-Tier: gold\r\nX-Long: " + strings.Repeat("l", 2000) + "\r\n"),
	}}
	if c := rt.find(ctx, &m); c == nil || c.entry.id != "3" || len(ctx.Params) != 2 {
		t.Fatal("no match", c, ctx.Params)
	}
	best := 1.0 // the collector may empty a pool in one run
	for range 5 {
		best = min(best, testing.AllocsPerRun(200, func() { rt.find(ctx, &m) }))
	}
	if best > 0 {
		t.Errorf("%v allocations per match", best)
	}
}

// A route that no request has come near costs less than 4 KiB, whatever its
// conditions are.
func TestBudgetColdRoute(t *testing.T) {
	e, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 5000
	items := make([]conf.Change, n)
	for i := range items {
		id := strconv.Itoa(i)
		items[i] = conf.Change{Item: conf.Item{Kind: conf.Routes, ID: id, Rev: 1, Raw: []byte(`{"id":"` + id + `","uri":"/c","remote_addrs":["10.0.0.0/8","::1"],"vars":[["post_arg.model","~~","^gpt-(4|5)[a-z]{1,50}` + id + `$"],["http_x_user","in",["a","b","c","d"]]],` +
			`"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}},"options":{"model":"gpt"}}}}`)}}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := e.snap.Load().apply(e, items, 1)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes per route", per)
	if s.Routes() != n || per > 4<<10 {
		t.Errorf("%d routes of %d bytes", s.Routes(), per)
	}
	runtime.KeepAlive(items)
}
