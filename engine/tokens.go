package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
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

// writeTokens prints the state of the access tokens.
func (e *Engine) writeTokens(w io.Writer) {
	e.tokens.Each(func(s vertex.Stats) {
		l := "instance=" + strconv.Quote(s.Instance)
		fmt.Fprintf(w, "headrace_gcp_token_mints_total{%s} %d\n", l, s.Mints)
		fmt.Fprintf(w, "headrace_gcp_token_failures_total{%s} %d\n", l, s.Failures)
		fmt.Fprintf(w, "headrace_gcp_token_seconds_left{%s} %d\n", l, int64(s.Left.Seconds()))
	})
}
