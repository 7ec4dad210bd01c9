package lb

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultConcurrency is checks.active.concurrency where none is set.
const DefaultConcurrency = 10

// spread is the longest that the first probe of a node waits: the nodes of all
// checkers that a configuration starts are not probed at one moment.
const spread = time.Second

// errStopped is the cause of probes that are cancelled.
var errStopped = errors.New("the check was stopped")

// CheckerOptions is a Checker's configuration. It must not be changed once in
// use.
type CheckerOptions struct {
	// Check probes a node; nil: (*Probe).Do of Probe. It must return when
	// its context ends.
	Check func(context.Context, Node) (Result, error)
	Probe *Probe

	Thresholds Thresholds
	// HealthyInterval is the time from the start of a probe to the next one
	// while the node is usable, UnhealthyInterval while it is not. 0: nodes in
	// such a state are not probed, so that without UnhealthyInterval one that
	// fell out stays out (ai-proxy.md 6.7).
	HealthyInterval   time.Duration
	UnhealthyInterval time.Duration
	// Concurrency bounds the probes in flight; 0: DefaultConcurrency.
	Concurrency int

	// OnChange, if not nil, is told of each change of state, in order and from
	// one goroutine; probing goes on when it returns. cause is what the
	// deciding probe found, nil after a success. Nodes and Usable already
	// know. It may be told of a node that an Update is just removing. It must
	// not call Close.
	OnChange func(n Node, old, new State, cause error)
}

// Checker probes a set of nodes for as long as it is open. It has one goroutine,
// and one for each probe in flight. All methods are safe for concurrent use.
type Checker struct {
	opts    CheckerOptions
	jitter  func(time.Duration) time.Duration
	ctx     context.Context
	stop    context.CancelCauseFunc
	wake    chan struct{}
	results chan result
	ended   chan struct{}
	probes  sync.WaitGroup
	view    atomic.Pointer[view]

	mu     sync.Mutex
	byNode map[Node]*entry
	order  []*entry // as given to Update
	queue  queue    // entries that wait for their next probe
	flying int      // probes in flight, those of removed nodes included
}

// entry is a node's state; Checker.mu guards it.
type entry struct {
	node    Node
	health  Health
	checked time.Time
	cause   error
	due     time.Time
	place   int                     // in the queue, -1: not there
	cancel  context.CancelCauseFunc // of the probe in flight
	removed bool
}

type result struct {
	e       *entry
	started time.Time
	result  Result
	cause   error
}

// view is what requests see; immutable.
type view struct{ nodes, usable []Node }

// NewChecker starts a checker without nodes; Update gives it some. The caller
// must Close it.
func NewChecker(o CheckerOptions) *Checker {
	if o.Check == nil {
		if o.Probe == nil {
			o.Probe = new(Probe)
		}
		o.Check = o.Probe.Do
	}
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	c := &Checker{
		opts:    o,
		jitter:  rand.N[time.Duration],
		wake:    make(chan struct{}, 1),
		results: make(chan result, o.Concurrency), // never blocks a probe
		ended:   make(chan struct{}),
		byNode:  make(map[Node]*entry),
	}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	c.view.Store(new(view))
	go c.run()
	return c
}

