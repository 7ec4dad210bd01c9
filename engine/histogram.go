package engine

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"sync/atomic"
)

// histogram counts values into buckets with fixed upper bounds, the classic
// form that APISIX's dashboards need. An update is two atomic adds and takes no
// lock, unlike the metrics library's.
type histogram struct {
	name   string // without labels
	labels string // `a="b",c="d"`
	bounds []float64
	counts []atomic.Uint64 // one more than bounds: above the last
	sum    atomic.Uint64   // bits of a float64
}

func newHistogram(name, labels string, bounds []float64) *histogram {
	return &histogram{name: name, labels: labels, bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	lo, hi := 0, len(h.bounds)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); v <= h.bounds[mid] {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	h.counts[lo].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// write prints the histogram in Prometheus' text format.
func (h *histogram) write(w io.Writer) {
	sep := ""
	if h.labels != "" {
		sep = ","
	}
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i], 'f', -1, 64)
		}
		fmt.Fprintf(w, "%s_bucket{%s%sle=%q} %d\n", h.name, h.labels, sep, le, total)
	}
	sum := strconv.FormatFloat(math.Float64frombits(h.sum.Load()), 'f', -1, 64)
	fmt.Fprintf(w, "%s_sum{%s} %s\n%s_count{%s} %d\n", h.name, h.labels, sum, h.name, h.labels, total)
}
