package bench

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer is written by the command and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestMockCommand(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd, out := NewMockCommand(), &lockedBuffer{}
	cmd.SetOut(out)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--status=418", "--header", "A: 1", "--header", "B: 2", "--tls", "--tls-ca", ca, "--no-done"})
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	poll(t, "nothing is printed", func() bool { return strings.Contains(out.String(), "try: curl") })
	addr := regexp.MustCompile(`https://(127\.0\.0\.1:\d+)`).FindStringSubmatch(out.String())
	if addr == nil || !strings.Contains(out.String(), "--cacert "+ca) {
		t.Fatal(out.String())
	}
	if pem, err := os.ReadFile(ca); err != nil || !bytes.Contains(pem, []byte("CERTIFICATE")) {
		t.Error(err)
	}

	again := NewMockCommand()
	again.SetArgs([]string{"--listen", addr[1]})
	again.SetOut(io.Discard)
	if err := again.Execute(); err == nil || !strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a port in use: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMockCommandFlags(t *testing.T) {
	for _, args := range [][]string{{"--gap", "soon"}, {"--nothing"}, {"extra"}, {"--status", "99"}} {
		cmd := NewMockCommand()
		cmd.SetArgs(append(args, "--listen", "127.0.0.1:0"))
		cmd.SetOut(io.Discard)
		if err := cmd.Execute(); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	cmd, out := NewMockCommand(), &lockedBuffer{}
	cmd.SetOut(out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys {
		if !strings.Contains(out.String(), "--"+k.Name+" ") && !strings.Contains(out.String(), "--"+k.Name+"[") {
			t.Errorf("the help lacks --%s", k.Name)
		}
	}
	script := map[string]string{}
	for _, v := range []string{"A: 1", "B: 2"} {
		if err := (&keyFlag{keysByName["header"], script}).Set(v); err != nil {
			t.Fatal(err)
		}
	}
	r := ask1(t, startMock(t, Options{Script: script}), "/", "")
	if r.header.Get("A") != "1" || r.header.Get("B") != "2" {
		t.Error(r.header)
	}
}
