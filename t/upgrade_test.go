package t

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// upgradeState is a gateway with a mock provider behind it, on an embedded store.
func upgradeState(t *testing.T) *state {
	s := newPlainState(t)
	if _, err := s.cmdMock([]string{"start"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	s.routines = 0
	s.putRoute(t, "1")
	return s
}

// putRoute writes a route; while the store is on its way to a successor the
// Admin API answers 503.
func (s *state) putRoute(t *testing.T, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"uri":"/r%s","plugins":{"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":"http://%s"}}}}`, id, s.getenv("MOCK"))
	err := eventually(10*time.Second, func() error {
		rq, err := http.NewRequest(http.MethodPut, "http://"+s.getenv("ADMIN")+"/apisix/admin/routes/"+id, strings.NewReader(body))
		if err != nil {
			return err
		}
		rq.Header.Set("X-API-KEY", adminKey)
		rq.Close = true
		resp, err := http.DefaultClient.Do(rq)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
			return fmt.Errorf("PUT: %d %s", resp.StatusCode, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pidOf finds the gateway that is in charge: the latest process with this
// configuration file.
func (s *state) pidOf(not int) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	latest, since := 0, int64(-1)
	for _, d := range dirs {
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err != nil || !strings.Contains(string(line), s.env.WorkDir) || !strings.Contains(string(line), "\x00serve\x00") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(d))
		stat, err := os.ReadFile(filepath.Join(d, "stat"))
		if err != nil || pid == not {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if start, _ := strconv.ParseInt(fields[19], 10, 64); fields[0] != "Z" && start >= since {
			latest, since = pid, start
		}
	}
	return latest
}

// TestUpgrade replaces a gateway over and over under streams and requests:
// none is refused, none is cut, and the store goes with it.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := upgradeState(t)
	url := "http://" + s.getenv("TRAFFIC") + "/r1"
	var requests, streams, failed atomic.Int64
	stop := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 60 * time.Second}
	post := func(body string, headers ...string) (string, error) {
		rq, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		rq.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			rq.Header.Set(headers[i], headers[i+1])
		}
		resp, err := client.Do(rq)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(bufio.NewReader(resp.Body))
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return string(text), err
	}
	var work sync.WaitGroup
	again := func(n *atomic.Int64, do func() error) {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n.Add(1)
				if err := do(); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		again(&requests, func() error {
			time.Sleep(2 * time.Millisecond)
			_, err := post(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
			return err
		})
		again(&streams, func() error {
			text, err := post(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, "x-mock-tokens", "50", "x-mock-gap", "20ms")
			if err == nil && !strings.HasSuffix(text, "data: [DONE]\n\n") {
				err = fmt.Errorf("a stream was cut: %.200s", text[max(0, len(text)-200):])
			}
			return err
		})
	}
	pid := s.gateways[0].cmd.Process.Pid
	const upgrades = 20
	for i := range upgrades {
		if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		next := 0
		err := eventually(20*time.Second, func() error {
			if next = s.pidOf(0); next == pid || next == 0 {
				return fmt.Errorf("upgrade %d: no successor", i)
			}
			if n := strings.Count(s.gateways[0].out.String(), ": routes from "); n < i+2 {
				return fmt.Errorf("upgrade %d: the successor does not serve", i)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, s.gateways[0].err)
		}
		pid = next
		s.putRoute(t, fmt.Sprint(i+2)) // the store has come along
	}
	close(stop)
	work.Wait()
	t.Logf("%d upgrades, %d requests, %d streams, %d failed", upgrades, requests.Load(), streams.Load(), failed.Load())
	syscall.Kill(pid, syscall.SIGINT)
	if err := eventually(15*time.Second, func() error {
		if p := s.pidOf(0); p != 0 {
			return fmt.Errorf("process %d is left", p)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if s.gateways[0].code() != 0 {
		t.Errorf("the first gateway has ended with %d", s.gateways[0].code())
	}
}

// A successor that cannot serve changes nothing.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	s := upgradeState(t)
	config := filepath.Join(s.env.WorkDir, "conf", "config.yaml")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	p := s.gateways[0]
	for i, bad := range []string{
		"apisix: [",
		// Found after the store was given away: a port that is taken.
		strings.Replace(string(good), "apisix:", "nginx_config: {http: {access_log: /nowhere/access.log}}\napisix:", 1),
		string(good) + "\nheadrace: {mock: {listen: " + s.getenv("MOCK") + "}}\n",
	} {
		if err := os.WriteFile(config, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		p.signal("USR2")
		if err := eventually(15*time.Second, func() error {
			if strings.Count(p.err.String(), "upgrade: nothing has changed") != i+1 {
				return fmt.Errorf("not refused:\n%s", p.err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.putRoute(t, fmt.Sprint(i+2))
	}
	if err := os.WriteFile(config, good, 0o644); err != nil {
		t.Fatal(err)
	}
}
