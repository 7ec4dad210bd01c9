// Package t tests Headrace as a user meets it: it builds the program, starts
// it, and drives it by scripts. A script is a .txtar file in the folder of its
// area: commands on top, the files they use below. Besides testscript's own
// commands (https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript)
// there are those of cmds_test.go, client_test.go, assert_test.go,
// multi_test.go, google_test.go, kafka_test.go and frames_test.go; each is described where it is defined.
//
//	go test ./t                                   everything
//	go test ./t -run 'TestScripts/stream'         one area
//	go test ./t -run 'TestScripts/stream/^stall$' one script
//	go test ./t -update                           rewrite expectations of cmp
//	go test ./t -bug                              run the scripts of known bugs too
//	go test ./t -run 'TestFixtures/gemini'        the answers of a provider, see fixtures/README.md
//	make live                                     real providers, see CONTRIBUTING.md
//
// HEADRACE_BINARY names a program to test instead of the one that is built.
package t

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	updateScripts = flag.Bool("update", false, "rewrite what cmp expects in the scripts")
	runBugs       = flag.Bool("bug", false, "run the scripts that are marked [bug]")
	keepWork      = flag.Bool("keep", false, "keep the work folders of the scripts")
)

// areas are the folders with scripts.
var areas = []string{"admin", "auth", "bedrock", "check", "convert", "limit", "log", "match", "metrics", "mock", "multi", "plugins", "proxy", "seeds", "serve", "stream", "vertex"}

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	commands := map[string]func(){}
	if _, err := exec.LookPath("curl"); err != nil {
		commands["curl"] = curlMain // the examples are curl lines
	}
	testscript.Main(runner{m}, commands)
}

// runner builds the program around the tests.
type runner struct{ m *testing.M }

func (r runner) Run() int {
	// Scripts mostly wait: many can run at once on few cores.
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		p.Value.Set("8")
	}
	dir, err := os.MkdirTemp("", "headrace-t-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "headrace")
	if given := os.Getenv("HEADRACE_BINARY"); given != "" {
		if _, err := os.Stat(given); err != nil {
			fmt.Fprintln(os.Stderr, "HEADRACE_BINARY:", err)
			return 1
		}
		binary = given
		if err := os.Symlink(given, filepath.Join(dir, "headrace")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	} else {
		build := exec.Command("go", "build", "-o", binary, "headrace")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot build headrace:", err)
			return 1
		}
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return r.m.Run()
}

func TestScripts(t *testing.T) {
	for _, area := range areas {
		t.Run(area, func(t *testing.T) {
			t.Parallel()
			if files, _ := filepath.Glob(filepath.Join(area, "*.txtar")); len(files) == 0 {
				t.Fatalf("no scripts in %s", area)
			}
			testscript.Run(t, params(t, area))
		})
	}
}

// TestAreas finds scripts that no area covers.
func TestAreas(t *testing.T) {
	known := map[string]bool{"sdk": true}
	for _, a := range areas {
		known[a] = true
	}
	dirs, err := filepath.Glob("*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if !known[filepath.Dir(d)] {
			t.Errorf("%s is in no area of t_test.go", d)
		}
	}
}

func params(t *testing.T, dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		Setup:               func(env *testscript.Env) error { return setup(t, env) },
		Cmds:                commands(),
		Condition:           condition,
		UpdateScripts:       *updateScripts,
		TestWork:            *keepWork,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	}
}

func condition(cond string) (bool, error) {
	if cond == "bug" {
		return !*runBugs, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// adminKey is the key of the Admin API where a script has no config of its own.
const adminKey = "edd1c9f034335f136f87ad84b625c8f1"

// setup gives a script its ports and its state.
func setup(t *testing.T, env *testscript.Env) error {
	s := newState(t, env)
	env.Values[stateKey{}] = s
	env.Defer(s.cleanup)
	setPorts(env)
	env.Setenv("CHAT", `{"model":"m","messages":[{"role":"user","content":"What is 1+1?"}]}`)
	env.Setenv("STREAM", `{"model":"m","stream":true,"messages":[{"role":"user","content":"What is 1+1?"}]}`)
	env.Setenv("ADMIN_KEY", adminKey)
	env.Setenv("admin_key", adminKey) // as the examples of APISIX's documents spell it
	return nil
}

// setPorts puts NAME_PORT and NAME, the address, into the environment.
func setPorts(env *testscript.Env) {
	for _, name := range []string{"TRAFFIC", "ADMIN", "METRICS", "CONTROL", "STATUS", "MOCK", "SPARE", "A", "B", "C", "HEALTH", "VECTORS", "TOKENS", "KAFKA", "REDIS"} {
		port := freePort()
		env.Setenv(name+"_PORT", strconv.Itoa(port))
		env.Setenv(name, "127.0.0.1:"+strconv.Itoa(port))
	}
}

// ports hands out ports below the range that the system gives to outgoing
// connections, each only once.
var ports struct {
	sync.Mutex
	next int
}

func freePort() int {
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = 12000 + os.Getpid()*61%18000
	}
	for range 20000 {
		ports.next++
		if ports.next > 32000 {
			ports.next = 12000
		}
		// Wildcard and loopback: either may be taken alone.
		if bindable("127.0.0.1:"+strconv.Itoa(ports.next)) && bindable(":"+strconv.Itoa(ports.next)) {
			return ports.next
		}
	}
	panic("no free port")
}

func bindable(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// eventually repeats f until it returns nil; then, or after d, it returns
// what f returned last.
func eventually(d time.Duration, f func() error) error {
	deadline := time.Now().Add(d)
	for pause := time.Millisecond; ; pause = min(pause*2, 50*time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}
