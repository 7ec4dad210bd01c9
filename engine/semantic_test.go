package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/bench"
	"headrace/conf"
	"headrace/conf/schema"
	"headrace/driver"
	"headrace/driver/wire"
)

// embedder is a scripted embeddings service.
type embedder struct {
	*httptest.Server
	mu     sync.Mutex
	inputs [][]string // of each request
	answer func(w http.ResponseWriter, r *http.Request, inputs []string)
}

// directions are the embeddings of the texts that tests use.
var directions = map[string]string{
	"red": "[1,0,0]", "green": "[0,2,0]", "blue": "[0,0,0.5]",
	"reddish": "[0.8,0.6,0]", "none": "[-1,-1,-1]", "zero": "[0,0,0]", "even": "[1,1,1]",
}

func embedInputs(w http.ResponseWriter, _ *http.Request, inputs []string) {
	var data []string
	for i, in := range inputs {
		v, ok := directions[in]
		if !ok {
			v = "[1,2,3]"
		}
		data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, v))
	}
	fmt.Fprintf(w, `{"object":"list","data":[%s],"model":"e"}`, strings.Join(data, ","))
}

func newEmbedder(t testing.TB) *embedder {
	e := &embedder{answer: embedInputs}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var ask struct {
			Model string
			Input []string
		}
		if err := json.Unmarshal(body, &ask); err != nil || ask.Model != "e" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("the service got %s %v %s", r.URL, r.Header, body)
		}
		e.mu.Lock()
		e.inputs = append(e.inputs, ask.Input)
		answer := e.answer
		e.mu.Unlock()
		answer(w, r, ask.Input)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *embedder) answers(f func(w http.ResponseWriter, r *http.Request, inputs []string)) {
	e.mu.Lock()
	e.answer = f
	e.mu.Unlock()
}

func (e *embedder) calls() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.inputs)
}

// semanticRig is a compiled semantic on an embedder.
type semanticRig struct {
	*semantic
	up     *embedder
	cache  *vectorCache
	client *wire.Client
	log    *syncBuffer
	make   func(opts, instances string) *semantic
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const colours = `[{"name":"r","examples":["red"]},{"name":"g","examples":["green","red hot"]},{"name":"b","examples":["blue"]}]`

// newSemanticRig compiles instances with opts, which are members of semantic_opts.
func newSemanticRig(t testing.TB, budget int64, opts, instances string) *semanticRig {
	t.Helper()
	before := goroutines()
	up := newEmbedder(t)
	cache, err := newVectorCache(budget)
	if err != nil {
		t.Fatal(err)
	}
	client := wire.NewClient(wire.Options{})
	r := &semanticRig{up: up, cache: cache, client: client, log: new(syncBuffer)}
	r.make = func(opts, instances string) *semantic {
		t.Helper()
		cfg, ins := decodeSemantic(t, `{"embeddings":{"provider":"openai","model":"e","endpoint":"`+up.URL+`/embed","auth":{"header":{"Authorization":"Bearer k"}}}`+opts+`}`, instances)
		s, err := newSemantic(cfg, ins, unresolved, client, cache, r.logger())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	r.semantic = r.make(opts, instances)
	t.Cleanup(func() {
		cache.close()
		client.Close()
		up.CloseClientConnections()
		up.Close()
		for end := time.Now().Add(5 * time.Second); len(goroutines()) > len(before); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%d goroutines are left of %d", len(goroutines()), len(before))
				return
			}
		}
	})
	return r
}

var semanticTestSchema = schema.MustCompile("semantic_opts", semanticSchema)

// decodeSemantic reads semantic_opts and instances as the multi plugin does.
func decodeSemantic(t testing.TB, opts, instances string) (*semanticConfig, []semanticInstance) {
	t.Helper()
	var cfg *semanticConfig
	if opts != "" {
		full, err := semanticTestSchema.Check([]byte(opts))
		if err != nil {
			t.Fatal(err)
		}
		cfg = new(semanticConfig)
		if err := json.Unmarshal(full, cfg); err != nil {
			t.Fatal(err)
		}
	}
	var ins []semanticInstance
	if err := json.Unmarshal([]byte(instances), &ins); err != nil {
		t.Fatal(err)
	}
	return cfg, ins
}

// patient is a client that stays.
type patient struct{ c canceler }

