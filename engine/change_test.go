package engine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/conf"
)

// Changes of a route, of its service and of its neighbours cost no request, and
// each is in force for the next.
func TestChangesUnderLoad(t *testing.T) {
	r := newRig(t, Options{})
	put := func(n int) {
		r.src.put(conf.Services, "s", fmt.Sprintf(`{"plugins":{%s}}`, strings.Replace(r.proxy(), `"auth":{}`, fmt.Sprintf(`"auth":{},"options":{"model":"m%d"}`, n), 1)))
		r.src.put(conf.Routes, "1", fmt.Sprintf(`{"uri":"/c","service_id":"s","desc":"%d"}`, n))
		r.src.put(conf.Routes, fmt.Sprint("other", n%7), fmt.Sprintf(`{"uri":"/c/%d","service_id":"s"}`, n))
	}
	put(0)
	var asked, failed atomic.Int64
	stop := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 10 * time.Second}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			tick := time.NewTicker(16 * time.Millisecond) // 500 a second together
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				asked.Add(1)
				resp, err := client.Post(r.url+"/c", "application/json", strings.NewReader(chatBody))
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || err != nil {
					failed.Add(1)
					t.Errorf("%d %s %v", resp.StatusCode, body, err)
					return
				}
			}
		})
	}
	for n := 1; n <= 200; n++ {
		put(n)
		if n%20 == 0 {
			if res, _ := r.do("POST", "/c", chatBody); res.StatusCode != 200 {
				t.Errorf("change %d: status %d", n, res.StatusCode)
			}
			if got := r.seen().JSON.Model; got == "" {
				t.Errorf("change %d: nothing arrived", n)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	work.Wait()
	client.CloseIdleConnections()
	if asked.Load() < 50 || failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	// The last change is in force.
	r.do("POST", "/c", chatBody)
	if got := r.seen().JSON.Model; got != "m200" {
		t.Errorf("model %q after the last change", got)
	}
}
