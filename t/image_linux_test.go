package t

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is what the Dockerfile makes, as a folder: its RUN lines are run here
// with the paths of its build stage put into the folder.
type image struct {
	root    string // the root file system
	user    string
	command []string // ENTRYPOINT and CMD
	health  []string
}

func buildImage(t *testing.T) *image {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "headrace-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	im := &image{root: filepath.Join(dir, "rootfs")}
	// Other users have to get in.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(im.root, 0o755)); err != nil {
		t.Fatal(err)
	}
	var entry, cmd []string
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "", "#", "WORKDIR", "ARG", "VOLUME", "EXPOSE":
		case "FROM":
			if rest != "scratch" && rest != "golang:1.26 AS build" {
				t.Errorf("FROM %s: what is that?", rest)
			}
		case "RUN":
			if rest != "go mod download" {
				im.run(t, rest)
			}
		case "COPY":
			im.copy(t, strings.Fields(rest))
		case "USER":
			im.user = rest
		case "HEALTHCHECK":
			_, list, _ := strings.Cut(rest, " CMD ")
			im.health = words(t, list)
		case "ENTRYPOINT":
			entry = words(t, rest)
		case "CMD":
			cmd = words(t, rest)
		default:
			t.Errorf("%s: the test does not know this instruction", name)
		}
	}
	im.command = append(entry, cmd...)
	return im
}

func words(t *testing.T, text string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Errorf("not the form without a shell, of which the image has none: %s", text)
	}
	return list
}

func (im *image) run(t *testing.T, script string) {
	t.Helper()
	c := exec.Command("sh", "-ec", "umask 022\n"+strings.ReplaceAll(script, "/rootfs", im.root))
	c.Dir = ".."
	c.Env = append(os.Environ(), "VERSION=1.2.3-test")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("RUN %s: %v\n%s", script, err, out)
	}
}

// copy looks for every file that is copied, and does what the last stage does.
func (im *image) copy(t *testing.T, args []string) {
	t.Helper()
	if args[0] == "--from=build" {
		if args[1] != "/rootfs/" || args[2] != "/" {
			t.Errorf("COPY %q: the test knows /rootfs/ only", args)
		}
		return
	}
	for _, src := range args[:len(args)-1] {
		if _, err := os.Stat(filepath.Join("..", src)); err != nil {
			t.Errorf("COPY: %v", err)
		}
	}
	if dst := args[len(args)-1]; strings.HasPrefix(dst, "/") {
		im.run(t, fmt.Sprintf("mkdir -p /rootfs%s && cp %s /rootfs%s", filepath.Dir(dst), args[0], dst))
	}
}

// in makes a command that runs inside the image, as a user that nothing knows.
func (im *image) in(args []string, env ...string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = "/"
	c.Env = env
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: im.root, Credential: &syscall.Credential{Uid: 54321, Gid: 0, NoSetGroups: true}}
	return c
}

// TestImage runs what the Dockerfile makes: static, as any user, without a
// place to write to but /data, with its log on standard output.
func TestImage(t *testing.T) {
	t.Parallel()
	im := buildImage(t)
	f, err := elf.Open(filepath.Join(im.root, "headrace"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	f.Close()
	if uid, _, _ := strings.Cut(im.user, ":"); strings.Trim(uid, "123456789") == uid {
		t.Errorf("USER %q is no number: Kubernetes cannot tell that it is not root", im.user)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can change the root folder")
	}

	s := newPlainState(t)
	config := filepath.Join(im.root, "etc/headrace/config.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	ports := strings.NewReplacer("9080", s.getenv("TRAFFIC_PORT"), "9180", s.getenv("ADMIN_PORT"), "9091", s.getenv("METRICS_PORT"),
		"9090", s.getenv("CONTROL_PORT"), "7085", s.getenv("STATUS_PORT"))
	if err := os.WriteFile(config, []byte(ports.Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := im.in([]string{"/headrace", "check", "-c", "/etc/headrace/config.yaml", "--require-env"}).CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning:") {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err := im.in([]string{"/headrace", "version"}).CombinedOutput(); err != nil || !strings.Contains(string(out), " 1.2.3-test ") {
		t.Errorf("version: %v\n%s", err, out)
	}
	if out, err := im.in(im.health).CombinedOutput(); err == nil {
		t.Errorf("healthy before it runs:\n%s", out)
	}
	p, err := s.launch("gateway", im.in(im.command, "HEADRACE_ADMIN_KEY="+adminKey))
	if err != nil {
		t.Fatal(err)
	}
	s.gateways = append(s.gateways, p)
	err = eventually(10*time.Second, func() error {
		out, err := im.in(im.health).CombinedOutput()
		if err != nil {
			return fmt.Errorf("not healthy: %w\n%s%s%s", err, out, p.out, p.err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	route := `{"uri":"/chat","plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer sk-1"}},"override":{"endpoint":"http://` + s.getenv("MOCK") + `"}}}}`
	for _, args := range [][]string{
		{"201", "PUT", s.getenv("ADMIN") + "/apisix/admin/routes/chat", "-H", "X-API-KEY: " + adminKey, "-d", route},
		{"200", "POST", s.getenv("TRAFFIC") + "/chat", "-d", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`},
	} {
		if out, err := s.cmdHTTP(args); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, p.err)
		}
	}
	// There is no folder for temporary files.
	if out, err := im.in([]string{"/headrace", "export", "--secrets", "--data-dir", "/data/headrace"}).Output(); err != nil || !strings.Contains(string(out), "- id: chat") {
		t.Errorf("export: %v\n%s", err, out)
	}
	if _, err := s.cmdGateway([]string{"stop", "-within", "20s", "INT"}); err != nil {
		t.Error(err)
	}
	if line := `"POST /chat HTTP/1.1" 200 `; !strings.Contains(p.out.String(), line) {
		t.Errorf("no access log on standard output:\n%s", p.out)
	}
	im.checkWritten(t)
}

// checkWritten looks for files of the gateway's user.
func (im *image) checkWritten(t *testing.T) {
	t.Helper()
	written := 0
	err := filepath.WalkDir(im.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		path = strings.TrimPrefix(path, im.root)
		if info.Sys().(*syscall.Stat_t).Uid != 54321 {
			return nil
		}
		written++
		if !strings.HasPrefix(path, "/data/headrace") {
			t.Errorf("the gateway has written %s", path)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, mode)
		}
		return nil
	})
	if err != nil || written == 0 {
		t.Errorf("%d files in /data: %v", written, err)
	}
}