// Update sets the nodes to be probed; duplicates count once. Those that stay
// keep their state and their next probe, new ones begin healthy, probes of those
// that leave are cancelled. After Close it does nothing.
func (c *Checker) Update(nodes []Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	old := c.byNode
	c.byNode = make(map[Node]*entry, len(nodes))
	c.order = make([]*entry, 0, len(nodes))
	for _, n := range nodes {
		if c.byNode[n] != nil {
			continue
		}
		e := old[n]
		if e == nil {
			e = &entry{node: n, place: -1}
			if d := c.interval(e); d > 0 {
				c.enqueue(e, time.Now().Add(c.jitter(min(d, spread))))
			}
		}
		c.byNode[n] = e
		c.order = append(c.order, e)
	}
	for n, e := range old {
		if c.byNode[n] == e {
			continue
		}
		e.removed = true
		if e.place >= 0 {
			heap.Remove(&c.queue, e.place)
		}
		if e.cancel != nil {
			e.cancel(errStopped)
		}
	}
	c.publish()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close cancels the probes in flight and returns when all goroutines have ended
// and OnChange will not be called again. What was known stays readable.
func (c *Checker) Close() {
	c.stop(errStopped)
	<-c.ended
	c.probes.Wait()
}

// Nodes returns all nodes in the order of Update. It takes no lock; the slice
// must not be changed.
func (c *Checker) Nodes() []Node { return c.view.Load().nodes }

// Usable returns those of Nodes that requests may go to. It takes no lock; the
// slice must not be changed.
func (c *Checker) Usable() []Node { return c.view.Load().usable }

// NodeStatus is what a checker knows of a node.
type NodeStatus struct {
	Node     Node
	State    State
	Counters Counters
	Checked  time.Time // end of the latest probe; zero: none yet
	Cause    error     // why the latest probe was no success; nil: it was one
}

// Snapshot returns the state of all nodes in the order of Update.
func (c *Checker) Snapshot() []NodeStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := make([]NodeStatus, len(c.order))
	for i, e := range c.order {
		s[i] = NodeStatus{e.node, e.health.State, e.health.Counters, e.checked, e.cause}
	}
	return s
}

// State returns the state of a node; one that is not known is Healthy
// (ai-proxy.md 6.7).
func (c *Checker) State(n Node) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byNode[n]; e != nil {
		return e.health.State
	}
	return Healthy
}

// run starts probes that are due and takes their results.
func (c *Checker) run() {
	defer close(c.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var alarm <-chan time.Time
		if d, ok := c.start(); ok {
			timer.Reset(d)
			alarm = timer.C
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-alarm:
		case r := <-c.results:
			c.finish(r)
		}
	}
}

// start probes what is due, as far as concurrency allows. It returns how long
// to wait for the next node, or false when a result or an Update has to come first.
func (c *Checker) start() (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.flying < c.opts.Concurrency && len(c.queue) > 0 && c.ctx.Err() == nil {
		e, now := c.queue[0], time.Now()
		if d := e.due.Sub(now); d > 0 {
			return d, true
		}
		heap.Pop(&c.queue)
		var ctx context.Context
		ctx, e.cancel = context.WithCancelCause(c.ctx)
		c.flying++
		n := e.node
		c.probes.Go(func() {
			r, cause := c.opts.Check(ctx, n)
			c.results <- result{e, now, r, cause}
		})
	}
	return 0, false
}

func (c *Checker) finish(r result) {
	e := r.e
	c.mu.Lock()
	c.flying--
	e.cancel(nil)
	e.cancel = nil
	if e.removed || c.ctx.Err() != nil {
		c.mu.Unlock()
		return
	}
	old := e.health.State
	changed := e.health.Report(r.result, &c.opts.Thresholds)
	e.checked, e.cause = time.Now(), r.cause
	state := e.health.State
	if old.Usable() != state.Usable() {
		c.publish()
	}
	if d := c.interval(e); d > 0 {
		c.enqueue(e, r.started.Add(d))
	}
	c.mu.Unlock()
	if changed && c.opts.OnChange != nil {
		c.opts.OnChange(e.node, old, state, r.cause)
	}
}

// interval is the time between probes of e in its present state; 0: none.
func (c *Checker) interval(e *entry) time.Duration {
	if e.health.State.Usable() {
		return c.opts.HealthyInterval
	}
	return c.opts.UnhealthyInterval
}

func (c *Checker) enqueue(e *entry, due time.Time) {
	e.due = due
	heap.Push(&c.queue, e)
}

// publish renews what Nodes and Usable return; c.mu is held.
func (c *Checker) publish() {
	v := new(view)
	for _, e := range c.order {
		v.nodes = append(v.nodes, e.node)
		if e.health.State.Usable() {
			v.usable = append(v.usable, e.node)
		}
	}
	c.view.Store(v)
}

// queue is a heap of entries, the earliest due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push and Pop are for container/heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.place = -1
	return e
}
