package t

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestUnit looks whether the systemd unit, its configuration and the program
// agree, and has systemd look at it where that is installed.
func TestUnit(t *testing.T) {
	t.Parallel()
	const path = "../examples/systemd/headrace.service"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			unit[key] = value
		}
	}
	var config struct {
		Headrace struct {
			DataDir string        `yaml:"data_dir"`
			Delay   time.Duration `yaml:"shutdown_delay"`
			Timeout time.Duration `yaml:"shutdown_timeout"`
		}
	}
	raw, err := os.ReadFile("../examples/systemd/config.yaml")
	if err == nil {
		err = yaml.Unmarshal(raw, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	stop, err := strconv.Atoi(unit["TimeoutStopSec"])
	if h := config.Headrace; err != nil || time.Duration(stop)*time.Second <= h.Delay+h.Timeout {
		t.Errorf("TimeoutStopSec=%s cuts streams that may go on for %v", unit["TimeoutStopSec"], h.Delay+h.Timeout)
	}
	if dir := "/var/lib/" + unit["StateDirectory"]; dir != config.Headrace.DataDir || dir != unit["WorkingDirectory"] {
		t.Errorf("the data directory is %q, the unit's %q and %q", config.Headrace.DataDir, dir, unit["WorkingDirectory"])
	}
	if unit["Type"] != "notify" { // TestNotify
		t.Errorf("Type=%s", unit["Type"])
	}
	if unit["MemoryDenyWriteExecute"] != "" {
		t.Error("with MemoryDenyWriteExecute the program cannot start")
	}
	command := strings.Fields(unit["ExecStart"])
	if !slices.Equal(command[1:], []string{"serve", "-c", "/etc/headrace/config.yaml"}) {
		t.Errorf("ExecStart=%s", unit["ExecStart"])
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	// The program has to be where the unit says.
	own := filepath.Join(t.TempDir(), "headrace.service")
	if err := os.WriteFile(own, []byte(strings.ReplaceAll(string(text), command[0], binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	// It looks at other units of the machine as well.
	if out, err := exec.Command("systemd-analyze", "verify", own).CombinedOutput(); strings.Contains(string(out), "headrace") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
