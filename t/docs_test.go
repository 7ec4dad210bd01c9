package t

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The examples of the documents are marked by a word behind the language of
// their fence, and tested by it:
//
//	```json route     one route as the Admin API takes it: headrace check
//	```yaml apisix    a resource file with its #END: headrace check
//	```yaml config    a config.yaml: headrace check -c
//	```sh run         commands, run in order against the gateway of "make run"
//
// Other sh blocks are for people; json and yaml blocks have to be marked.
type example struct {
	file string
	line int
	kind string // "json route"
	text string
}

func (e example) place() string { return fmt.Sprintf("%s:%d", filepath.Base(e.file), e.line) }

// documents are the files whose examples count.
func documents(t *testing.T) (files []string) {
	t.Helper()
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skip("there are no documents yet")
	}
	return files
}

func examples(t *testing.T, file string) (list []example) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e *example
	for i, line := range strings.Split(string(text), "\n") {
		fence, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case !ok && e != nil:
			e.text += line + "\n"
		case ok && e == nil:
			e = &example{file: file, line: i + 1, kind: fence}
		case ok:
			list = append(list, *e)
			e = nil
		}
	}
	if e != nil {
		t.Errorf("%s: the fence is not closed", e.place())
	}
	return list
}

// TestDocsConfigs has headrace check every configuration in the documents.
func TestDocsConfigs(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		for _, e := range examples(t, file) {
			lang, mark, _ := strings.Cut(e.kind, " ")
			var name, text string
			var args []string
			switch e.kind {
			case "json route":
				name, text, args = "routes.json", `{"routes": [`+e.text+`]}`, []string{"check"}
			case "yaml apisix":
				name, text, args = "apisix.yaml", e.text, []string{"check"}
			case "yaml config":
				name, text, args = "config.yaml", e.text, []string{"check", "-c"}
			default:
				if lang == "json" || lang == "yaml" {
					t.Errorf("%s: a %s block is marked %q: want one of the marks of docs_test.go", e.place(), lang, mark)
				}
				continue
			}
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			checkClean(t, e.place(), append(args, path)...)
		}
	}
}

// TestExamples has headrace check every configuration in examples/. What is for
// other programs has a test of its own.
func TestExamples(t *testing.T) {
	t.Parallel()
	others := map[string]string{"grafana": "TestDashboard", "prometheus": "TestAlerts", "systemd/headrace.service": "TestUnit"}
	n := 0
	err := filepath.WalkDir("../examples", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name := strings.TrimPrefix(path, "../examples/")
		folder, _, _ := strings.Cut(name, "/")
		switch ext := filepath.Ext(path); {
		case others[folder] != "" || others[name] != "":
		case filepath.Base(path) == "config.yaml":
			checkClean(t, path, "check", "-c", path)
		case ext == ".yaml":
			checkClean(t, path, "check", path)
		case ext == ".json":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			// One route for the Admin API.
			file := filepath.Join(t.TempDir(), "routes.json")
			if err := os.WriteFile(file, []byte(`{"routes": [`+string(text)+`]}`), 0o644); err != nil {
				return err
			}
			checkClean(t, path, "check", file)
		default:
			t.Errorf("%s: no test looks at it", path)
		}
		return nil
	})
	if os.IsNotExist(err) || n == 0 {
		t.Skip("there are no examples yet")
	}
	if err != nil {
		t.Error(err)
	}
}

// checkClean runs headrace check, which must have nothing to say, not even a
// warning.
func checkClean(t *testing.T, place string, args ...string) {
	t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	text := string(out)
	if err != nil || strings.Contains(text, "warning:") || strings.Contains(text, "error:") {
		t.Errorf("%s: headrace %s: %v\n%s", place, strings.Join(args[:len(args)-1], " "), err, text)
	}
}

// TestDocsCommands runs the commands of each document against a gateway of its
// own, which is set up as "make run" does it.
func TestDocsCommands(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		var run []example
		for _, e := range examples(t, file) {
			if e.kind == "sh run" {
				run = append(run, e)
			}
		}
		if len(run) == 0 {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			s, ports := runExample(t)
			for _, e := range run {
				// A request that fails makes its command fail.
				script := "set -e\ncurl() { command curl -fsS \"$@\"; }\n" + ports.Replace(e.text)
				c := exec.Command("sh", "-c", script)
				c.Dir = s.env.WorkDir
				c.Env = append(os.Environ(), "admin_key="+adminKey, "NO_PROXY=127.0.0.1")
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s\n%s", e.place(), err, out, s.gateways[0].err)
				} else if len(out) == 0 {
					t.Errorf("%s: the commands print nothing", e.place())
				}
			}
		})
	}
}

// runExample starts examples/run on free ports and with a known key. The
// replacer puts these ports in the place of the documented ones.
func runExample(t *testing.T) (*state, *strings.Replacer) {
	t.Helper()
	s := newPlainState(t)
	ports := strings.NewReplacer(
		"127.0.0.1:9080", s.getenv("TRAFFIC"), "127.0.0.1:9180", s.getenv("ADMIN"), "127.0.0.1:9091", s.getenv("METRICS"),
		"127.0.0.1:9090", s.getenv("CONTROL"), "127.0.0.1:9400", s.getenv("MOCK"),
	)
	seed, err := os.ReadFile("../examples/run/routes.yaml")
	if err != nil {
		t.Skip("there is no examples/run yet")
	}
	for name, text := range map[string]string{
		"conf/routes.yaml": ports.Replace(string(seed)),
		"conf/extra.yaml":  fmt.Sprintf("headrace: {mock: {listen: %q}, seed: [routes.yaml]}\n", s.getenv("MOCK")),
	} {
		if err := os.WriteFile(filepath.Join(s.env.WorkDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	return s, ports
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)

// TestDocsLinks finds links to files that are not there.
func TestDocsLinks(t *testing.T) {
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
					continue
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
					t.Errorf("%s:%d: %s leads nowhere", filepath.Base(file), i+1, m[1])
				}
			}
		}
	}
}