func (p *patient) onCall(c canceler) { p.c = c }

func askFor(t testing.TB, text string) *driver.Body {
	t.Helper()
	b := new(driver.Body)
	if err := b.Load([]byte(`{"messages":[{"role":"user","content":"` + text + `"}]}`)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *semanticRig) ask(t testing.TB, text string) semanticPick {
	t.Helper()
	var who patient
	got := r.pick(&who, driver.OpenAIChat, askFor(t, text))
	if who.c != nil || got.gone {
		t.Fatalf("%+v, %+v", got, who)
	}
	return got
}

func TestSemanticPick(t *testing.T) {
	f := func(opts, instances, text string, index int, scores, picked string) {
		t.Helper()
		r := newSemanticRig(t, 1<<20, `,"debugging":true`+opts, instances)
		got := r.ask(t, text)
		if got.index != index || string(got.scores) != scores || got.picked != picked {
			t.Errorf("%s: got %d, %q, %q", text, got.index, got.scores, got.picked)
		}
	}
	f("", colours, "green", 1, "g:1.0000,r:0.0000,b:0.0000", "g")
	f("", colours, "reddish", 0, "r:0.8000,g:0.6000,b:0.0000", "r")
	f("", colours, "blue", 2, "b:1.0000,g:0.8018,r:0.0000", "b")
	f(`,"threshold":0.8`, colours, "reddish", 0, "r:0.8000,g:0.6000,b:0.0000", "r")
	f(`,"threshold":1`, colours, "green", 1, "g:1.0000,r:0.0000,b:0.0000", "g")
	f(`,"threshold":0.81`, colours, "reddish", 0, "r:0.8000,g:0.6000,b:0.0000", "fallback")
	f(`,"threshold":0.81,"fallback":"b"`, colours, "reddish", 2, "r:0.8000,g:0.6000,b:0.0000", "fallback")
	// The threshold of an instance goes first; the next best may win then.
	f(`,"threshold":0.5`, `[{"name":"b","examples":["blue"]},{"name":"r","examples":["red"],"threshold":0.9},{"name":"g","examples":["green"]}]`,
		"reddish", 2, "r:0.8000,g:0.6000,b:0.0000", "g")
	f(`,"threshold":0.9`, `[{"name":"r","examples":["red"]},{"name":"g","examples":["green"],"threshold":0}]`,
		"reddish", 1, "r:0.8000,g:0.6000", "g")
	f("", `[{"name":"r","examples":["red"]},{"name":"g","examples":["green"]}]`, "none", 0, "r:-0.5774,g:-0.5774", "fallback")
	f(`,"threshold":-1`, `[{"name":"b","examples":["blue"]},{"name":"g","examples":["green"]}]`, "none", 0, "b:-0.5774,g:-0.5774", "b")
	f("", colours, "zero", 0, "r:0.0000,g:0.0000,b:0.0000", "r")
	f("", `[{"name":"a\r\nb","examples":["red","red","zero"]}]`, "red", 0, "a  b:1.0000", "a  b")
}

func TestSemanticWithoutDebugging(t *testing.T) {
	r := newSemanticRig(t, 1<<20, `,"threshold":0.9`, colours)
	if got := r.ask(t, "green"); got.index != 1 || got.scores != nil || got.picked != "" {
		t.Errorf("%+v", got)
	}
	if r.log.String() != "" {
		t.Errorf("log: %s", r.log)
	}
	r.ask(t, "reddish")
	if !strings.Contains(r.log.String(), `msg="semantic routing: no instance cleared threshold (scores: r:0.8000,g:0.6000,b:0.0000), falling back"`) {
		t.Errorf("log: %s", r.log)
	}
}

func TestSemanticCalls(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", `[{"name":"r","examples":["red","x"]},{"name":"g","examples":["green","red"]}]`)
	want := func(what, calls string) {
		t.Helper()
		if got := fmt.Sprint(r.up.inputs); got != calls {
			t.Errorf("%s: the service was asked for %s, want %s", what, got, calls)
		}
	}
	r.ask(t, "red")
	want("first request", "[[red x green] [red]]")
	r.ask(t, "green")
	want("next request", "[[red x green] [red] [green]]")
	first := r.semantic

	// Another configuration with the same texts finds them in the cache.
	r.semantic = r.make(`,"threshold":0.5`, `[{"name":"g","examples":["green"]},{"name":"r","examples":["red"]}]`)
	r.ask(t, "q")
	want("a reload", "[[red x green] [red] [green] [q]]")
	// One that needs more asks for all of them.
	r.semantic = r.make("", `[{"name":"g","examples":["green","new"]}]`)
	r.ask(t, "q")
	want("a new text", "[[red x green] [red] [green] [q] [green new] [q]]")

	// After an hour they are asked for again.
	real := r.cache.now
	r.cache.now = func() time.Time { return real().Add(61 * time.Minute) }
	r.semantic = first
	r.ask(t, "q")
	want("an hour later", "[[red x green] [red] [green] [q] [green new] [q] [red x green] [q]]")
	r.ask(t, "q")
	want("and no more", "[[red x green] [red] [green] [q] [green new] [q] [red x green] [q] [q]]")

	// No text of a user: no call.
	var who patient
	b := new(driver.Body)
	b.Load([]byte(`{"messages":[{"role":"system","content":"red"}]}`))
	if got := r.pick(&who, driver.OpenAIChat, b); got.index != 0 {
		t.Errorf("%+v", got)
	}
	want("no text", "[[red x green] [red] [green] [q] [green new] [q] [red x green] [q] [q]]")
}

func TestSemanticCacheOff(t *testing.T) {
	r := newSemanticRig(t, 0, "", colours)
	for range 3 {
		if got := r.ask(t, "blue"); got.index != 2 {
			t.Errorf("%+v", got)
		}
	}
	if n := r.up.calls(); n != 4 {
		t.Errorf("%d calls", n)
	}
}

func TestSemanticPromptCut(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", colours)
	r.ask(t, "x"+strings.Repeat("é", 20000))
	if got := r.up.inputs[1][0]; got != "x"+strings.Repeat("é", 8191) {
		t.Errorf("%d bytes were sent", len(got))
	}
}

// Whatever the service answers, the request goes on, and its text stays out of
// the log.
func TestSemanticFailures(t *testing.T) {
	f := func(what, log string, answer func(w http.ResponseWriter, r *http.Request, inputs []string)) {
		t.Helper()
		r := newSemanticRig(t, 1<<20, `,"debugging":true,"fallback":"b"`, colours)
		check := func(when, about string, calls int) {
			t.Helper()
			before := r.up.calls()
			got := r.ask(t, "red")
			if got.index != 2 || got.scores != nil || got.picked != "" {
				t.Errorf("%s, %s: %+v", what, when, got)
			}
			if n := r.up.calls() - before; n != calls {
				t.Errorf("%s, %s: %d calls", what, when, n)
			}
			if l := r.log.String(); !strings.Contains(l, about) || !strings.Contains(l, log) || strings.Contains(l, "private") || strings.Contains(l, "Bearer") {
				t.Errorf("%s, %s: log %s", what, when, l)
			}
		}
		r.up.answers(answer)
		check("examples", "cannot embed the examples", 1)
		check("examples again", "cannot embed the examples", 1) // a failure is not kept
		r.up.answers(embedInputs)
		if got := r.ask(t, "red"); got.index != 0 {
			t.Errorf("%s: did not recover: %+v", what, got)
		}
		r.up.answers(answer)
		check("prompt", "cannot embed the prompt", 1)
	}
	says := func(text string) func(w http.ResponseWriter, r *http.Request, inputs []string) {
		return func(w http.ResponseWriter, _ *http.Request, _ []string) { io.WriteString(w, text) }
	}
	f("status", "status 401", func(w http.ResponseWriter, r *http.Request, in []string) {
		w.WriteHeader(401)
		embedInputs(w, r, in)
		io.WriteString(w, "private")
	})
	f("no JSON", "the answer is not JSON", says("private"))
	f("empty", "the answer is not JSON", says(""))
	f("no data", "no array data", says(`{"error":"private"}`))
	f("cut off", "cannot call", func(w http.ResponseWriter, _ *http.Request, _ []string) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "private")
	})
	f("null", "not a finite number", func(w http.ResponseWriter, _ *http.Request, in []string) {
		fmt.Fprintf(w, `{"data":[%s{"embedding":[null]}]}`, strings.Repeat(`{"embedding":[1]},`, len(in)-1))
	})
	f("too few", "no embedding for text", says(`{"data":[]}`))
	f("too large", driver.ErrAnswerTooLarge.Error(), says(`{"data":"`+strings.Repeat("private", 1<<20)+`"}`))
}

