package t

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// wanted is a want.yaml, see fixtures/README.md.
type wanted struct {
	Route     yaml.Node
	Paths     map[string]string
	Converted map[string][]string  // clients that get the answers to one of another protocol
	Routes    map[string]yaml.Node // of converted clients, where it is not Route
	Answers   map[string]wantedAnswer
}

type wantedAnswer struct {
	Status          int // 200 unless given
	Text, Reasoning string
	Calls           []string
	Vectors         int
	Usage           tokens
	Fault           string // beginning of the error's message
	Restated        bool   // not byte for byte what the provider sent
	Cut             bool   // a converted stream has no end
}

// TestFixtures sends the shapes of every provider through one gateway.
func TestFixtures(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("fixtures/*/want.yaml")
	if err != nil || len(folders) < 10 {
		t.Fatal(folders, err)
	}
	s := newPlainState(t)
	root := copyFixtures(t, s)
	wants := map[string]wanted{}
	for _, file := range folders {
		name := filepath.Base(filepath.Dir(file))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w wanted
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		wants[name] = w
		complete(t, filepath.Dir(file), w)
		fixtureRoute(t, s, name, w.Route)
		for as, route := range w.Routes {
			fixtureRoute(t, s, name+"-"+as, route)
		}
	}
	for _, r := range s.routes {
		r["plugins"].(map[string]any)["prometheus"] = map[string]any{}
	}
	if err := s.writeRoutes(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.env.WorkDir, "conf", "extra.yaml"), []byte(checkLog), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cmdMock([]string{"start", "--fixtures", root}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}

	lines := map[string]logLine{}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		w := wants[name]
		t.Run(name, func(t *testing.T) {
			sums := map[string]tokens{} // by route
			for _, file := range slices.Sorted(maps.Keys(w.Answers)) {
				want := w.Answers[file]
				client, _, _ := strings.Cut(strings.TrimSuffix(file, filepath.Ext(file)), "-")
				for _, as := range append([]string{client}, w.Converted[client]...) {
					route := name
					if _, ok := w.Routes[as]; ok && as != client {
						route += "-" + as
					}
					t.Run(file+"/"+as, func(t *testing.T) {
						check := name + "/" + file + "/" + as
						testFixture(t, s, route, name, file, client, as, check, want)
						lines[check] = want.line(w.Paths, client, file)
					})
					sum := sums[route]
					sum.Prompt += want.Usage.Prompt
					sum.Completion += want.Usage.Completion
					sums[route] = sum
				}
			}
			for route, sum := range sums {
				for metric, n := range map[string]int64{"prompt": sum.Prompt, "completion": sum.Completion} {
					series := fmt.Sprintf(`apisix_llm_%s_tokens{route_id=%q}`, metric, route)
					if _, err := s.cmdMetrics([]string{series, "==", strconv.FormatInt(n, 10)}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	got, err := s.logLines(slices.Collect(maps.Keys(lines))...)
	if err != nil {
		t.Error(err)
	}
	for check, want := range lines {
		l := got[check]
		l.Check, l.Upstream = "", ""
		if d := cmp.Diff(want, l); d != "" {
			t.Errorf("access log of %s (-want +got):\n%s", check, d)
		}
	}
}

func fixtureRoute(t *testing.T, s *state, id string, config yaml.Node) {
	t.Helper()
	text, err := yaml.Marshal(&config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.cmdRoute([]string{string(text), "/" + id + "/*", id}); err != nil {
		t.Fatal(err)
	}
}

// copyFixtures copies the fixtures for a mock of s and makes streams of the
// descriptions of frames: NAME.frames becomes NAME.sse.
func copyFixtures(t *testing.T, s *state) (root string) {
	t.Helper()
	root = filepath.Join(s.env.WorkDir, "fixtures")
	if err := os.CopyFS(root, os.DirFS("fixtures")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "*.frames"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var frames []byte
		for line := range strings.Lines(string(text)) {
			kind, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
			frames = appendFrame(frames, kind, payload)
		}
		if err := os.WriteFile(strings.TrimSuffix(file, ".frames")+".sse", frames, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// complete compares the files of a folder with those of its want.yaml.
func complete(t *testing.T, dir string, w wanted) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := w.Answers[f.Name()]; !ok && f.Name() != "want.yaml" {
			t.Errorf("%s: %s is not in want.yaml", dir, f.Name())
		}
	}
}

// testFixture has a client, as, get an answer that a provider gives to client.
func testFixture(t *testing.T, s *state, route, name, file, client, as, check string, want wantedAnswer) {
	ext := filepath.Ext(file)
	stream := ext != ".json"
	contentType := "application/json"
	fixture := name + "/" + file
	args := []string{}
	switch ext {
	case ".sse":
		contentType = "text/event-stream"
	case ".frames":
		contentType = "application/vnd.amazon.eventstream"
		fixture = strings.TrimSuffix(fixture, ext) + ".sse"
		args = append(args, "-H", "x-mock-content-type: "+contentType)
		if as != client {
			contentType = "text/event-stream"
		}
	}
	status := max(want.Status, 200)
	args = append(args, "-H", "X-AI-Fixture: "+fixture, "-H", "X-AI-Fixture-Status: "+strconv.Itoa(status))
	q := question{model: "small", stream: stream, tools: len(want.Calls) > 0, limit: 64}
	got, err := s.ask("/"+route, as, check, q, args...)
	if err != nil {
		t.Fatal(err)
	}
	complete := as == client || !want.Cut
	if ct, _ := got.header("Content-Type"); got.status != status || (got.end == "complete") != complete || !strings.HasPrefix(ct, contentType) {
		t.Errorf("want %d, %s:\n%s", status, contentType, got)
	}
	sent, err := os.ReadFile(filepath.Join(s.env.WorkDir, "fixtures", fixture))
	if err != nil {
		t.Fatal(err)
	}
	verbatim, reader := as == client && !want.Restated, as
	switch {
	case as == "messages" && status == 429:
		verbatim, reader = true, client // not converted (ai-proxy.md 5.2)
	case as == "responses" && status >= 400: // OpenAI's errors have one shape
		doc, err := decode(sent)
		_, list := doc.([]any)
		verbatim = err == nil && !list && str(doc, "error.message") != ""
	}
	if verbatim != bytes.Equal(sent, got.body) {
		t.Errorf("byte for byte the same: want %v:\n%s", verbatim, got.body)
	}
	a, err := readAnswer(reader, stream, got.body)
	if err != nil {
		t.Fatalf("%v\n%s", err, got.body)
	}
	var calls []string
	for _, c := range a.Calls {
		calls = append(calls, c.String())
	}
	done := want.Fault == ""
	if a.Text != want.Text || a.Reasoning != want.Reasoning || !slices.Equal(calls, want.Calls) || a.Vectors != want.Vectors || a.Done != done || a.Wrong != nil {
		t.Errorf("complete: %v, text %q, reasoning %q, calls %q, vectors %d, wrong %q, in:\n%s", a.Done, a.Text, a.Reasoning, calls, a.Vectors, a.Wrong, got.body)
	}
	// Ollama does not tell its own clients of an error.
	if silent := as == client && name == "ollama" && stream; !strings.HasPrefix(a.Fault, want.Fault) && !silent {
		t.Errorf("error %q, want %q...:\n%s", a.Fault, want.Fault, got.body)
	}
	if !done {
		return
	}
	if called := a.Stop == "tool_use" || a.Stop == "tool_calls"; as != "responses" && as != client && called != (want.Calls != nil) {
		t.Errorf("stop reason %s:\n%s", a.Stop, got.body)
	}
	if d := cmp.Diff(want.usage(client, as), a.Usage); d != "" {
		t.Errorf("usage as the client sees it (-want +got):\n%s\n%s", d, got.body)
	}
}

// usage is what a client, as, is told of an answer to client. Anthropic's count
// is without what the cache has read and written.
func (w wantedAnswer) usage(client, as string) tokens {
	u := w.Usage
	u.Total = w.total()
	switch {
	case as == "messages":
		u.Total = 0
		if client != as {
			u.Prompt -= u.Cached
			u.Reasoning = 0
		}
	case client == "messages":
		u.Prompt += u.Cached + u.Created
		u.Total = u.Prompt + u.Completion
	}
	return u
}

func (w wantedAnswer) total() int64 {
	if w.Usage.Total > 0 {
		return w.Usage.Total
	}
	return w.Usage.Prompt + w.Usage.Completion
}

// checkLog is an access log that asks of the gateway what it made of answers.
const checkLog = `
nginx_config:
  http:
    access_log_format_escape: json
    access_log_format: '{"check":"$arg_check","status":"$status","upstream":"$upstream_status","type":"$request_type","path":"$upstream_uri","called":"$llm_has_tool_calls","prompt":"$llm_prompt_tokens","completion":"$llm_completion_tokens","total":"$llm_total_tokens","cached":"$llm_cache_read_input_tokens","created":"$llm_cache_creation_input_tokens","reasoning":"$llm_reasoning_tokens"}'
`

// logLine is a line of it.
type logLine struct {
	Check, Status, Upstream, Type, Path, Called string

	Prompt, Completion, Total, Cached, Created, Reasoning int64
}

// line is what the access log says of w.
func (w wantedAnswer) line(paths map[string]string, client, file string) logLine {
	kind, path := "ai_chat", paths[client]
	if filepath.Ext(file) != ".json" {
		kind = "ai_stream"
		if p := paths[client+" stream"]; p != "" {
			path = p
		}
	}
	// Bedrock's calls are not looked for (ai-proxy.md 5.6).
	called := strconv.FormatBool(w.Calls != nil && client != "converse")
	u := w.Usage
	return logLine{Status: strconv.Itoa(max(w.Status, 200)), Type: kind, Path: path, Called: called,
		Prompt: u.Prompt, Completion: u.Completion, Total: w.total(), Cached: u.Cached, Created: u.Created, Reasoning: u.Reasoning}
}

// logLines reads the access log, by check, when it has these.
func (s *state) logLines(checks ...string) (map[string]logLine, error) {
	var lines map[string]logLine
	err := eventually(5*time.Second, func() error {
		lines = map[string]logLine{}
		text, err := os.ReadFile(filepath.Join(s.env.WorkDir, "access.log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			m := map[string]string{}
			if err := yaml.Unmarshal([]byte(line), &m); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
			l := logLine{Check: m["check"], Status: m["status"], Upstream: m["upstream"], Type: m["type"], Path: m["path"], Called: m["called"]}
			for name, to := range map[string]*int64{"prompt": &l.Prompt, "completion": &l.Completion, "total": &l.Total, "cached": &l.Cached, "created": &l.Created, "reasoning": &l.Reasoning} {
				*to, _ = strconv.ParseInt(m[name], 10, 64)
			}
			lines[l.Check] = l
		}
		for _, c := range checks {
			if _, ok := lines[c]; !ok {
				return fmt.Errorf("no line of %s in the access log:\n%s", c, text)
			}
		}
		return nil
	})
	return lines, err
}
