package t

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scraped are the metrics of a gateway that has served a little of everything:
// the labels of each name. It is made once.
func scraped(t *testing.T) map[string][]string {
	t.Helper()
	scrape.once.Do(func() { scrape.labels = scrapeLabels(t) })
	if len(scrape.labels) == 0 {
		t.Fatal("nothing was scraped")
	}
	return scrape.labels
}

var scrape struct {
	once   sync.Once
	labels map[string][]string
}

const everything = `global_rules:
  - {id: 1, plugins: {prometheus: {}}}
routes:
  - id: one
    uri: /one
    plugins:
      ai-proxy: {provider: openai, auth: {}, override: {endpoint: "http://${{MOCK}}"}}
  - id: several
    uri: /several
    plugins:
      ai-proxy-multi:
        fallback_strategy: [http_429]
        instances:
          - {name: full, provider: openai, weight: 1, priority: 1, auth: {}, override: {endpoint: "http://${{A}}"},
             checks: {active: {type: http, http_path: /, healthy: {interval: 1, successes: 1}, unhealthy: {interval: 1, http_failures: 1}}}}
          - {name: free, provider: openai, weight: 1, auth: {}, override: {endpoint: "http://${{MOCK}}"}}
  - id: google
    uri: /google
    plugins:
      ai-proxy: {provider: vertex-ai, auth: {gcp: {service_account_json: "$env://SERVICE_ACCOUNT"}}, provider_conf: {project_id: p, region: r},
        override: {endpoint: "http://${{MOCK}}"}}
  - id: plain
    uri: /plain
    upstream: {nodes: {"${{MOCK}}": 1}}
#END
`

func scrapeLabels(t *testing.T) map[string][]string {
	t.Helper()
	s := newPlainState(t)
	if err := os.WriteFile(filepath.Join(s.env.WorkDir, "conf", "apisix.yaml"), []byte(everything), 0o644); err != nil {
		t.Fatal(err)
	}
	const chat, stream = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	traffic := s.getenv("TRAFFIC")
	do := func(f func([]string) (string, error), args ...string) string {
		t.Helper()
		out, err := f(args)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out
	}
	do(s.cmdGoogle, "start")
	s.env.Setenv("EXPORT", "SERVICE_ACCOUNT MOCK A")
	do(s.cmdMock, "start")
	do(s.cmdMock, "start", "-at", s.getenv("A"), "--status", "429")
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	s.routines = 0
	do(s.cmdHTTP, "200", "POST", traffic+"/one", "-d", chat)
	do(s.cmdHTTP, "200", "POST", traffic+"/one", "-d", stream)
	do(s.cmdHTTP, "200", "POST", traffic+"/several", "-d", chat)
	do(s.cmdHTTP, "200", "POST", traffic+"/google", "-d", chat)
	do(s.cmdHTTP, "200", "GET", traffic+"/plain")
	do(s.cmdHTTP, "404", "GET", traffic+"/none")
	text := do(s.cmdHTTP, "200", "GET", s.getenv("METRICS")+"/apisix/prometheus/metrics")

	labels := map[string][]string{}
	for line := range strings.Lines(text) {
		m := sample.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if labels[m[1]] == nil {
			labels[m[1]] = []string{}
		}
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels[m[1]], l[1]) {
				labels[m[1]] = append(labels[m[1]], l[1])
			}
		}
	}
	return labels
}

var (
	sample    = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? [-+0-9]`)
	labelName = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)
)

// family is the name that the documents have for a series.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if s, ok := strings.CutSuffix(name, suffix); ok {
			return s
		}
	}
	return name
}

// documented are the names in the tables of docs/metrics.md.
func documented(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	in := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			in = false
			continue
		}
		if strings.TrimSpace(cells[1]) == "Metric" {
			in = true
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_*]+)`").FindAllStringSubmatch(cells[1], -1) {
			name := m[1]
			if !strings.HasPrefix(name, "headrace_") && !strings.HasSuffix(name, "_*") {
				name = "apisix_" + name
			}
			if in {
				names = append(names, name)
			}
		}
	}
	return names
}

// TestDocsMetrics holds docs/metrics.md against what a gateway shows: there is
// nothing that it does not name, and nothing in it that no code makes.
func TestDocsMetrics(t *testing.T) {
	t.Parallel()
	labels := scraped(t)
	names := documented(t)
	if len(names) < 30 {
		t.Fatalf("docs/metrics.md has %q only", names)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			prefix, all := strings.CutSuffix(n, "*")
			return n == name || all && strings.HasPrefix(name, prefix)
		})
	}
	for name := range labels {
		if !known(name) && !known(family(name)) {
			t.Errorf("%s is not in docs/metrics.md", name)
		}
	}
	source := sources(t)
	for _, n := range names {
		prefix, all := strings.CutSuffix(n, "*")
		seen := false
		for name := range labels {
			seen = seen || name == n || family(name) == n || all && strings.HasPrefix(name, prefix)
		}
		// What takes more than a little to happen.
		if !seen && !bytes.Contains(source, []byte(strings.TrimPrefix(n, "apisix_"))) {
			t.Errorf("docs/metrics.md has %s, which no code makes", n)
		}
	}
}

// sources are the Go files that make the program.
func sources(t *testing.T) (all []byte) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "t" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "..") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			all = append(all, text...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
