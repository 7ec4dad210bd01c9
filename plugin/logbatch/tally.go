package logbatch

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"headrace/plugin"
)

// tally counts what becomes of the entries of one owner. It outlives the
// batchers of changed configurations.
type tally struct {
	plugin, owner, route string
	name                 atomic.Pointer[string]

	pending                    atomic.Int64
	delivered, failed, dropped atomic.Uint64
}

// WriteMetrics implements plugin.Measured.
func (t *tally) WriteMetrics(w io.Writer, prefix string) {
	for _, c := range []struct {
		outcome string
		n       *atomic.Uint64
	}{{"delivered", &t.delivered}, {"failed", &t.failed}, {"dropped", &t.dropped}} {
		fmt.Fprintf(w, "headrace_log_entries_total{plugin=%s,owner=%s,outcome=%s} %d\n",
			strconv.Quote(t.plugin), strconv.Quote(t.owner), strconv.Quote(c.outcome), c.n.Load())
	}
	fmt.Fprintf(w, "%sbatch_process_entries{name=%s,route_id=%s,plugin=%s} %d\n",
		prefix, strconv.Quote(*t.name.Load()), strconv.Quote(t.route), strconv.Quote(t.plugin), t.pending.Load())
}

var _ plugin.Measured = (*tally)(nil)

// roomBytes is what all entries together may take while they wait: a log
// server that is down must not take the gateway's memory, however many routes
// log to it and however large the bodies in their entries are.
const roomBytes = 256 << 20

// room is what is left of it.
type room struct{ free atomic.Int64 }

func newRoom(n int64) *room {
	r := new(room)
	r.free.Store(n)
	return r
}

func (r *room) take(n int64) bool {
	if r.free.Add(-n) < 0 {
		r.free.Add(n)
		return false
	}
	return true
}

func (r *room) give(n int64) { r.free.Add(n) }

// hushFor is how often the same thing is said at most.
const hushFor = 10 * time.Second

// hush keeps a log server that is down from filling the error log.
type hush struct {
	mu    sync.Mutex
	until time.Time
	sum   int64 // not said yet
}

// say adds n and tells whether it may be said now, and how much that is with
// all that was not.
func (h *hush) say(n int64) (sum int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum += n
	now := time.Now()
	if now.Before(h.until) {
		return 0, false
	}
	sum, h.sum = h.sum, 0
	h.until = now.Add(hushFor)
	return sum, true
}