func TestSemanticDimensions(t *testing.T) {
	r := newSemanticRig(t, 1<<20, `,"debugging":true,"fallback":"b"`, colours)
	r.ask(t, "red")
	r.up.answers(func(w http.ResponseWriter, _ *http.Request, _ []string) {
		io.WriteString(w, `{"data":[{"embedding":[1,2]}]}`)
	})
	if got := r.ask(t, "red"); got.index != 2 || got.scores != nil || !strings.Contains(r.log.String(), "has 2 dimensions, those of the examples have 3") {
		t.Errorf("%+v %s", got, r.log)
	}
	r.semantic = r.make("", `[{"name":"x","examples":["1","2"]}]`)
	r.up.answers(func(w http.ResponseWriter, _ *http.Request, _ []string) {
		io.WriteString(w, `{"data":[{"embedding":[1,2]},{"embedding":[1]}]}`)
	})
	if got := r.ask(t, "red"); got.index != 0 || !strings.Contains(r.log.String(), "differ in their dimensions") {
		t.Errorf("%+v %s", got, r.log)
	}
}

func TestSemanticTimeout(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", colours)
	cfg, ins := decodeSemantic(t, `{"embeddings":{"provider":"openai","model":"e","endpoint":"`+r.up.URL+`","timeout":50,"auth":{"header":{"Authorization":"Bearer k"}}},"fallback":"g"}`, colours)
	s, err := newSemantic(cfg, ins, unresolved, r.client, r.cache, r.logger())
	if err != nil {
		t.Fatal(err)
	}
	r.semantic = s
	r.up.answers(func(_ http.ResponseWriter, r *http.Request, _ []string) { <-r.Context().Done() })
	start := time.Now()
	got := r.ask(t, "red")
	if d := time.Since(start); got.index != 1 || d > time.Second || !strings.Contains(r.log.String(), "timeout") {
		t.Errorf("%+v after %v, %s", got, d, r.log)
	}
}

