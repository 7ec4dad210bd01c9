package t

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.yaml.in/yaml/v3"
)

// command is a script command that prints text and fails with an error.
type command func(s *state, args []string) (string, error)

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	table := map[string]command{
		"gateway": (*state).cmdGateway,
		"mock":    (*state).cmdMock,
		"http":    (*state).cmdHTTP,
		"raw":     (*state).cmdRaw,
		"conn":    (*state).cmdConn,
		"await":   (*state).cmdAwait,
		"until":   (*state).cmdUntil,
		"drop":    (*state).cmdDrop,
		"json":    (*state).cmdJSON,
		"last":    (*state).cmdLast,
		"stats":   (*state).cmdStats,
		"metrics": (*state).cmdMetrics,
		"header":  (*state).cmdHeader,
		"cmpjson": (*state).cmdCmpJSON,
		"exits":   (*state).cmdExits,
		"file":    (*state).cmdFile,
		"subst":   (*state).cmdSubst,
		"repeat":  (*state).cmdRepeat,
		"route":   (*state).cmdRoute,
		"multi":   (*state).cmdMulti,
		"share":   (*state).cmdShare,
		"traffic": (*state).cmdTraffic,
		"churn":   (*state).cmdChurn,
		"google":  (*state).cmdGoogle,
		"kafka":   (*state).cmdKafka,

		"blackhole": (*state).cmdBlackhole,
		"frames":    (*state).cmdFrames,
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, f := range table {
		cmds[name] = adapt(name, f)
	}
	cmds["poll"] = adapt("poll", func(s *state, args []string) (string, error) { return s.cmdPoll(table, args) })
	return cmds
}

func adapt(name string, f command) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := ts.Value(stateKey{}).(*state)
		s.ts = ts
		out, err := f(s, args)
		if out != "" { // else stdout stays that of the command before
			io.WriteString(ts.Stdout(), out)
		}
		switch {
		case neg && err == nil:
			ts.Fatalf("unexpected success of %s", name)
		case neg:
			ts.Logf("[%v]", err)
		case err != nil:
			ts.Fatalf("%s: %v", name, err)
		}
	}
}

type stateKey struct{}

// state is what the commands of one script share.
type state struct {
	t          *testing.T // of the area
	env        *testscript.Env
	ts         *testscript.TestScript
	gateways   []*process
	mocks      []*process
	mockStarts int
	conns      map[string]*client
	background map[string]*reply
	all        []*client
	resp       *reply
	routes     []map[string]any // of conf/apisix.yaml, by the route command
	traffic    *traffic
	google     *tokenServer
	kafka      *kfake.Cluster
	kafkaSASL  bool
	routines   int    // goroutines of the gateway before the first request
	profile    string // the latest profile of them
}

func newState(t *testing.T, env *testscript.Env) *state {
	return &state{t: t, env: env, conns: map[string]*client{}, background: map[string]*reply{}}
}

func (s *state) track(c *client) { s.all = append(s.all, c) }

func (s *state) abs(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	if s.ts != nil {
		return s.ts.MkAbs(file)
	}
	return filepath.Join(s.env.WorkDir, file)
}

func (s *state) getenv(name string) string {
	if s.ts != nil {
		return s.ts.Getenv(name)
	}
	return s.env.Getenv(name)
}

func (s *state) setenv(name, value string) {
	if s.ts != nil {
		s.ts.Setenv(name, value)
		return
	}
	s.env.Setenv(name, value)
}

// process is a program of ours in the background.
type process struct {
	addr     string // of a mock
	cmd      *exec.Cmd
	out, err *buffer
	done     chan struct{}
}

// buffer is a file that a process writes and the script reads.
type buffer struct{ path string }

func (b *buffer) String() string {
	text, _ := os.ReadFile(b.path)
	return string(text)
}

