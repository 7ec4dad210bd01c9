package t

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestSDK runs the official clients (sdk/*.mjs) against the gateway with the
// mock provider behind it. npm installs them into sdk/node_modules, which git
// ignores, the first time.
func TestSDK(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the official clients are not tested (Debian: apt install nodejs npm)")
	}
	version, err := exec.Command(node, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	major, _ := strconv.Atoi(text)
	if major < 18 {
		t.Skipf("node %s is too old for the official clients: 18 is the least", bytes.TrimSpace(version))
	}
	installSDKs(t)

	s := newPlainState(t)
	const bedrock = `{timeout: 3000, provider: bedrock, provider_conf: {region: us-east-1}, auth: {header: null, aws: {access_key_id: AKID, secret_access_key: s}}}`
	for _, r := range [][]string{
		{`{timeout: 3000}`, "/v1/*", "openai"},
		{`{timeout: 3000, provider: anthropic, auth: {header: {x-api-key: sk-ant}}}`, "/anthropic/*", "anthropic"},
		{`{timeout: 3000, provider: anthropic, auth: {header: {Authorization: Bearer sk-ant-token}}}`, "/bearer/*", "bearer"},
		{`{timeout: 3000}`, "/converted/*", "converted"},
		{`{timeout: 3000, provider: deepseek}`, "/responses-on-chat/*", "responses-on-chat"},
		{`{timeout: 3000, provider: anthropic, provider_conf: {api: native}}`, "/native/*", "native"},
		{bedrock, "/bedrock/*", "bedrock"},
		{bedrock, "/bedrock-chat/*", "bedrock-chat"},
	} {
		if _, err := s.cmdRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"openai", "openai_responses", "openai_bedrock", "anthropic", "bedrock"} {
		t.Run(name, func(t *testing.T) {
			if name == "bedrock" && major < 20 {
				t.Skipf("node %s is too old for the client of AWS: 20 is the least", bytes.TrimSpace(version))
			}
			ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
			defer cancel()
			// One test after the other: they look at the mock's counters.
			c := exec.CommandContext(ctx, node, "--test", "--test-concurrency=1", "--test-reporter=spec", name+".mjs")
			c.Dir = "sdk"
			c.Env = append(os.Environ(), "GATEWAY=http://"+s.getenv("TRAFFIC"), "MOCK_URL=http://"+s.getenv("MOCK"),
				"NO_PROXY=127.0.0.1", "NO_COLOR=1")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s\n%s", err, out, s.gateways[0].err)
			}
			t.Logf("%s", summary(out))
		})
	}
}

// summary is the end of node's report: how many tests passed.
func summary(out []byte) []byte {
	if i := bytes.Index(out, []byte("ℹ tests")); i >= 0 {
		out = out[i:]
		if j := bytes.Index(out, []byte("ℹ duration")); j >= 0 {
			out = out[:j]
		}
	}
	return out
}

// installSDKs installs what package-lock.json names, unless it is there.
func installSDKs(t *testing.T) {
	t.Helper()
	want, err := os.ReadFile("sdk/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	const stamp = "sdk/node_modules/.headrace-lock"
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
		return
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed: the official clients are not tested (Debian: apt install npm)")
	}
	c := exec.Command(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	c.Dir = "sdk"
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.WriteFile(stamp, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLockfile keeps the addresses of registries out of the lock file: npm
// takes whatever registry is configured.
func TestLockfile(t *testing.T) {
	text, err := os.ReadFile("sdk/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`"resolved"`, "http://", "https://"} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("package-lock.json contains %s: make it with npm install --omit-lockfile-registry-resolved", bad)
		}
	}
	if !bytes.Contains(text, []byte(`"integrity"`)) {
		t.Error("package-lock.json has no checksums")
	}
}

// newPlainState is a state outside of a script.
func newPlainState(t *testing.T) *state {
	t.Helper()
	env := &testscript.Env{WorkDir: t.TempDir(), Vars: os.Environ(), Values: map[any]any{}}
	setPorts(env)
	s := newState(t, env)
	t.Cleanup(s.cleanup)
	if err := os.MkdirAll(filepath.Join(env.WorkDir, "conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}