func (r *semanticRig) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r.log, nil)) }

func TestSemanticSecrets(t *testing.T) {
	up := newEmbedder(t)
	cache, _ := newVectorCache(0)
	defer cache.close()
	client := wire.NewClient(wire.Options{})
	defer client.Close()
	opts := `{"embeddings":{"provider":"azure-openai","model":"$env://M","endpoint":"$env://E","auth":{"header":{"Authorization":"$env://K"}}}}`
	vars := map[string]string{"$env://M": "e", "$env://E": up.URL, "$env://K": "Bearer k"}
	resolve := func(ref string) (string, error) {
		if v, ok := vars[ref]; ok {
			return v, nil
		}
		return "", errors.New("not set")
	}
	cfg, ins := decodeSemantic(t, opts, colours)
	log := new(syncBuffer)
	pick := func() (*semantic, semanticPick) {
		t.Helper()
		s, err := newSemantic(cfg, ins, resolve, client, cache, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return s, s.pick(new(patient), driver.OpenAIChat, askFor(t, "blue"))
	}
	first, got := pick()
	if got.index != 2 {
		t.Errorf("%+v %s", got, log)
	}
	for _, gone := range []string{"$env://M", "$env://K", "$env://E"} {
		old := vars[gone]
		delete(vars, gone)
		if _, got := pick(); got.index != 0 || !strings.Contains(log.String(), gone) || !strings.Contains(log.String(), "not set") {
			t.Errorf("without %s: %+v %s", gone, got, log)
		}
		vars[gone] = old
	}
	vars["$env://K"] = "Bearer other"
	if s, err := newSemantic(cfg, ins, resolve, client, cache, slog.New(slog.DiscardHandler)); err != nil || s.sum == first.sum || s.sums[0] == first.sums[0] {
		t.Errorf("another key shares vectors: %v", err)
	}
	if strings.Contains(log.String(), "Bearer") {
		t.Errorf("log: %s", log)
	}
}

// However many requests wait for the reference vectors, there is one call.
func TestSemanticSingleFlight(t *testing.T) {
	for _, budget := range []int64{0, 1 << 20} {
		r := newSemanticRig(t, budget, "", colours)
		release := make(chan struct{})
		r.up.answers(func(w http.ResponseWriter, q *http.Request, in []string) {
			<-release
			embedInputs(w, q, in)
		})
		const n = 32
		var wg sync.WaitGroup
		for k := range n {
			s := r.semantic
			if k%2 > 0 { // routes compiled twice share the call
				s = r.make("", colours)
			}
			wg.Go(func() {
				if got := s.pick(new(patient), driver.OpenAIChat, askFor(t, "blue")); got.index != 2 {
					t.Errorf("%+v", got)
				}
			})
		}
		poll(t, "all wait", func() bool {
			r.cache.mu.Lock()
			defer r.cache.mu.Unlock()
			f := r.cache.flights[r.sum]
			return f != nil && f.waiting == n
		})
		if c := r.up.calls(); c > 1 {
			t.Errorf("%d calls", c)
		}
		close(release)
		wg.Wait()
		if c := r.up.calls(); c != 1+n {
			t.Errorf("%d calls for %d requests", c, n)
		}
	}
}

// leaver is a client that goes when it is told to; the engine's conn does the
// same.
type leaver struct {
	mu   sync.Mutex
	c    canceler
	left bool
}

func (l *leaver) onCall(c canceler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c = c; c != nil && l.left {
		c.Cancel()
	}
}

func (l *leaver) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left = true; l.c != nil {
		l.c.Cancel()
	}
}

