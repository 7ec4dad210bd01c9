//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
)

// lab is everything that a run needs beside the gateways.
type lab struct {
	dir      string
	headrace string // program
	procs    int    // GOMAXPROCS of Headrace
	files    int    // descriptors that a gateway must be able to hold
	cores    cores
	mockAddr string
	mock     *process
	plain    *provider
}

func (l *lab) startMock(ctx context.Context, addr string) error {
	if addr == "" {
		port, err := freePort()
		if err != nil {
			return err
		}
		addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	var err error
	l.mock, err = startProcess(l.dir, "mock", l.cores.load, []string{"GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT=400MiB"},
		l.headrace, "mock", "--listen", addr, "--keep", "1")
	if err != nil {
		return err
	}
	l.mockAddr = addr
	if l.plain, err = startProvider(); err != nil {
		return err
	}
	g := gateway{name: "the mock provider", addr: addr, proc: l.mock}
	if err := g.probe(ctx); err != nil {
		return fmt.Errorf("the mock provider does not work: %w; it said: %s", err, l.mock.said())
	}
	return nil
}

// mockStats are the numbers of the mock's requests.
type mockStats struct {
	Requests struct {
		Open int64 `json:"open"`
	} `json:"requests"`
}

// openUpstreams is how many requests are under way at the mock.
func (l *lab) openUpstreams() (int64, error) {
	b, err := get("http://" + l.mockAddr + "/mock/stats")
	if err != nil {
		return 0, err
	}
	var s mockStats
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, fmt.Errorf("cannot read the mock's statistics: %w", err)
	}
	return s.Requests.Open, nil
}

// proves looks whether Headrace did to the latest request what makes the
// comparison honest: model merged, key replaced, usage and request counted.
func (l *lab) proves(g *gateway) error {
	d := &drive{addr: g.addr, path: chatPath}
	if err := d.ask(prompt{bytes: 1 << 10}); err != nil {
		return err
	}
	last, err := get("http://" + l.mockAddr + "/mock/last?n=1")
	if err != nil {
		return err
	}
	for _, want := range []string{servedModel, "Bearer sk-of-the-provider"} {
		if !bytes.Contains(last, []byte(want)) {
			return fmt.Errorf("the provider does not get %q", want)
		}
	}
	text, err := get(g.metrics)
	if err != nil {
		return err
	}
	for _, want := range []string{"apisix_llm_completion_tokens", "apisix_http_status", "go_memstats_mallocs_total"} {
		if !bytes.Contains(text, []byte(want)) {
			return fmt.Errorf("its metrics lack %s", want)
		}
	}
	return nil
}