// start runs headrace with args; its output goes to the files NAME.out and
// NAME.err.
func (s *state) start(name string, args ...string) (*process, error) {
	p := &process{
		cmd:  s.limited(args),
		out:  &buffer{filepath.Join(s.env.WorkDir, name+".out")},
		err:  &buffer{filepath.Join(s.env.WorkDir, name+".err")},
		done: make(chan struct{}),
	}
	p.cmd.Dir = s.abs(".")
	// What testscript sets with env is in s.ts only.
	p.cmd.Env = s.environ()
	for _, f := range []struct {
		b *buffer
		w *io.Writer
	}{{p.out, &p.cmd.Stdout}, {p.err, &p.cmd.Stderr}} {
		file, err := os.OpenFile(f.b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		*f.w = file
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// limited is the command with as many descriptors as the script's $FILES says.
func (s *state) limited(args []string) *exec.Cmd {
	files := s.getenv("FILES")
	if files == "" {
		return exec.Command(binary, args...)
	}
	return exec.Command("sh", append([]string{"-c", "ulimit -n " + files + ` && exec "$0" "$@"`, binary}, args...)...)
}

func (s *state) environ() []string {
	env := append([]string(nil), s.env.Vars...)
	for _, name := range strings.Fields(s.getenv("EXPORT")) {
		env = append(env, name+"="+s.getenv(name))
	}
	return append(env, "GOTRACEBACK=all")
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) wait(d time.Duration) error {
	select {
	case <-p.done:
		return nil
	case <-time.After(d):
		return fmt.Errorf("still running after %v", d)
	}
}

func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// cmdGateway runs the gateway:
//
//	gateway start [ARGS]            headrace serve -c conf/config.yaml ARGS, until it serves
//	gateway stop [-within T] [SIG]  TERM, and it must exit with 0
//	gateway signal SIG              TERM, INT, KILL, USR1; does not wait
//	gateway exit [-within T] CODE   waits for its end; -1 after KILL
//
// Unless the script has a conf/config.yaml, one is written: all ports as in
// the environment, routes from conf/apisix.yaml or .json if there is one, else
// from the embedded store with the key $ADMIN_KEY; conf/extra.yaml is merged
// into it. Output is in gateway.out and gateway.err; the environment is that
// of the script with the variables whose names are in $EXPORT.
func (s *state) cmdGateway(args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("usage: gateway start|stop|signal|exit")
	}
	d, rest, err := within(args[1:], 10*time.Second)
	if err != nil {
		return "", err
	}
	if args[0] == "start" {
		return s.startGateway(args[1:])
	}
	if len(s.gateways) == 0 {
		return "", errors.New("no gateway was started")
	}
	p := s.gateways[len(s.gateways)-1]
	switch args[0] {
	case "stop":
		if err := p.signal(append(rest, "TERM")[0]); err != nil {
			return "", err
		}
		if err := p.wait(d); err != nil {
			return "", err
		}
		if code := p.code(); code != 0 {
			return "", fmt.Errorf("exit code %d:\n%s", code, p.err)
		}
	case "signal":
		return "", p.signal(strings.Join(rest, ""))
	case "exit":
		if err := p.wait(d); err != nil {
			return "", err
		}
		if code := strconv.Itoa(p.code()); code != strings.Join(rest, "") {
			return "", fmt.Errorf("exit code %s, want %s:\n%s", code, rest, p.err)
		}
	default:
		return "", fmt.Errorf("unknown verb %s", args[0])
	}
	return "", nil
}

func (p *process) signal(name string) error {
	sig, ok := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	}[name]
	if !ok {
		return fmt.Errorf("unknown signal %q", name)
	}
	return p.cmd.Process.Signal(sig)
}

func (s *state) startGateway(args []string) (string, error) {
	config := filepath.Join(s.env.WorkDir, "conf", "config.yaml")
	if len(s.gateways) == 0 {
		if _, err := os.Stat(config); err != nil {
			if err := s.writeConfig(config); err != nil {
				return "", err
			}
		}
	}
	p, err := s.start("gateway", append([]string{"serve", "-c", config}, args...)...)
	if err != nil {
		return "", err
	}
	s.gateways = append(s.gateways, p)
	banners := len(s.gateways)
	err = eventually(10*time.Second, func() error {
		if !p.running() {
			return nil
		}
		// The banner is the last thing of a start.
		if strings.Count(p.out.String(), ": routes from ") < banners {
			return errors.New("no banner yet")
		}
		return nil
	})
	if err != nil || !p.running() {
		return "", fmt.Errorf("the gateway does not serve: %w\n%s%s", err, p.out, p.err)
	}
	s.routines = 0
	err = eventually(3*time.Second, func() error { s.routines, err = s.countRoutines(); return err })
	return p.out.String(), err
}

// writeConfig writes the config of a script that has none.
func (s *state) writeConfig(path string) error {
	num := func(name string) int { n, _ := strconv.Atoi(s.getenv(name + "_PORT")); return n }
	has := func(name string) bool { _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); return err == nil }
	listen := func(name string) map[string]any { return map[string]any{"ip": "127.0.0.1", "port": num(name)} }
	c := map[string]any{
		"apisix":       map[string]any{"node_listen": []any{listen("TRAFFIC")}, "control": listen("CONTROL"), "status": listen("STATUS")},
		"nginx_config": map[string]any{"http": map[string]any{"access_log": "access.log"}},
		"headrace":     map[string]any{"shutdown_delay": 0},
		"plugin_attr":  map[string]any{"prometheus": map[string]any{"export_addr": listen("METRICS")}},
	}
	file := func(provider string) map[string]any {
		return map[string]any{"role": "data_plane", "role_data_plane": map[string]any{"config_provider": provider}}
	}
	switch {
	case has("apisix.yaml"):
		c["deployment"] = file("yaml")
	case has("apisix.json"):
		c["deployment"] = file("json")
	default:
		c["deployment"] = map[string]any{"admin": map[string]any{
			"admin_listen": listen("ADMIN"),
			"admin_key":    []any{map[string]any{"name": "admin", "key": adminKey, "role": "admin"}},
		}}
	}
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "extra.yaml")); err == nil {
		extra := map[string]any{}
		if err := yaml.Unmarshal(text, &extra); err != nil {
			return err
		}
		merge(c, extra)
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// cmdRoute adds a route to conf/apisix.yaml: route CONFIG [URI [ID]]. CONFIG
// is YAML for ai-proxy, over provider openai with the mock as its endpoint
// (host only, so that the provider's paths count) and a key; URI is /* and ID
// the number of the route.
func (s *state) cmdRoute(args []string) (string, error) {
	if len(args) < 1 || len(args) > 3 {
		return "", errors.New("usage: route CONFIG [URI [ID]]")
	}
	plugin := map[string]any{
		"provider": "openai",
		"auth":     map[string]any{"header": map[string]any{"Authorization": "Bearer sk-up"}},
		"override": map[string]any{"endpoint": "http://" + s.getenv("MOCK")},
	}
	extra := map[string]any{}
	if err := yaml.Unmarshal([]byte(args[0]), &extra); err != nil {
		return "", err
	}
	merge(plugin, extra)
	uri, id := "/*", strconv.Itoa(len(s.routes)+1)
	if len(args) > 1 {
		uri = args[1]
	}
	if len(args) > 2 {
		id = args[2]
	}
	s.routes = append(s.routes, map[string]any{"id": id, "uri": uri, "plugins": map[string]any{"ai-proxy": plugin}})
	return "", s.writeRoutes()
}

// writeRoutes writes conf/apisix.yaml.
func (s *state) writeRoutes() error {
	text, err := yaml.Marshal(map[string]any{"routes": s.routes})
	if err != nil {
		return err
	}
	path := filepath.Join(s.env.WorkDir, "conf", "apisix.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, "#END\n"...), 0o644)
}

// merge puts src over dst; null takes away what dst has.
func merge(dst, src map[string]any) {
	for k, v := range src {
		if _, ok := dst[k]; ok && v == nil {
			delete(dst, k)
			continue
		}
		a, aok := dst[k].(map[string]any)
		b, bok := v.(map[string]any)
		if aok && bok {
			merge(a, b)
			continue
		}
		dst[k] = v
	}
}

// cmdMock runs "headrace mock": mock start [-at ADDR] [FLAGS] on $MOCK or
// ADDR, mock stop [-at ADDR] all of them or that one.
func (s *state) cmdMock(args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("usage: mock start|stop")
	}
	addr, flags := at("", args[1:])
	if args[0] == "stop" {
		var rest []*process
		for _, p := range s.mocks {
			if addr != "" && p.addr != addr {
				rest = append(rest, p)
				continue
			}
			p.signal("TERM")
			if err := p.wait(5 * time.Second); err != nil {
				return "", fmt.Errorf("the mock: %w", err)
			}
		}
		if addr != "" && len(rest) == len(s.mocks) {
			return "", fmt.Errorf("no mock on %s", addr)
		}
		s.mocks = rest
		return "", nil
	}
	if addr == "" {
		addr = s.getenv("MOCK")
	}
	p, err := s.start("mock", append([]string{"mock", "--listen", addr}, flags...)...)
	if err != nil {
		return "", err
	}
	p.addr = addr
	s.mocks = append(s.mocks, p)
	s.mockStarts++
	n := s.mockStarts
	err = eventually(5*time.Second, func() error {
		if p.running() && strings.Count(p.out.String(), "try: ") < n {
			return errors.New("no banner yet")
		}
		return nil
	})
	if err != nil || !p.running() {
		return "", fmt.Errorf("the mock does not serve: %w\n%s%s", err, p.out, p.err)
	}
	return p.out.String(), nil
}

// at takes a leading -at ADDR off args.
func at(addr string, args []string) (string, []string) {
	if len(args) > 1 && args[0] == "-at" {
		return args[1], args[2:]
	}
	return addr, args
}

// cmdExits runs a program of at most ten seconds and compares its exit code:
// exits CODE PROGRAM ARGS. Its output is there for stdout and stderr.
func (s *state) cmdExits(args []string) (string, error) {
	if len(args) < 2 {
		return "", errors.New("usage: exits CODE PROGRAM ARGS")
	}
	c := exec.Command(args[1], args[2:]...)
	if args[1] == "headrace" {
		c = exec.Command(binary, args[2:]...)
	}
	c.Dir, c.Env = s.abs("."), s.environ()
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Start(); err != nil {
		return "", err
	}
	kill := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
	c.Wait()
	kill.Stop()
	io.WriteString(s.ts.Stderr(), errOut.String())
	if code := strconv.Itoa(c.ProcessState.ExitCode()); code != args[0] {
		return out.String(), fmt.Errorf("exit code %s, want %s\n%s%s", code, args[0], out.String(), errOut.String())
	}
	return out.String(), nil
}

// cmdPoll repeats one of our commands until it succeeds:
//
//	poll [-within TIME] COMMAND ARGS
func (s *state) cmdPoll(table map[string]command, args []string) (string, error) {
	d, args, err := within(args, 3*time.Second)
	if err != nil {
		return "", err
	}
	if len(args) == 0 || table[args[0]] == nil {
		return "", fmt.Errorf("usage: poll [-within TIME] COMMAND ARGS: %q", args)
	}
	var out string
	err = eventually(d, func() (err error) {
		out, err = table[args[0]](s, args[1:])
		return err
	})
	if err != nil {
		err = fmt.Errorf("not in %v: %w", d, err)
	}
	return out, err
}

// cmdFile looks at a file, for poll: file PATH REGEXP; file -lines N PATH;
// file -none PATH REGEXP; file -mode 0600 PATH.
func (s *state) cmdFile(args []string) (string, error) {
	if len(args) == 3 && args[0] == "-mode" {
		st, err := os.Stat(s.abs(args[2]))
		if err == nil && fmt.Sprintf("%04o", st.Mode().Perm()) != args[1] {
			err = fmt.Errorf("mode %04o, want %s", st.Mode().Perm(), args[1])
		}
		return "", err
	}
	if len(args) < 2 {
		return "", errors.New("usage: file [-none] PATH REGEXP | file -lines N PATH | file -mode MODE PATH")
	}
	none, lines := args[0] == "-none", args[0] == "-lines"
	if none {
		args = args[1:]
	}
	if lines {
		args = []string{args[2], args[1]}
	}
	text, err := os.ReadFile(s.abs(args[0]))
	if err != nil {
		return "", err
	}
	if lines {
		if n := strconv.Itoa(bytes.Count(text, []byte("\n"))); n != args[1] {
			return "", fmt.Errorf("%s lines, want %s:\n%s", n, args[1], text)
		}
		return string(text), nil
	}
	re, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return "", err
	}
	if re.Match(text) == none {
		return string(text), fmt.Errorf("found %v: %q in %s:\n%s", !none, args[1], args[0], text)
	}
	return string(text), nil
}

