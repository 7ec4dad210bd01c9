package etcd

import (
	"fmt"
	"io"

	"headrace/conf"
)

// indexed are the kinds whose latest revision APISIX shows.
var indexed = []conf.Kind{conf.Consumers, conf.GlobalRules, conf.Protos, conf.Routes, conf.Services, conf.SSLs, conf.StreamRoutes, conf.Upstreams}

// WriteMetrics prints the series of the store in Prometheus' text format;
// prefix stands before the names that APISIX has too.
func (s *Store) WriteMetrics(w io.Writer, prefix string) {
	latest := map[conf.Kind]int64{}
	last := int64(0)
	s.mu.Lock()
	st, rev := s.status, s.state.rev
	for k, e := range s.state.kvs {
		if kind, _, ok := s.parse(k); ok {
			latest[kind] = max(latest[kind], e.mod)
			last = max(last, e.mod)
		}
	}
	s.mu.Unlock()
	one := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	fmt.Fprintf(w, "%setcd_reachable %d\n", prefix, one(st.Reachable))
	for _, k := range indexed {
		fmt.Fprintf(w, "%setcd_modify_indexes{key=%q} %d\n", prefix, k.String(), latest[k])
	}
	fmt.Fprintf(w, "%setcd_modify_indexes{key=\"max_modify_index\"} %d\n", prefix, last)
	fmt.Fprintf(w, "%setcd_modify_indexes{key=\"x_etcd_index\"} %d\n", prefix, rev)
	fmt.Fprintf(w, "headrace_config_from_snapshot %d\n", one(st.FromFile))
	fmt.Fprintf(w, "headrace_config_held %d\n", one(st.Held != ""))
	fmt.Fprintf(w, "headrace_etcd_resyncs_total %d\n", s.resyncs.Load())
}
