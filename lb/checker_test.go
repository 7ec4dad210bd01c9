package lb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake answers probes under a fake clock and writes down what happened.
type fake struct {
	mu     sync.Mutex
	start  time.Time
	result map[Node]Result
	take   time.Duration // how long a probe takes
	log    []string
	flying atomic.Int64
	most   int64
}

func newFake() *fake { return &fake{start: time.Now(), result: map[Node]Result{}} }

func (f *fake) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf("%v ", time.Since(f.start))+fmt.Sprintf(format, args...))
}

func (f *fake) set(n Node, r Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result[n] = r
}

func (f *fake) check(ctx context.Context, n Node) (Result, error) {
	f.say("probe %s", n.IP)
	now := f.flying.Add(1)
	defer f.flying.Add(-1)
	f.mu.Lock()
	f.most = max(f.most, now)
	r, ok := f.result[n]
	take := f.take
	f.mu.Unlock()
	if !ok {
		r = Success
	}
	select {
	case <-ctx.Done():
		f.say("stop %s", n.IP)
		return Ignored, context.Cause(ctx)
	case <-time.After(take):
	}
	if r != Success {
		return r, errors.New("it failed")
	}
	return r, nil
}

func (f *fake) change(n Node, old, new State, cause error) {
	f.say("%s %v -> %v: %v", n.IP, old, new, cause)
}

// options probes usable nodes every 10 s and the others every 3 s.
func (f *fake) options() CheckerOptions {
	return CheckerOptions{
		Check: f.check, OnChange: f.change, Thresholds: DefaultThresholds,
		HealthyInterval: 10 * time.Second, UnhealthyInterval: 3 * time.Second,
	}
}

// newChecker has no jitter: first probes come after one second.
func (f *fake) newChecker(o CheckerOptions) *Checker {
	c := NewChecker(o)
	c.jitter = func(d time.Duration) time.Duration { return d }
	return c
}

func (f *fake) expect(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.log, "\n"); got != strings.ReplaceAll(strings.TrimSpace(want), "\t", "") {
		t.Fatalf("got\n%s\n\ninstead of%s", got, want)
	}
	f.log = nil
}

var (
	nodeA = Node{IP: "a", Port: 80}
	nodeB = Node{IP: "b", Port: 80, Host: "b.example.com"}
)

func TestCheckerStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := f.newChecker(f.options())
		defer c.Close()
		c.Update([]Node{nodeA})
		f.set(nodeA, TCPFailure)
		time.Sleep(15 * time.Second)
		f.expect(t, `
			1s probe a
			1s a healthy -> mostly_healthy: it failed
			11s probe a
			11s a mostly_healthy -> unhealthy: it failed
			14s probe a`)
		if c.State(nodeA) != Unhealthy || len(c.Usable()) != 0 || len(c.Nodes()) != 1 {
			t.Fatalf("%v %v %v", c.State(nodeA), c.Usable(), c.Nodes())
		}
		f.set(nodeA, Ignored)
		time.Sleep(3 * time.Second)
		f.set(nodeA, Success)
		time.Sleep(20 * time.Second)
		f.expect(t, `
			17s probe a
			20s probe a
			20s a unhealthy -> mostly_unhealthy: <nil>
			23s probe a
			23s a mostly_unhealthy -> healthy: <nil>
			33s probe a`)
		got := c.Snapshot()
		want := NodeStatus{Node: nodeA, State: Healthy, Counters: Counters{Success: 2}, Checked: f.start.Add(33 * time.Second)}
		if len(got) != 1 || !got[0].Checked.Equal(want.Checked) {
			t.Fatalf("%+v", got)
		}
		if got[0].Checked = want.Checked; got[0] != want {
			t.Fatalf("%+v instead of %+v", got[0], want)
		}
		if !slices.Equal(c.Usable(), []Node{nodeA}) {
			t.Fatalf("%v", c.Usable())
		}
	})
}