// hang makes the service hang; the counters say how many calls it has begun
// and how many of them were given up.
func (e *embedder) hang() (begun, ended *atomic.Int32) {
	begun, ended = new(atomic.Int32), new(atomic.Int32)
	e.answers(func(_ http.ResponseWriter, r *http.Request, _ []string) {
		begun.Add(1)
		<-r.Context().Done()
		ended.Add(1)
	})
	return begun, ended
}

func TestSemanticClientGone(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", colours)
	start := func() (*leaver, chan semanticPick) {
		who, result := new(leaver), make(chan semanticPick, 1)
		go func() { result <- r.pick(who, driver.OpenAIChat, askFor(t, "blue")) }()
		return who, result
	}
	leave := func(what string, who *leaver, result chan semanticPick) {
		t.Helper()
		began := time.Now()
		who.leave()
		got := <-result
		if d := time.Since(began); !got.gone || d > 500*time.Millisecond {
			t.Errorf("%s: %+v after %v", what, got, d)
		}
	}
	waiting := func(n int) {
		t.Helper()
		poll(t, fmt.Sprintf("%d wait", n), func() bool {
			r.cache.mu.Lock()
			defer r.cache.mu.Unlock()
			f := r.cache.flights[r.sum]
			return f != nil && f.waiting == n
		})
	}

	begun, ended := r.up.hang()
	a, ra := start()
	b, rb := start()
	waiting(2)
	poll(t, "the call", func() bool { return begun.Load() == 1 })
	leave("one of two who wait for examples", a, ra)
	if ended.Load() > 0 {
		t.Error("the call of the other one ended")
	}
	leave("the last who waits for examples", b, rb)
	poll(t, "the call ends", func() bool { return ended.Load() == 1 })

	// Another request begins again, and is not hit.
	r.up.answers(embedInputs)
	if got := r.ask(t, "blue"); got.index != 2 {
		t.Errorf("%+v", got)
	}
	begun, ended = r.up.hang()
	a, ra = start()
	poll(t, "the call", func() bool { return begun.Load() == 1 })
	leave("waiting for the prompt", a, ra)
	poll(t, "the call ends", func() bool { return ended.Load() == 1 })

	// Gone before it began.
	a = &leaver{left: true}
	if got := r.pick(a, driver.OpenAIChat, askFor(t, "blue")); !got.gone || begun.Load() != 1 {
		t.Errorf("%+v, %d calls", got, begun.Load())
	}
	if strings.Contains(r.log.String(), "semantic routing") {
		t.Errorf("log: %s", r.log)
	}
}