// cmdSubst writes FILE with $NAME and ${NAME} of the environment filled in:
// subst FROM TO. Unlike cp it makes a file in one step.
func (s *state) cmdSubst(args []string) (string, error) {
	if len(args) != 2 {
		return "", errors.New("usage: subst FROM TO")
	}
	text, err := os.ReadFile(s.abs(args[0]))
	if err != nil {
		return "", err
	}
	to := s.abs(args[1])
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	out := regexp.MustCompile(`\$(\w+)`).ReplaceAllStringFunc(string(text), func(m string) string {
		if v := s.getenv(m[1:]); v != "" {
			return v
		}
		return m
	})
	if err := os.WriteFile(to+".new", []byte(out), 0o644); err != nil {
		return "", err
	}
	return "", os.Rename(to+".new", to)
}

// cmdRepeat writes a large file: repeat FILE PREFIX TEXT COUNT SUFFIX.
func (s *state) cmdRepeat(args []string) (string, error) {
	if len(args) != 5 {
		return "", errors.New("usage: repeat FILE PREFIX TEXT COUNT SUFFIX")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return "", err
	}
	return "", os.WriteFile(s.abs(args[0]), []byte(args[1]+strings.Repeat(args[2], n)+args[4]), 0o644)
}

// countRoutines asks the gateway's control port how many goroutines it has.
func (s *state) countRoutines() (int, error) {
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + s.getenv("CONTROL") + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if !strings.Contains(string(text), "(*listener).Accept") {
		return 0, errors.New("the traffic port is not served yet")
	}
	// One block per stack: "N @ addresses" and the frames. Idle workers of
	// the servers and what serves this very request are no leak.
	n := 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		// Nor are those that live with idle connections, open log files and checks.
		if !strings.Contains(block, "headrace/") || strings.Contains(block, "admin.(*Control)") ||
			strings.Contains(block, "wire.(*Client).clean") || strings.Contains(block, "logfile.(*File).run") || strings.Contains(block, "headrace/bench.") ||
			strings.Contains(block, "lb.(*Checker)") || strings.Contains(block, "(*instanceHealth).resolve") {
			continue
		}
		if i := strings.Index(block, " @ "); i >= 0 {
			count, err := strconv.Atoi(strings.TrimSpace(block[strings.LastIndexByte(block[:i], '\n')+1 : i]))
			if err != nil {
				return 0, err
			}
			n += count
		}
	}
	s.profile = string(text)
	return n, nil
}

