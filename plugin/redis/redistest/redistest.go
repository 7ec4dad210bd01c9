// Package redistest starts servers of Redis for tests, and skips the test
// where there is no redis-server.
package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Server is a redis-server of the test's own on a free port of 127.0.0.1.
type Server struct {
	t    testing.TB
	Port int
	args []string
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
}

// binary finds redis-server, also where an ordinary user's PATH does not look.
func binary(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if _, err = os.Stat("/usr/sbin/redis-server"); err != nil {
			t.Skip("redis-server is not installed (.ci/setup)")
		}
		path = "/usr/sbin/redis-server"
	}
	return path
}

// Start runs a server without persistence. args are settings beside that.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Port: freePort(t), args: args, dir: t.TempDir()}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// Restart starts a server that was stopped, empty and on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	s.run(append([]string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}, s.args...)...)
}

func (s *Server) run(args ...string) {
	s.t.Helper()
	log := filepath.Join(s.dir, "log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd = exec.Command(binary(s.t), args...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	s.done = done
	go func() { s.cmd.Wait(); close(done) }()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.ask("PING"); err == nil {
			return
		}
		select {
		case <-done:
			text, _ := os.ReadFile(log)
			s.t.Fatalf("redis-server has ended:\n%s", text)
		default:
		}
		if time.Now().After(end) {
			s.t.Fatal("redis-server does not answer")
		}
	}
}

// Stop kills the server. It may be called again.
func (s *Server) Stop() {
	if s.done == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.done
	s.done = nil
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Do runs a command as redis-cli would and returns the answer, an array with
// one element on each line.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	out, err := s.ask(args...)
	if err != nil {
		s.t.Fatalf("%q: %v", args, err)
	}
	return out
}

// Await runs a command until its answer contains text.
func (s *Server) Await(text string, args ...string) {
	s.t.Helper()
	var out string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if out, _ = s.ask(args...); strings.Contains(out, text) {
			return
		}
	}
	s.t.Fatalf("%q never answers %q, but %q", args, text, out)
}

func (s *Server) ask(args ...string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	if i := slices.Index(s.args, "--requirepass"); i >= 0 {
		if _, err := exchange(c, r, "AUTH", s.args[i+1]); err != nil {
			return "", err
		}
	}
	return exchange(c, r, args...)
}

func exchange(w io.Writer, r *bufio.Reader, args ...string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return "", err
	}
	var out []string
	err := readReply(r, &out)
	return strings.Join(out, "\n"), err
}

// readReply reads one answer of the protocol into the lines of out.
func readReply(r *bufio.Reader, out *[]string) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '*':
		for range n {
			if err := readReply(r, out); err != nil {
				return err
			}
		}
	case '$':
		if n < 0 {
			*out = append(*out, "")
			return nil
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		*out = append(*out, string(b[:n]))
	default: // + - :
		*out = append(*out, line[1:])
	}
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}