// Clients that come and go at random moments leave nothing behind, and nobody
// else's call ends with theirs.
func TestSemanticClientGoneStress(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", colours)
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := range 40 {
				if k%2 == 0 {
					if got := r.pick(new(patient), driver.OpenAIChat, askFor(t, "blue")); got.gone || got.index != 2 {
						t.Errorf("%+v", got)
					}
					r.set.Store(nil)
					continue
				}
				who := new(leaver)
				timer := time.AfterFunc(time.Duration(i*50)*time.Microsecond, who.leave)
				if got := r.pick(who, driver.OpenAIChat, askFor(t, "blue")); !got.gone && got.index != 2 {
					t.Errorf("%+v", got)
				}
				timer.Stop()
			}
		})
	}
	wg.Wait()
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	if len(r.cache.flights) != 0 {
		t.Errorf("%d flights are left", len(r.cache.flights))
	}
}

func TestSemanticShutdown(t *testing.T) {
	r := newSemanticRig(t, 1<<20, "", colours)
	begun, _ := r.up.hang()
	result := make(chan semanticPick)
	go func() { result <- r.pick(new(patient), driver.OpenAIChat, askFor(t, "blue")) }()
	poll(t, "the call", func() bool { return begun.Load() == 1 })
	r.cache.close()
	if got := <-result; got.gone || got.index != 0 {
		t.Errorf("%+v", got)
	}
}