func (s *state) checkRoutines() error {
	n, err := s.countRoutines()
	if err == nil && n > s.routines {
		err = fmt.Errorf("%d goroutines of ours, %d at the start:\n%s", n, s.routines, s.profile)
	}
	return err
}

// cleanup ends everything that the script has left and fails it where
// something does not go away: goroutines, processes, ports; or where the
// gateway has panicked.
func (s *state) cleanup() {
	s.ts = nil
	s.stopTraffic()
	for _, c := range s.all {
		c.Close()
	}
	if s.google != nil {
		s.google.server.Close()
	}
	name := filepath.Base(s.env.WorkDir)
	for _, p := range s.gateways {
		if p.running() {
			if s.routines > 0 {
				err := eventually(3*time.Second, s.checkRoutines)
				if err != nil {
					s.t.Errorf("%s: goroutines are left: %v", name, err)
				}
			}
			p.signal("INT") // without headrace.shutdown_delay
			if err := p.wait(8 * time.Second); err != nil {
				s.t.Errorf("%s: the gateway does not stop on SIGINT: %v\n%s", name, err, p.err)
				p.cmd.Process.Kill()
				<-p.done
			} else if p.code() != 0 {
				s.t.Errorf("%s: the gateway exits with %d\n%s", name, p.code(), p.err)
			}
		}
		for _, bad := range []string{"BUG:", "panic:", "DATA RACE", "goroutine 1 ["} {
			if text := p.err.String(); strings.Contains(text, bad) {
				s.t.Errorf("%s: the gateway has said %q:\n%s", name, bad, text)
				break
			}
		}
	}
	for _, p := range s.mocks {
		if p.running() {
			p.signal("TERM")
			if err := p.wait(5 * time.Second); err != nil {
				s.t.Errorf("%s: the mock does not stop: %v", name, err)
				p.cmd.Process.Kill()
				<-p.done
			}
		}
	}
	if s.kafka != nil {
		s.kafka.Close()
	}
	if len(s.gateways) > 0 {
		for _, port := range []string{"TRAFFIC", "ADMIN", "METRICS", "CONTROL", "STATUS"} {
			if addr := s.env.Getenv(port); !bindable(addr) {
				s.t.Errorf("%s: port %s is still in use", name, addr)
			}
		}
	}
}
