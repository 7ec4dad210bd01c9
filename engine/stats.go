package engine

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"headrace/driver/wire"
	"headrace/plugin"
)

// registerStats makes the series of the process itself.
func (e *Engine) registerStats() {
	g := e.metrics
	p := g.opts.Prefix
	e.stats = stats{
		requests: g.set.NewCounter(p + "http_requests_total"),
		badItems: g.set.NewCounter("headrace_config_bad_items_total"),
		accepted: g.set.NewCounter("headrace_connections_accepted_total"),

		handshakes:     g.set.NewCounter("headrace_tls_handshake_failures_total"),
		turnedAway:     g.set.NewCounter("headrace_connections_refused_total"),
		acceptFailures: g.set.NewCounter("headrace_accept_failures_total"),
	}
	g.set.NewGauge(fmt.Sprintf("%snode_info{hostname=%s,version=%s}", p, strconv.Quote(hostname), strconv.Quote(e.opts.Version)), func() float64 { return 1 })
	for state, f := range map[string]func() float64{
		"active":   func() float64 { return float64(e.conns.len()) },
		"accepted": func() float64 { return float64(e.stats.accepted.Get()) },
		"handled":  func() float64 { return float64(e.stats.accepted.Get()) },
		"waiting":  func() float64 { return float64(e.conns.idle()) },
		"writing":  func() float64 { return float64(e.conns.len() - e.conns.idle()) },
		"reading":  func() float64 { return 0 },
	} {
		g.set.NewGauge(p+"nginx_http_current_connections{state="+strconv.Quote(state)+"}", f)
	}
	g.set.NewGauge("headrace_streams_open", func() float64 { return float64(e.streams.Load()) })
	g.set.NewGauge("headrace_config_revision", func() float64 { return float64(e.snap.Load().Rev) })
	g.set.NewGauge("headrace_config_hash", func() float64 { return float64(e.snap.Load().digest) })
	g.set.NewGauge("headrace_config_last_change_timestamp_seconds", func() float64 { return float64(e.published.Load()) })
	g.set.NewGauge("headrace_config_routes", func() float64 { return float64(e.snap.Load().Routes()) })
	g.set.NewGauge("headrace_log_lines_dropped_total", func() float64 {
		if e.opts.AccessLog == nil {
			return 0
		}
		return float64(e.opts.AccessLog.Dropped())
	})
}

// WriteMetrics prints every series in Prometheus' text format.
func (e *Engine) WriteMetrics(w io.Writer) {
	e.metrics.write(w)
	e.writeUpstreams(w)
	e.writeTokens(w)
	for _, h := range e.Healthchecks() {
		for _, n := range h.Nodes {
			up := 0
			if n.State.Usable() {
				up = 1
			}
			fmt.Fprintf(w, "%supstream_status{name=%s,ip=%s,port=\"%d\"} %d\n", e.metrics.opts.Prefix, strconv.Quote(h.Name), strconv.Quote(n.Node.IP), n.Node.Port, up)
		}
	}
	e.writePlugins(w)
	metrics.WriteProcessMetrics(w)
}

// writePlugins prints the series of long-lived values of plugins.
func (e *Engine) writePlugins(w io.Writer) {
	var b bytes.Buffer // a slow reader must not hold the state
	e.state.each(func(v any) {
		if m, ok := v.(plugin.Measured); ok {
			m.WriteMetrics(&b, e.metrics.opts.Prefix)
		}
	})
	lines := slices.Collect(strings.Lines(b.String()))
	slices.Sort(lines)
	for _, l := range lines {
		io.WriteString(w, l)
	}
}

// writeUpstreams prints the connections to each host and port. Pools that only
// differ in TLS settings or pinned address are one upstream here.
func (e *Engine) writeUpstreams(w io.Writer) {
	sums := map[string]*wire.PoolStats{}
	for s := range e.wire.Stats {
		name := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
		t := sums[name]
		if t == nil {
			sums[name] = &s
			continue
		}
		t.Dials += s.Dials
		t.DialFailures += s.DialFailures
		t.Reused += s.Reused
		t.Stale += s.Stale
		t.Idle += s.Idle
		t.InUse += s.InUse
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s, l := sums[name], "upstream="+strconv.Quote(name)
		fmt.Fprintf(w, "headrace_upstream_dials_total{%s} %d\n", l, s.Dials)
		fmt.Fprintf(w, "headrace_upstream_dial_failures_total{%s} %d\n", l, s.DialFailures)
		fmt.Fprintf(w, "headrace_upstream_reused_total{%s} %d\n", l, s.Reused)
		fmt.Fprintf(w, "headrace_upstream_stale_retries_total{%s} %d\n", l, s.Stale)
		fmt.Fprintf(w, "headrace_upstream_connections{%s,state=\"idle\"} %d\n", l, s.Idle)
		fmt.Fprintf(w, "headrace_upstream_connections{%s,state=\"in_use\"} %d\n", l, s.InUse)
	}
}
