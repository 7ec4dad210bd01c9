package t

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The rules of the house (docs/architecture.md): which package may import
// which, how files are named and how long they may get.

// rows are the levels of the packages; an import leads to a lower one. A path
// that ends in /* stands for every package right below it that is not named.
var rows = []struct {
	packages []string
	reason   string
}{
	{[]string{"conf/pcre"}, "patterns are text and flags"},
	{[]string{"conf/schema", "conf/expr", "conf/secret", "conf/crypt", "sse", "lb", "driver/wire"}, "knows nothing of ours, so it can be tested and reused alone"},
	{[]string{"conf"}, "reads configuration and knows nothing of what it is for"},
	{[]string{"driver"}, "protocols and providers as bytes, over wire and sse"},
	{[]string{"driver/vertex", "driver/bedrock"}, "the two providers that need more than a row of a table"},
	{[]string{"plugin"}, "what a plugin sees of a request"},
	{[]string{"plugin/redis"}, "connections that plugins share"},
	{[]string{"plugin/limit", "plugin/logfile", "plugin/logentry", "plugin/logbatch", "plugin/auth", "plugin/plugintest"}, "what several plugins share"},
	{[]string{"plugin/auth/authtest", "plugin/logentry/logtest", "plugin/limit/limittest", "plugin/redis/redistest"}, "what tests of plugins need"},
	{[]string{"engine", "plugin/*"}, "the engine does not know the plugins, nor they the engine: main hands it all.Specs"},
	{[]string{"engine/admin", "plugin/all", "conf/etcd"}, "nothing but main may depend on these"},
	{[]string{"bench/*"}, "parts of the measuring program"},
	{[]string{"bench"}, "a program of its own, which the command line holds too"},
	{[]string{"."}, "main knows everybody, nobody knows main"},
	{[]string{"t"}, "drives the built binary and imports nothing of it"},
}

// never are arrows that the rows would allow.
var never = []struct{ from, to, reason string }{
	{"driver/wire", "sse", "the exchange hands out bytes; what they mean is not its business"},
	{"sse", "driver/wire", "the relay is a pure step over bytes; it declares what it needs as sse.Source"},
	{"bench", "engine", "the measuring program must not share code with what it measures"},
	{"bench", "driver", "the mock provider must not share the parsers that it is there to test"},
	{"bench", "sse", "the mock provider must not share the parsers that it is there to test"},
	{"t", "engine", "scripts see what a user sees"},
}

type pkg struct {
	ImportPath, Name, Doc, Dir string
	Imports                    []string
	TestImports, XTestImports  []string
	GoFiles, IgnoredGoFiles    []string
}

func packages(t *testing.T) (list []pkg) {
	t.Helper()
	c := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Doc,Dir,Imports,TestImports,XTestImports,GoFiles,IgnoredGoFiles", "headrace/...")
	var errOut bytes.Buffer
	c.Stderr = &errOut
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &errOut)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// short is the path inside the module, "." for its root.
func short(path string) (string, bool) {
	if path == "headrace" {
		return ".", true
	}
	return strings.CutPrefix(path, "headrace/")
}

func rowOf(name string) int {
	wild := -1
	for i, r := range rows {
		for _, p := range r.packages {
			if p == name {
				return i
			}
			if dir, ok := strings.CutSuffix(p, "/*"); ok && filepath.Dir(name) == dir {
				wild = i
			}
		}
	}
	return wild
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := short(p.ImportPath)
		row := rowOf(from)
		if row < 0 {
			t.Errorf("%s is in no row of deps_test.go: decide where it belongs", from)
			continue
		}
		imports := p.Imports
		if from == "t" {
			imports = append(append(imports, p.TestImports...), p.XTestImports...)
		}
		for _, path := range imports {
			to, ours := short(path)
			if !ours {
				continue
			}
			if r := rowOf(to); r >= row {
				t.Errorf("%s imports %s: %s (%s)", from, to, "an import leads to a lower row", rows[row].reason)
			}
			for _, n := range never {
				if n.from == from && n.to == to {
					t.Errorf("%s imports %s: %s", from, to, n.reason)
				}
			}
		}
	}
}

// TestPackageComments wants one for every package. That of t stands in a test file.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := short(p.ImportPath)
		if name == "t" {
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
		if p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") {
			t.Errorf("%s: the package comment begins %.40q, want %q", name, p.Doc, "Package "+p.Name+" ...")
		}
		if p.Name != "main" && p.Name != filepath.Base(name) {
			t.Errorf("%s: the package is called %s", name, p.Name)
		}
		switch filepath.Base(name) {
		case "util", "utils", "common", "helpers", "misc", "internal", "pkg":
			t.Errorf("%s: a package is named after what it is, not after being used", name)
		}
	}
}

var fileName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*\.go$`)

const (
	maxLines  = 350
	warnLines = 300
)

// TestFiles looks at the names and the lengths of files.
func TestFiles(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "node_modules" || n == ".git" || n == ".cache" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		name := strings.TrimPrefix(path, "../")
		if !fileName.MatchString(d.Name()) {
			t.Errorf("%s: file names are lower case with underscores", name)
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch n := bytes.Count(text, []byte("\n")); {
		case n > maxLines && !bytes.HasPrefix(text, []byte("// Code generated ")):
			t.Errorf("%s has %d lines, at most %d: one noun per file", name, n, maxLines)
		case n > warnLines:
			t.Logf("%s has %d lines: look whether it is two things", name, n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
