package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"headrace/conf"
	"headrace/plugin/httplogger"
)

// logServer returns the URL of a log server and what it gets.
func logServer(t *testing.T) (url string, got chan string) {
	got = make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func (r *rig) logged(id, uri, log string) {
	r.src.put(conf.Routes, id, fmt.Sprintf(`{"id":%q,"uri":%q,"plugins":{"http-logger":{"uri":%q,"log_format":{"path":"$uri"}},`+
		`"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, id, uri, log, r.mock.URL()))
}

// What a logger holds outlives its compiled route, not the route for ever: its
// entries are delivered, then nothing is left of it.
func TestLoggerExpires(t *testing.T) {
	url, got := logServer(t)
	r := newRigWith(t, Options{}, httplogger.Spec)
	r.logged("1", "/a", url)
	r.do("POST", "/a", chat)
	r.logged("1", "/b", url) // not what the logger was made of
	r.do("POST", "/b", chat)
	held := func() int { n := 0; r.e.state.each(func(any) { n++ }); return n }
	before := held()
	if text := r.scrape(); !strings.Contains(text, `apisix_batch_process_entries{name="http logger",route_id="1",plugin="http-logger"} 2`) {
		t.Errorf("a changed route has lost its entries:\n%s", text)
	}
	r.src.put(conf.Routes, "1", "")
	r.e.state.expire(time.Now().Add(time.Hour), func(string) bool { return false })
	if b := <-got; b != `[{"path":"/a","route_id":"1"},{"path":"/b","route_id":"1"}]` {
		t.Errorf("the log server got %s", b)
	}
	if n := held(); before == 0 || n != 0 || strings.Contains(r.scrape(), "http logger") {
		t.Errorf("of %d values %d are left", before, n)
	}
}

// Entries of a gateway that stops are delivered.
func TestLoggerAtShutdown(t *testing.T) {
	url, got := logServer(t)
	t.Cleanup(func() { // after that of the rig
		select {
		case b := <-got:
			if !strings.Contains(b, `"path":"/a"`) {
				t.Errorf("the log server got %s", b)
			}
		default:
			t.Error("the log server got nothing")
		}
	})
	r := newRigWith(t, Options{}, httplogger.Spec)
	r.logged("1", "/a", url)
	r.do("POST", "/a", chat)
}

// A request with a logger costs a handful of allocations more, whatever
// becomes of its entry.
func TestBudgetLogger(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRigWith(t, Options{}, httplogger.Spec)
	up := canned(t, cannedPlain)
	f := func(uri, plugins string) float64 {
		t.Helper()
		r.src.put(conf.Routes, uri[1:], fmt.Sprintf(`{"id":%q,"uri":%q,"plugins":{%s"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, uri[1:], uri, plugins, up))
		return r.mallocsOf(post(uri, "", chat), len(plainAnswer))
	}
	without := f("/none", "")
	with := f("/some", `"http-logger":{"uri":"http://127.0.0.1:1","include_req_body":true,"include_resp_body":true},`)
	t.Logf("%.2f allocations per request, %.2f with a logger", without, with)
	if with > without+5 {
		t.Errorf("%.2f allocations per request, %.2f with a logger", without, with)
	}
}
