package t

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestNotify starts a gateway as systemd does with Type=notify: it says when it
// serves, not before, and when it begins to stop.
func TestNotify(t *testing.T) {
	t.Parallel()
	s := newPlainState(t)
	path := filepath.Join(s.env.WorkDir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	next := func() string {
		socket.SetReadDeadline(time.Now().Add(10 * time.Second))
		text := make([]byte, 100)
		n, err := socket.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	s.env.Setenv("NOTIFY_SOCKET", path)
	s.env.Setenv("EXPORT", "NOTIFY_SOCKET")
	began := time.Now()
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "READY=1" {
		t.Errorf("said %q after %v", got, time.Since(began))
	}
	for _, name := range []string{"TRAFFIC", "ADMIN", "METRICS", "STATUS"} {
		c, err := net.Dial("tcp", s.getenv(name))
		if err != nil {
			t.Fatalf("ready, but: %v", err)
		}
		c.Close()
	}
	if _, err := s.cmdGateway([]string{"stop"}); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "STOPPING=1" {
		t.Errorf("said %q at the end", got)
	}
}
