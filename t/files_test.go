package t

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDescriptors runs a process out of descriptors: whatever it runs out of, it serves again when there
// is room.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, extra, metric, said string }{
		{"turned away", "{}", "headrace_connections_refused_total", "the file limit is low"},
		{"exhausted", "headrace: {max_connections: 1000}", "headrace_accept_failures_total", "cannot accept clients for now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newPlainState(t)
			s.env.Setenv("FILES", "256")
			if err := os.WriteFile(filepath.Join(s.env.WorkDir, "conf", "extra.yaml"), []byte(tt.extra), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, step := range []func() (string, error){
				func() (string, error) { return s.cmdRoute([]string{"{}"}) },
				func() (string, error) { return s.cmdMock([]string{"start"}) },
				func() (string, error) { return s.startGateway(nil) },
			} {
				if _, err := step(); err != nil {
					t.Fatal(err)
				}
			}
			s.routines = 0 // the connection to the provider that is kept has one
			addr := s.getenv("TRAFFIC")
			var all []net.Conn
			defer func() {
				for _, c := range all {
					c.Close()
				}
			}()
			refused := 0
			for range 400 {
				c, err := net.DialTimeout("tcp", addr, time.Second)
				if err != nil {
					break // the backlog is full
				}
				all = append(all, c)
			}
			time.Sleep(200 * time.Millisecond)
			for _, c := range all {
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode == 503 {
					refused++
				}
			}
			if want := tt.name == "turned away"; (refused > 0) != want {
				t.Errorf("%d of %d got 503", refused, len(all))
			}
			for _, c := range all {
				c.Close()
			}
			all = nil
			err := eventually(5*time.Second, func() error {
				resp, err := http.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
					return fmt.Errorf("%d %s %v", resp.StatusCode, body, err)
				}
				return nil
			})
			if err != nil {
				t.Errorf("it does not recover: %v", err)
			}
			if !strings.Contains(s.gateways[0].err.String(), tt.said) {
				t.Errorf("the log does not say %q:\n%s", tt.said, s.gateways[0].err)
			}
			resp, err := http.Get("http://" + s.getenv("METRICS") + "/apisix/prometheus/metrics")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			for line := range strings.Lines(string(text)) {
				if v, ok := strings.CutPrefix(line, tt.metric+" "); ok && strings.TrimSpace(v) != "0" {
					return
				}
			}
			t.Errorf("%s counts nothing", tt.metric)
		})
	}
}