// TestCheckerIntervalOff: an interval of 0 means that targets in such a state
// are not probed (ai-proxy.md 6.7).
func TestCheckerIntervalOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		o := f.options()
		o.UnhealthyInterval = 0
		o.Thresholds.TCPFailures = 1
		c := f.newChecker(o)
		defer c.Close()
		f.set(nodeA, TCPFailure)
		c.Update([]Node{nodeA})
		time.Sleep(time.Hour)
		f.expect(t, `
			1s probe a
			1s a healthy -> unhealthy: it failed`)

		o.HealthyInterval = 0
		d := f.newChecker(o)
		defer d.Close()
		d.Update([]Node{nodeA})
		time.Sleep(time.Hour)
		f.expect(t, "")
	})
}

// TestCheckerUpdate: those that stay keep state and rhythm, those that leave
// are stopped in the middle of a probe, and return as healthy.
func TestCheckerUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		o := f.options()
		o.Thresholds.TCPFailures = 1
		c := f.newChecker(o)
		defer c.Close()
		f.set(nodeA, TCPFailure)
		c.Update([]Node{nodeA})
		time.Sleep(2 * time.Second)
		c.Update([]Node{nodeB, nodeA, nodeB})
		if c.State(nodeA) != Unhealthy || c.State(nodeB) != Healthy || c.State(Node{}) != Healthy {
			t.Fatalf("%+v", c.Snapshot())
		}
		if !slices.Equal(c.Nodes(), []Node{nodeB, nodeA}) || !slices.Equal(c.Usable(), []Node{nodeB}) {
			t.Fatalf("%v %v", c.Nodes(), c.Usable())
		}
		f.mu.Lock()
		f.take = 500 * time.Millisecond
		f.mu.Unlock()
		time.Sleep(2*time.Second + 100*time.Millisecond)
		f.expect(t, `
			1s probe a
			1s a healthy -> unhealthy: it failed
			3s probe b
			4s probe a`)
		c.Update([]Node{nodeB})
		f.expect(t, "4.1s stop a")
		c.Update([]Node{nodeA, nodeB})
		if c.State(nodeA) != Healthy {
			t.Fatal("a node that came back was not forgotten")
		}
		time.Sleep(1500 * time.Millisecond)
		f.expect(t, `
			5.1s probe a
			5.6s a healthy -> unhealthy: it failed`)
		c.Update(nil)
		time.Sleep(time.Hour)
		f.expect(t, "")
		if len(c.Snapshot())+len(c.Nodes())+len(c.Usable()) != 0 {
			t.Fatal("something is left")
		}
	})
}

// TestCheckerRhythm: intervals are counted from the start of a probe; one that
// takes longer is followed at once, never overtaken.
func TestCheckerRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.take = 4 * time.Second
		c := f.newChecker(f.options())
		defer c.Close()
		c.Update([]Node{nodeA})
		time.Sleep(22 * time.Second)
		f.expect(t, "1s probe a\n11s probe a\n21s probe a")
		f.mu.Lock()
		f.take = 12 * time.Second
		f.mu.Unlock()
		time.Sleep(34 * time.Second)
		f.expect(t, "31s probe a\n43s probe a\n55s probe a")
	})
}

func TestCheckerConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.take = time.Second
		o := f.options()
		o.Concurrency = 3
		c := f.newChecker(o)
		var nodes []Node
		for i := range 10 {
			nodes = append(nodes, Node{IP: fmt.Sprint(i)})
		}
		c.Update(nodes)
		time.Sleep(4500 * time.Millisecond)
		f.mu.Lock()
		if f.most != 3 || len(f.log) != 10 {
			t.Errorf("%d at a time, %d probes", f.most, len(f.log))
		}
		f.mu.Unlock()
		c.Close()
		if n := f.flying.Load(); n != 0 {
			t.Fatalf("%d probes after Close", n)
		}
	})
}

// TestCheckerJitter: the first probes of many nodes are spread over at most a
// second.
func TestCheckerJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := NewChecker(f.options())
		defer c.Close()
		var nodes []Node
		for i := range 200 {
			nodes = append(nodes, Node{IP: fmt.Sprint(i)})
		}
		c.Update(nodes)
		time.Sleep(time.Second)
		synctest.Wait()
		moments := map[string]bool{}
		for _, l := range f.log {
			moments[strings.Fields(l)[0]] = true
		}
		if len(f.log) != 200 || len(moments) < 150 {
			t.Fatalf("%d probes at %d moments", len(f.log), len(moments))
		}
	})
}