// The mock provider's embeddings bring texts that share words together.
func TestSemanticMock(t *testing.T) {
	mock := bench.New(bench.Options{})
	if err := mock.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer mock.Close()
	cache, _ := newVectorCache(1 << 20)
	defer cache.close()
	client := wire.NewClient(wire.Options{})
	defer client.Close()
	for _, dims := range []int{1, 7, 256, 3072} {
		cfg, ins := decodeSemantic(t, fmt.Sprintf(`{"embeddings":{"provider":"openai","model":"e%d","endpoint":%q,"auth":{"header":{"x-mock-dims":"%d"}}},"threshold":0.3,"fallback":"chat"}`, dims, mock.URL(), dims),
			`[{"name":"chat","examples":["tell me a story"]},{"name":"code","examples":["write a function in go","fix this compiler error"]},{"name":"maths","examples":["solve this integral"]}]`)
		s, err := newSemantic(cfg, ins, unresolved, client, cache, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		got := s.pick(new(patient), driver.OpenAIChat, askFor(t, "please fix the compiler error"))
		if dims > 200 && got.index != 1 {
			t.Errorf("%d dimensions: %+v", dims, got)
		}
		if n := len(s.set.Load().vectors[0]); n != dims {
			t.Errorf("%d dimensions, want %d", n, dims)
		}
	}
}

func TestCheckSemantic(t *testing.T) {
	f := func(opts, instances, want string) {
		t.Helper()
		cfg, ins := decodeSemantic(t, opts, instances)
		err := checkSemantic(cfg, ins)
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%s: got %s\nwant %s", opts, got, want)
		}
	}
	opts := func(provider, more string) string {
		return `{"embeddings":{"provider":"` + provider + `","model":"m","auth":{}` + more + `},"fallback":"b"}`
	}
	full := "`semantic_opts.embeddings.endpoint` for azure-openai must include the full deployment path, e.g. https://{resource}.openai.azure.com/openai/deployments/{deployment}/embeddings?api-version=..."
	f("", colours, "must configure `semantic_opts.embeddings` when balancer algorithm is semantic")
	f(opts("openai", ""), colours, "<nil>")
	f(opts("openai", `,"endpoint":"http://x"`), colours, "<nil>")
	f(opts("openai", `,"endpoint":"ftp://x"`), `[{"name":"b"}]`, "invalid `semantic_opts.embeddings.endpoint`")
	f(opts("openai", `,"endpoint":""`), colours, "invalid `semantic_opts.embeddings.endpoint`")
	f(opts("azure-openai", `,"endpoint":"x"`), colours, "invalid `semantic_opts.embeddings.endpoint`")
	f(opts("azure-openai", ""), colours, "must configure `semantic_opts.embeddings.endpoint` when embeddings provider is azure-openai")
	f(opts("azure-openai", `,"endpoint":"https://r.openai.azure.com"`), colours, full)
	f(opts("azure-openai", `,"endpoint":"https://r.openai.azure.com/"`), colours, full)
	f(opts("azure-openai", `,"endpoint":"https://r.openai.azure.com/?api-version=1"`), colours, full)
	f(opts("azure-openai", `,"endpoint":"https://r.openai.azure.com/openai/deployments/d/embeddings?api-version=1"`), colours, "<nil>")
	f(opts("azure-openai", `,"endpoint":"$env://X"`), colours, "<nil>")
	f(opts("openai", ""), `[{"name":"a","examples":["x"]},{"name":"b"}]`, "instance 'b': must configure non-empty `examples` for the semantic algorithm")
	f(opts("openai", ""), `[{"name":"a","examples":["x"]}]`, "`semantic_opts.fallback` names unknown instance 'b'")
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{"header":{"a b":"x"}}}}`, colours, "semantic_opts.embeddings.auth.header.a b: not a header name")
}

func TestSemanticSchema(t *testing.T) {
	full, err := semanticTestSchema.Check([]byte(`{"embeddings":{"provider":"openai","model":"m","auth":{"header":{"a":"b"}}}}`))
	var got, want any
	json.Unmarshal(full, &got)
	json.Unmarshal([]byte(`{"embeddings":{"provider":"openai","model":"m","auth":{"header":{"a":"b"}},"timeout":3000,"ssl_verify":true},"threshold":0,"debugging":false}`), &want)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s %v", full, err)
	}
	f := func(opts, want string) {
		t.Helper()
		if _, err := semanticTestSchema.Check([]byte(opts)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", opts, err, want)
		}
	}
	f(`{}`, `property "embeddings" is required`)
	f(`{"embeddings":{"provider":"openai","model":"m"}}`, `property "auth" is required`)
	f(`{"embeddings":{"provider":"openai","auth":{}}}`, `property "model" is required`)
	f(`{"embeddings":{"provider":"openai","model":"","auth":{}}}`, `property "model" validation failed`)
	f(`{"embeddings":{"provider":"gemini","model":"m","auth":{}}}`, `property "provider" validation failed: matches none of the enum values`)
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{"aws":{}}}}`, `property "auth" validation failed: additional properties forbidden, found aws`)
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{"query":{"a":1}}}}`, `wrong type`)
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{},"timeout":0}}`, `property "timeout" validation failed`)
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{}},"threshold":1.5}`, `property "threshold" validation failed`)
	f(`{"embeddings":{"provider":"openai","model":"m","auth":{}},"fallback":""}`, `property "fallback" validation failed`)
}

// Through the engine: the pick decides, the headers show it, and a client that
// leaves ends the call of the embeddings service.
func TestSemanticRoute(t *testing.T) {
	up := newEmbedder(t)
	r := newRig(t, Options{})
	in := func(name string, example string) string {
		return fmt.Sprintf(`{"name":%q,"provider":"openai","weight":1,"auth":{},"options":{"model":%q},"override":{"endpoint":%q},"examples":[%q]}`, name, name, r.mock.URL(), example)
	}
	r.src.put(conf.Routes, "1", `{"id":"1","uri":"/v1/chat/completions","plugins":{"ai-proxy-multi":{"balancer":{"algorithm":"semantic"},
		"semantic_opts":{"embeddings":{"provider":"openai","model":"e","endpoint":"`+up.URL+`","auth":{"header":{"Authorization":"Bearer k"}}},"threshold":0.5,"debugging":true},
		"instances":[`+in("r", "red")+","+in("g", "green")+`]}}}`)
	f := func(text string, stream bool, model, scores, picked string) {
		t.Helper()
		resp, body := r.do("POST", "/v1/chat/completions", fmt.Sprintf(`{"stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, text))
		if resp.StatusCode != 200 || !strings.Contains(body, `"model":"`+model+`"`) || resp.Header.Get(headerScores) != scores || resp.Header.Get(headerPicked) != picked {
			t.Errorf("%s: %d %v %s", text, resp.StatusCode, resp.Header, body)
		}
	}
	for _, stream := range []bool{false, true} {
		f("green", stream, "g", "g:1.0000,r:0.0000", "g")
		f("reddish", stream, "r", "r:0.8000,g:0.6000", "r")
		f("none", stream, "r", "r:-0.5774,g:-0.5774", "fallback")
	}
	up.answers(func(w http.ResponseWriter, _ *http.Request, _ []string) { w.WriteHeader(500) })
	f("green", true, "r", "", "")

	begun, ended := up.hang()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, post("/v1/chat/completions", "", chat))
	poll(t, "the service is asked", func() bool { return begun.Load() == 1 })
	start := time.Now()
	c.Close()
	poll(t, "its call ends", func() bool { return ended.Load() == 1 })
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("only after %v", d)
	}
}
