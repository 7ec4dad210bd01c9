package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"headrace/driver/vertex"
)

// newTokens makes the cache of Google access tokens. Token servers are reached
// under the same certificates as providers.
func (e *Engine) newTokens() *vertex.Cache {
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: e.opts.Wire.RootCAs},
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConns:        8,
			IdleConnTimeout:     30 * time.Second,
		},
	}
	return vertex.NewCache(client, func(instance string, reason error) {
		e.log.Error("cannot get an access token", "instance", instance, "err", reason)
	})
}

// writeTokens prints the state of the access tokens. Accounts and policies that
// share an instance's name are one series: sums, and the time of the token that
// ends first.
func (e *Engine) writeTokens(w io.Writer) {
	sums := map[string]*vertex.Stats{}
	e.tokens.Each(func(s vertex.Stats) {
		t := sums[s.Instance]
		if t == nil {
			sums[s.Instance] = &s
			return
		}
		t.Mints += s.Mints
		t.Failures += s.Failures
		t.Left = min(t.Left, s.Left)
	})
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s, l := sums[name], "instance="+strconv.Quote(name)
		fmt.Fprintf(w, "headrace_gcp_token_mints_total{%s} %d\n", l, s.Mints)
		fmt.Fprintf(w, "headrace_gcp_token_failures_total{%s} %d\n", l, s.Failures)
		fmt.Fprintf(w, "headrace_gcp_token_seconds_left{%s} %d\n", l, int64(s.Left.Seconds()))
	}
}