// TestCheckerClose: at once, in the middle of probes, twice, and nothing after.
func TestCheckerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.take = time.Hour
		c := f.newChecker(f.options())
		c.Update([]Node{nodeA, nodeB})
		time.Sleep(2 * time.Second)
		c.Close()
		if d := time.Since(f.start); d != 2*time.Second {
			t.Fatalf("Close took %v", d-2*time.Second)
		}
		c.Close()
		c.Update([]Node{nodeA})
		if len(c.Snapshot()) != 2 || len(c.Nodes()) != 2 {
			t.Fatalf("%v", c.Snapshot())
		}
		time.Sleep(time.Hour)
		if len(f.log) != 4 {
			t.Fatalf("%q", f.log)
		}
		// A checker that never had a node.
		NewChecker(CheckerOptions{}).Close()
	})
}

// TestCheckerCallback: the callback sees the new view, may call the checker, and
// holds up only the checker.
func TestCheckerCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		o := f.options()
		o.Thresholds.HTTPFailures = 1
		var c *Checker
		b := New(RoundRobin, group(1, 1))
		o.OnChange = func(n Node, old, new State, _ error) {
			if slices.Contains(c.Usable(), n) != new.Usable() || c.State(n) != new {
				t.Error("the view is old")
			}
			var down Set
			for i, s := range c.Snapshot() {
				if !s.State.Usable() {
					down.Add(i)
				}
			}
			b.SetDown(down)
			c.Update([]Node{nodeA, nodeB})
		}
		c = f.newChecker(o)
		defer c.Close()
		f.set(nodeB, HTTPFailure)
		c.Update([]Node{nodeA, nodeB})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := count(b, nil, 10); got[0] != 10 {
			t.Fatalf("%v", got)
		}
	})
}

// TestCheckerChurn is for the race detector: everything at once.
func TestCheckerChurn(t *testing.T) {
	noLeaks(t)
	var n atomic.Uint64
	c := NewChecker(CheckerOptions{
		Check: func(context.Context, Node) (Result, error) {
			return Result(n.Add(1) * 0x9E3779B97F4A7C15 >> 62), nil
		},
		Thresholds:      Thresholds{1, 1, 1, 1},
		HealthyInterval: time.Microsecond, UnhealthyInterval: time.Microsecond,
		OnChange: func(Node, State, State, error) {},
	})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 200 {
				c.Update([]Node{{IP: fmt.Sprint(k % 5)}, {IP: "x"}, {IP: fmt.Sprint(i)}})
				if len(c.Usable()) > len(c.Snapshot())+3 || len(c.Nodes()) < 2 {
					t.Error("impossible")
				}
				c.State(Node{IP: "x"})
			}
		})
	}
	wg.Wait()
	c.Close()
	if n.Load() == 0 {
		t.Fatal("no probes")
	}
}

// TestCheckerProbes is the whole over real sockets: a server that leaves and
// returns, and no goroutine at the end.
func TestCheckerProbes(t *testing.T) {
	noLeaks(t)
	var status atomic.Int64
	status.Store(200)
	n := server(t, func(c net.Conn) { answer(fmt.Sprintf("HTTP/1.1 %d X\r\n\r\n", status.Load()))(c) })
	states := make(chan State, 100)
	c := NewChecker(CheckerOptions{
		Probe:           &Probe{HealthyStatuses: []int{200}, UnhealthyStatuses: []int{500}},
		Thresholds:      Thresholds{2, 2, 2, 2},
		HealthyInterval: time.Millisecond, UnhealthyInterval: time.Millisecond,
		OnChange: func(_ Node, _, s State, _ error) { states <- s },
	})
	c.Update([]Node{n})
	defer c.Close()
	next := func(want State) {
		t.Helper()
		select {
		case got := <-states:
			if got != want {
				t.Fatalf("%v instead of %v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("never %v: %+v", want, c.Snapshot())
		}
	}
	status.Store(500)
	next(MostlyHealthy)
	next(Unhealthy)
	if s := c.Snapshot()[0]; s.Cause == nil || !strings.Contains(s.Cause.Error(), "500") {
		t.Fatalf("%+v", s)
	}
	status.Store(200)
	next(MostlyUnhealthy)
	next(Healthy)
}
