package httplogger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/logentry/logtest"
)

// server is a log server that keeps what it gets.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	fails  int // so many more times
	answer string
	hang   chan struct{}
}

func newServer(t *testing.T, start func(http.Handler) *httptest.Server) *server {
	s := &server{}
	s.Server = start(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if s.hang != nil {
		<-s.hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		w.WriteHeader(500)
		io.WriteString(w, "I do not like "+r.Header.Get("Authorization"))
		return
	}
	s.got = append(s.got, fmt.Sprintf("%s %s %s %q %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), b))
	io.WriteString(w, s.answer)
}

func (s *server) payloads() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, "\n")
}

func TestDelivery(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	f := func(config, uri, want string) {
		t.Helper()
		s.got = nil
		g := logtest.New(t, &Spec)
		b := g.Bind(`{"uri":"` + s.URL + uri + `","log_format":{"q":"$args"}` + config + `}`)
		logtest.Serve(b, "a=1")
		logtest.Serve(b, "a=2")
		g.Close()
		if got := s.payloads(); got != want || g.Log.String() != "" {
			t.Errorf("%s: got\n%s\nwant\n%s\n%s", config, got, want, &g.Log)
		}
	}
	const one, two = `{"q":"a=1","route_id":"r1"}`, `{"q":"a=2","route_id":"r1"}`
	f(``, "", `POST / application/json "" [`+one+`,`+two+`]`)
	f(`,"auth_header":"Bearer k"`, "/logs?key=v", `POST /logs?key=v application/json "Bearer k" [`+one+`,`+two+`]`)
	f(`,"concat_method":"new_line"`, "/", `POST / text/plain "" `+one+"\n"+two)
	s.answer = strings.Repeat("x", 2*answerMax) // which is nobody's business
	for _, method := range []string{"json", "new_line"} {
		s.got = nil
		g := logtest.New(t, &Spec)
		b := g.Bind(`{"uri":"` + s.URL + `","batch_max_size":1,"concat_method":"` + method + `","log_format":{"q":"$args"}}`)
		logtest.Serve(b, "a=1")
		g.Counts("1 0 0")
		logtest.Serve(b, "a=2")
		g.Counts("2 0 0")
		if got := s.payloads(); !strings.Contains(got, `"" `+one+"\n") || !strings.HasSuffix(got, `"" `+two) {
			t.Errorf("%s: %s", method, got)
		}
	}
}

// TestInactive holds that entries do not wait for more for ever.
func TestInactive(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	g := logtest.New(t, &Spec)
	logtest.Serve(g.Bind(`{"uri":"`+s.URL+`","inactive_timeout":1}`), "a=1")
	g.Counts("1 0 0")
	if got := s.payloads(); !strings.Contains(got, `"querystring":{"a":"1"}`) || strings.Contains(got, "sk-client") {
		t.Error(got)
	}
}

func TestFailure(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	f := func(config string, fails int, counts string, text ...string) {
		t.Helper()
		s.got, s.fails = nil, fails
		g := logtest.New(t, &Spec)
		logtest.Serve(g.Bind(`{"uri":"`+s.URL+`","auth_header":"Bearer sk-log","batch_max_size":1,"retry_delay":0`+config+`}`), "")
		g.Counts(counts)
		for _, want := range append(text, "plugin=http-logger owner=routes/r1") {
			if !strings.Contains(g.Log.String(), want) {
				t.Errorf("%s: no %q in %s", config, want, &g.Log)
			}
		}
		if strings.Contains(g.Log.String(), "sk-log") {
			t.Errorf("the error log shows the credential: %s", &g.Log)
		}
	}
	f(``, 1, "0 1 0", "level=ERROR", "Batch Processor[http logger] failed to process entries", "exceeded the max_retry_count[0]", "server returned status code[500] host[127.0.0.1]")
	f(`,"max_retry_count":1,"name":"mine"`, 1, "1 0 0", "level=WARN", "Batch Processor[mine] failed to process entries")
	f(`,"max_retry_count":1`, 2, "0 1 0", "level=ERROR")
	s.Close()
	f(``, 0, "0 1 0", "connection refused")
}

func TestTLS(t *testing.T) {
	s := newServer(t, httptest.NewTLSServer)
	g := logtest.New(t, &Spec)
	logtest.Serve(g.Bind(`{"uri":"`+s.URL+`","batch_max_size":1}`), "")
	g.Counts("1 0 0")
	g = logtest.New(t, &Spec)
	logtest.Serve(g.Bind(`{"uri":"`+s.URL+`","batch_max_size":1,"ssl_verify":true}`), "")
	g.Counts("0 1 0")
	if !strings.Contains(g.Log.String(), "certificate") {
		t.Error(&g.Log)
	}
}

// TestSlow holds that a log server that does not answer costs requests no
// time, and the gateway a bounded one at its end.
func TestSlow(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	s.hang = make(chan struct{})
	defer close(s.hang)
	g := logtest.New(t, &Spec)
	g.Metadata = `{"max_pending_entries":50}`
	b := g.Bind(`{"uri":"` + s.URL + `","batch_max_size":1,"timeout":3}`)
	start := time.Now()
	for range 500 {
		logtest.Serve(b, "")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("500 requests took %v", d)
	}
	if text := g.Metrics(); !strings.Contains(text, `headrace_log_entries_total{plugin="http-logger",owner="routes/r1",outcome="dropped"} 450`) ||
		!strings.Contains(text, `apisix_batch_process_entries{name="http logger",route_id="r1",plugin="http-logger"} 50`) {
		t.Error(text)
	}
	g.Counts("0 50 450")
	if text := g.Log.String(); !strings.Contains(text, "max pending entries limit exceeded. discarding entry.") || !strings.Contains(text, "max_pending_entries=50") || strings.Count(text, "\n") > 4 {
		t.Error(text)
	}
}

// TestShared holds what a reload keeps: the batches of an unchanged
// configuration, and the counts of one that changed.
func TestShared(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	g := logtest.New(t, &Spec)
	bind := func(config string) *plugin.Bound { return g.Bind(`{"uri":"` + s.URL + `"` + config + `}`) }
	one, two := bind(""), bind("")
	if one.Value.(*logger).batches != two.Value.(*logger).batches {
		t.Error("two batchers for one configuration")
	}
	if other := bind(`,"timeout":4`); other.Value.(*logger).batches == one.Value.(*logger).batches {
		t.Error("one batcher for two configurations")
	}
	g.Env.RouteID, g.Env.Source = "r2", "services/s1" // both routes of a service share its batches
	three := bind("")
	g.Env.RouteID = "r3"
	four := bind("")
	if three.Value.(*logger).batches == one.Value.(*logger).batches || three.Value.(*logger).batches != four.Value.(*logger).batches {
		t.Error("batches do not belong to the owner of the configuration")
	}
	for _, b := range []*plugin.Bound{one, two, three, four} {
		logtest.Serve(b, "")
	}
	text := g.Metrics()
	for _, want := range []string{`batch_process_entries{name="http logger",route_id="r1",plugin="http-logger"} 2`, `route_id="services/s1",plugin="http-logger"} 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, key := range g.Keys() {
		if strings.Contains(key, s.URL) {
			t.Errorf("the key %s shows the configuration", key)
		}
	}
	g.Close()
	if got := s.payloads(); strings.Count(got, "POST") != 2 {
		t.Errorf("got\n%s", got)
	}
}

func TestMetadata(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	f := func(config, metadata, want string) {
		t.Helper()
		s.got = nil
		g := logtest.New(t, &Spec)
		g.Metadata = metadata
		logtest.Serve(g.Bind(`{"uri":"`+s.URL+`","batch_max_size":1`+config+`}`), "a=1")
		g.Counts("1 0 0")
		if got := s.payloads(); !strings.HasSuffix(got, want) {
			t.Errorf("%s, %s: %s", config, metadata, got)
		}
	}
	f("", `{"log_format":{"x":"$args"}}`, ` {"x":"a=1","route_id":"r1"}`)
	f(`,"log_format":{"y":"$args"}`, `{"log_format":{"x":"$args"}}`, ` {"y":"a=1","route_id":"r1"}`)
	f("", `{"log_format_extra":{"x":"$args"}}`, `,"x":"a=1"}`)
	f("", `{"log_format":3}`, `}`) // faulty metadata takes no log down
}

func TestReference(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	g := logtest.New(t, &Spec)
	g.Vars["AUTH"], g.Vars["LOGS"] = "Bearer sk-log", s.URL+"/ref"
	logtest.Serve(g.Bind(`{"uri":"$env://LOGS","auth_header":"$env://AUTH","batch_max_size":1,"log_format":{"a":1}}`), "")
	g.Counts("1 0 0")
	if got := s.payloads(); !strings.HasPrefix(got, `POST /ref application/json "Bearer sk-log" {"a":1`) {
		t.Error(got)
	}
	// A reference in place of a credential is not sent.
	for _, config := range []string{`{"uri":"` + s.URL + `","auth_header":"$env://NONE"}`, `{"uri":"$env://NONE"}`} {
		g = logtest.New(t, &Spec)
		b := g.Bind(config)
		if _, ok := b.Value.(plugin.Logger); ok || !strings.Contains(g.Log.String(), "http-logger sends nothing") {
			t.Errorf("%s: %s", config, &g.Log)
		}
	}
}

func TestBodies(t *testing.T) {
	s := newServer(t, httptest.NewServer)
	g := logtest.New(t, &Spec)
	b := g.Bind(`{"uri":"` + s.URL + `","batch_max_size":1,"include_req_body":true,"include_resp_body":true,"include_resp_body_expr":[["status","==",200]]}`)
	l := b.Value.(plugin.BodyLogger)
	c := logtest.Request("")
	c.Info = &plugin.Info{} // it met no route
	c.ReqBody, c.RespBody = []byte("question"), []byte("answer")
	if req, resp := l.Bodies(); req < 512<<10 || resp < 512<<10 || !l.WantsAnswer(c) {
		t.Errorf("wants %d and %d bytes", req, resp)
	}
	l.Log(c)
	g.Counts("1 0 0")
	var e struct {
		Request, Response struct{ Body string }
		Route             string `json:"route_id"`
	}
	_, entry, _ := strings.Cut(s.payloads(), `"" `)
	if err := json.Unmarshal([]byte(entry), &e); err != nil || e.Request.Body != "question" || e.Response.Body != "answer" || e.Route != "no-matched" {
		t.Errorf("%v %s", err, entry)
	}
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Validate([]byte(raw))
		if err == nil {
			err = errors.New("")
		}
		if err.Error() != want {
			t.Errorf("%s: %v", raw, err)
		}
	}
	f(`{"uri":"http://127.0.0.1"}`, "")
	f(`{"uri":"https://[::1]:1/a?b=c#d","auth_header":"Basic x","timeout":3,"name":"http-logger","max_retry_count":2,"retry_delay":2,"buffer_duration":2,
		"inactive_timeout":2,"batch_max_size":500,"concat_method":"new_line","ssl_verify":true,"log_format":{"a":"$b"},"include_req_body":true}`, "")
	f(`{"uri":"$env://A","auth_header":"$secret://vault/1/a/b"}`, "")
	f(`{"auth_header":"Basic x"}`, `property "uri" is required`)
	f(`{"uri":"127.0.0.1:80"}`, `property "uri" validation failed: failed to match pattern "^[^\\/]+:\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?" with "127.0.0.1:80"`)
	f(`{"uri":"ftp://127.0.0.1"}`, `uri: invalid endpoint`)
	f(`{"uri":"http://user:password@127.0.0.1"}`, `uri: invalid endpoint`)
	f(`{"uri":"http://a","auth_header":"a\nb: c"}`, `auth.header.Authorization: the value contains a control character`)
	f(`{"uri":"http://a","concat_method":"xml"}`, `property "concat_method" validation failed: matches none of the enum values`)
	f(`{"uri":"http://a","batch_max_size":0}`, `property "batch_max_size" validation failed: expected 0 to be at least 1`)
	f(`{"uri":"http://a","max_req_body_bytes":"10"}`, `property "max_req_body_bytes" validation failed: wrong type: expected integer, got string`)
	f(`{"uri":"http://a","include_resp_body_expr":[["http_content_length","<>",1024]]}`, `failed to validate the 'include_resp_body_expr' expression: invalid operator '<>'`)
	if _, err := Spec.Metadata.Check([]byte(`{"max_pending_entries":0}`)); err == nil {
		t.Error("max_pending_entries may be 0")
	}
}

// TestBudgetLog holds what a logger costs a request.
func TestBudgetLog(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // nobody answers
	f := func(config string, max float64) {
		t.Helper()
		g := logtest.New(t, &Spec)
		g.Metadata = `{"max_pending_entries":100000}`
		l := g.Bind(`{"timeout":1,"uri":"http://` + ln.Addr().String() + `"` + config + `}`).Value.(*logger)
		c := logtest.Request("a=1")
		l.Log(c)
		n := testing.AllocsPerRun(2000, func() { l.Log(c) })
		t.Logf("%s: %v allocations for a request", config, n)
		if n > max {
			t.Errorf("%s: %v allocations for a request", config, n)
		}
	}
	f("", 1)
	f(`,"batch_max_size":10`, 2)
	f(`,"batch_max_size":1`, 8)
}
