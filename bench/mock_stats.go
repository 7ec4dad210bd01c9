package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// counters are what GET /mock/stats shows.
type counters struct {
	connsOpen, connsTotal atomic.Int64
	requests, streams     tally
	events                atomic.Int64
	goneCount, goneNotice atomic.Int64 // departures noticed while waiting; nanoseconds of the latest
	goneMax               atomic.Int64
}

// tally counts exchanges by how they ended.
type tally struct {
	open                                 atomic.Int64
	total                                atomic.Uint64
	completed, gone, scripted, shutDowns atomic.Int64
}

func (t *tally) add(end string, n int64) {
	switch end {
	case "completed":
		t.completed.Add(n)
	case "client_gone":
		t.gone.Add(n)
	case "scripted":
		t.scripted.Add(n)
	default:
		t.shutDowns.Add(n)
	}
}

func (t *tally) view() map[string]any {
	return map[string]any{
		"open": t.open.Load(), "total": t.total.Load(), "completed": t.completed.Load(),
		"client_gone": t.gone.Load(), "scripted": t.scripted.Load(), "shutdown": t.shutDowns.Load(),
	}
}

func (s *counters) gone(d time.Duration) {
	if d < 0 {
		return
	}
	s.goneCount.Add(1)
	s.goneNotice.Store(int64(d))
	for {
		m := s.goneMax.Load()
		if int64(d) <= m || s.goneMax.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

func endOf(err error, closing bool) string {
	switch {
	case err == nil:
		return "completed"
	case errors.Is(err, errScripted):
		return "scripted"
	case closing:
		return "shutdown"
	}
	return "client_gone"
}

// record is one request as GET /mock/last shows it.
type record struct {
	r       *request
	started time.Time

	mu     sync.Mutex
	ended  time.Time
	end    string
	events int
}

func (rec *record) finish(end string, events int) {
	rec.mu.Lock()
	rec.ended, rec.end, rec.events = time.Now(), end, events
	rec.mu.Unlock()
}

// journal keeps the latest requests.
type journal struct {
	mu   sync.Mutex
	keep int
	ring []*record
	next int
}

func (j *journal) add(rec *record) {
	j.mu.Lock()
	if len(j.ring) < j.keep {
		j.ring = append(j.ring, rec)
	} else {
		j.ring[j.next] = rec
	}
	j.next = (j.next + 1) % j.keep
	j.mu.Unlock()
}

func (j *journal) reset() {
	j.mu.Lock()
	j.ring, j.next = nil, 0
	j.mu.Unlock()
}

// newest returns up to n records, the latest first.
func (j *journal) newest(n int) []*record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []*record
	for i := 1; i <= len(j.ring) && len(list) < n; i++ {
		list = append(list, j.ring[(j.next-i+j.keep)%j.keep])
	}
	return list
}

// introspect answers /mock/...: these requests are neither scripted nor counted.
func (c *conn) introspect(r *request) error {
	q, _ := url.ParseQuery(r.query)
	status, ctype := 200, "application/json"
	var body []byte
	switch r.method + " " + r.path {
	case "GET /mock/stats":
		s := &c.m.stats
		body = pretty(map[string]any{
			"connections": map[string]any{"open": s.connsOpen.Load(), "total": s.connsTotal.Load()},
			"requests":    s.requests.view(),
			"streams":     s.streams.view(),
			"events":      s.events.Load(),
			"client_gone_notice": map[string]any{"count": s.goneCount.Load(),
				"last_ms": float64(s.goneNotice.Load()) / 1e6, "max_ms": float64(s.goneMax.Load()) / 1e6},
		})
	case "GET /mock/last":
		n, err := strconv.Atoi(q.Get("n"))
		if err != nil {
			n = c.m.last.keep
		}
		list := []json.RawMessage{}
		for _, rec := range c.m.last.newest(n) {
			list = append(list, rec.json())
		}
		body = pretty(list)
	case "GET /mock/last/body": // the exact bytes of the newest request
		ctype = "application/octet-stream"
		for _, rec := range c.m.last.newest(1) {
			body = rec.r.body
		}
	case "DELETE /mock/last":
		c.m.last.reset()
		body = []byte("{}\n")
	case "GET /mock/ca":
		ctype, body = "application/x-pem-file", c.m.ca
	default:
		status, body = 404, openAIError(nil, 404, "the mock has GET /mock/stats, /mock/last?n=, /mock/last/body, /mock/ca and DELETE /mock/last", "")
	}
	c.out = appendHead(c.out[:0], "HTTP/1.1", status, ctype, int64(len(body)), false)
	if !r.keepAlive {
		c.out = append(c.out, "Connection: close\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
	return c.flush()
}

// view is a request for people and tests: what reached the provider.
func (r *request) view(withJSON bool) map[string]any {
	headers := map[string]string{}
	raw := make([]string, len(r.fields))
	for i, f := range r.fields {
		raw[i] = f.name + ": " + f.value
		name := strings.ToLower(f.name)
		if old, ok := headers[name]; ok {
			headers[name] = old + ", " + f.value
		} else {
			headers[name] = f.value
		}
	}
	v := map[string]any{
		"method": r.method, "target": r.target, "path": r.path, "query": r.query, "proto": r.proto,
		"headers": headers, "raw_headers": raw, "body": string(r.body), "body_bytes": len(r.body),
	}
	if q, err := url.ParseQuery(r.query); err == nil {
		v["args"] = q
	}
	if !utf8.Valid(r.body) {
		v["body"], v["body_base64"] = nil, r.body
	}
	if withJSON && json.Valid(r.body) {
		v["json"] = json.RawMessage(r.body)
	}
	return v
}

func (r *request) json(withJSON bool) []byte { return pretty(r.view(withJSON)) }

func (rec *record) json() []byte {
	v := rec.r.view(true)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	v["started"], v["end"], v["events"] = rec.started.Format(time.RFC3339Nano), nil, nil
	if rec.end != "" {
		v["end"], v["events"] = rec.end, rec.events
		v["ended"], v["took_ms"] = rec.ended.Format(time.RFC3339Nano), float64(rec.ended.Sub(rec.started).Microseconds())/1000
	}
	return pretty(v)
}

func pretty(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return fmt.Appendf(nil, `{"error":%q}`, err)
	}
	return slices.Clip(b.Bytes())
}

// Connections returns how many connections are open.
func (m *Mock) Connections() int64 { return m.stats.connsOpen.Load() }

// Requests returns how many requests have begun.
func (m *Mock) Requests() uint64 { return m.stats.requests.total.Load() }
