package limit

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit/limittest"
	"headrace/plugin/redis"
	"headrace/plugin/redis/redistest"
)

// to is the configuration that leads to a server.
func to(s *redistest.Server) redis.Config {
	return redis.Config{Policy: redis.Single, Host: "127.0.0.1", Port: s.Port, Timeout: 1000, KeepAlive: 10000, KeepAlivePool: 100}
}

func owner(c redis.Config) Options { return Options{Plugin: "test", Owner: "o", Redis: c} }

// windows opens windows as one more gateway.
func windows(t *testing.T, o Options, sliding bool, every time.Duration) (Windows, *limittest.Gateway) {
	t.Helper()
	g := limittest.New(t)
	w, err := OpenWindows(g.PluginEnv("routes/1"), o, sliding, every)
	if err != nil {
		t.Fatal(err)
	}
	return w, g
}

// word is ask without the time.
func word(t *testing.T, w Windows, key string, limit int64, size time.Duration, need, cost int64) string {
	t.Helper()
	got := ask(t, w, key, limit, size, need, cost)
	return got[:strings.LastIndexByte(got, ' ')]
}

func TestRemoteFixed(t *testing.T) {
	s := redistest.Start(t)
	a, _ := windows(t, owner(to(s)), false, 0)
	b, _ := windows(t, owner(to(s)), false, 0)
	f := func(w Windows, key string, limit int64, size time.Duration, need, cost int64, want string) {
		t.Helper()
		if got := word(t, w, key, limit, size, need, cost); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got := ask(t, a, "k", 2, time.Minute, 1, 1); got != "ok 1 1m0s" {
		t.Errorf("the first: %s", got)
	}
	f(b, "k", 2, time.Minute, 1, 1, "ok 0") // two gateways, one counter
	f(a, "k", 2, time.Minute, 1, 1, "no 0")
	f(b, "k", 2, time.Minute, 1, 1, "no 0")
	if got := s.Do("GET", "headrace:rl:test:o:fixed:k"); got != "2" {
		t.Errorf("the counter is %s: refusals were charged", got)
	}
	f(a, "k", 5, time.Minute, 1, 1, "ok 2")
	// It ends with its window.
	f(a, "short", 1, 100*time.Millisecond, 1, 1, "ok 0")
	f(a, "short", 1, 100*time.Millisecond, 1, 1, "no 0")
	time.Sleep(110 * time.Millisecond)
	f(b, "short", 1, 100*time.Millisecond, 1, 1, "ok 0")
	// Costs that are known later: ai-plugins.md 1.3.
	f(a, "llm", 30, time.Minute, 1, 0, "ok 30")
	for _, want := range []string{"ok 20", "ok 10", "no 0"} {
		was := s.Do("GET", "headrace:rl:test:o:fixed:llm")
		a.Add([]Rule{{Key: []byte("llm"), Window: time.Minute}}, 10)
		until(t, "the charge arrives", func() bool { return s.Do("GET", "headrace:rl:test:o:fixed:llm") != was })
		f(b, "llm", 30, time.Minute, 1, 0, want)
	}
	a.Add([]Rule{{Key: []byte("llm"), Window: time.Hour}}, 25)
	until(t, "the charge arrives", func() bool { return s.Do("GET", "headrace:rl:test:o:fixed:llm") == "55" })
	if got := s.Do("TTL", "headrace:rl:test:o:fixed:llm"); got != "60" && got != "59" {
		t.Errorf("the window lasts %s", got)
	}
	// Several rules, all or none.
	both := func(w Windows, want string) {
		t.Helper()
		rules := []Rule{{Key: []byte("r1"), Limit: 2, Window: time.Minute}, {Key: []byte("r2"), Limit: 1, Window: time.Hour}}
		over, err := w.Take(rules, 1, 1)
		if got := fmt.Sprint(over, rules[0].Remaining, rules[1].Remaining, err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	both(a, "-1 1 0 <nil>")
	both(b, "1 1 0 <nil>")
	both(a, "1 1 0 <nil>")
	// Something else under that name is a failure, not a pass.
	s.Do("LPUSH", "headrace:rl:test:o:fixed:list", "1")
	s.Do("EXPIRE", "headrace:rl:test:o:fixed:list", "60")
	if _, err := a.Take([]Rule{{Key: []byte("list"), Limit: 1, Window: time.Minute}}, 1, 1); err == nil {
		t.Error("a list is taken for a counter")
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

// TestRemoteSliding compares with the windows of this process, which a test
// with a clock of its own has checked.
func TestRemoteSliding(t *testing.T) {
	s := redistest.Start(t)
	remote, _ := windows(t, owner(to(s)), true, 0)
	local := newLocalWindows(sliding, NewRoom())
	const size = time.Second
	// The two are asked one after the other, and a moment may change the
	// answer: what counts is how many get through.
	var here, there, refused int
	for i := range 60 {
		limit := int64(5 + i%3)
		if strings.HasPrefix(word(t, local, "k", limit, size, 1, 1), "ok") {
			here++
		}
		if strings.HasPrefix(word(t, remote, "k", limit, size, 1, 1), "ok") {
			there++
		} else {
			refused++
		}
		time.Sleep(50 * time.Millisecond)
	}
	if there < here-3 || there > here+3 || refused < 20 {
		t.Errorf("%d of 60 got through, %d here", there, here)
	}
	remote.Take([]Rule{{Key: []byte("hour"), Limit: 1, Window: time.Hour}}, 1, 1)
	if got := s.Do("PTTL", "headrace:rl:test:o:sliding:hour"); len(got) != 7 {
		t.Errorf("the counter lasts %s ms", got)
	}
}

func TestRemoteExact(t *testing.T) {
	s := redistest.Start(t)
	for _, sliding := range []bool{false, true} {
		a, _ := windows(t, owner(to(s)), sliding, 0)
		b, _ := windows(t, owner(to(s)), sliding, 0)
		var failed atomic.Int64
		got := hammer(20, func(n, _ int) bool {
			over, err := []Windows{a, b}[n%2].Take([]Rule{{Key: []byte("k"), Limit: 500, Window: 1000 * time.Hour}}, 1, 1)
			if err != nil {
				failed.Add(1)
			}
			return err == nil && over < 0
		})
		if got != 500 || failed.Load() > 0 {
			t.Errorf("sliding %v: %d of 500 passed, %d failed", sliding, got, failed.Load())
		}
	}
	o := owner(to(s))
	x, err := OpenBuckets(limittest.New(t).PluginEnv("routes/1"), o)
	if err != nil {
		t.Fatal(err)
	}
	y, _ := OpenBuckets(limittest.New(t).PluginEnv("routes/1"), o)
	if got := hammer(20, func(n, _ int) bool { _, ok, _ := []Buckets{x, y}[n%2].Take([]byte("k"), 1e-6, 99); return ok }); got != 100 {
		t.Errorf("%d of 100 were let into the bucket", got)
	}
}

func TestRemoteBucket(t *testing.T) {
	s := redistest.Start(t)
	b, err := OpenBuckets(limittest.New(t).PluginEnv("routes/1"), owner(to(s)))
	if err != nil {
		t.Fatal(err)
	}
	f := func(key string, rate, burst float64, ok bool, about time.Duration) {
		t.Helper()
		delay, got, err := b.Take([]byte(key), rate, burst)
		if err != nil || got != ok || delay > about || delay < about-about/5 {
			t.Errorf("%s: %v after %v, %v; want %v after %v", key, got, delay, err, ok, about)
		}
	}
	f("a", 10, 0, true, 0)
	f("a", 10, 0, false, 0)
	f("c", 0.5, 2, true, 0)
	f("c", 0.5, 2, true, 2*time.Second)
	f("c", 0.5, 2, true, 4*time.Second)
	f("c", 0.5, 2, false, 0)
	time.Sleep(110 * time.Millisecond)
	f("a", 10, 0, true, 0)
	// A slow rate is kept as long as it takes, which APISIX forgets after a second.
	f("slow", 0.01, 0, true, 0)
	if got := s.Do("TTL", "headrace:rl:test:o:buckets:slow"); got != "100" && got != "101" {
		t.Errorf("the bucket lasts %s s", got)
	}
}

func TestRemoteSlots(t *testing.T) {
	s := redistest.Start(t)
	open := func(ttl time.Duration) Slots {
		l, err := OpenSlots(limittest.New(t).PluginEnv("routes/1"), owner(to(s)), ttl)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := open(time.Hour), open(time.Hour)
	ids := 0
	enter := func(l Slots, want string, shares ...Share) *plugin.Ctx {
		t.Helper()
		c := new(plugin.Ctx)
		ids++
		copy(c.ID[:], fmt.Sprintf("%032d", ids))
		full, err := l.Enter(c, shares)
		got := fmt.Sprint(full)
		for _, s := range shares {
			got += fmt.Sprint(" ", s.Count)
		}
		if got != want || err != nil {
			t.Errorf("%s %v, want %s", got, err, want)
		}
		return c
	}
	count := func(key string) string { return s.Do("ZCARD", "headrace:rl:test:o:slots:"+key) }
	one := Share{Key: []byte("a"), Max: 2}
	first := enter(a, "-1 1", one)
	enter(b, "-1 2", one)
	enter(a, "0 3", one).End()
	enter(b, "0 3", one).End()
	first.End()
	until(t, "the slot is free", func() bool { return count("a") == "1" })
	enter(a, "-1 2 1", one, Share{Key: []byte("b"), Max: 1})
	enter(b, "0 3 0", one, Share{Key: []byte("c"), Max: 1})
	enter(b, "1 1 2", Share{Key: []byte("c"), Max: 1}, Share{Key: []byte("b"), Max: 1})
	if count("c") != "0" {
		t.Error("a request that was refused holds a slot")
	}
	// A gateway that dies gives its slots back.
	short := open(150 * time.Millisecond)
	enter(short, "-1 1", Share{Key: []byte("d"), Max: 1})
	enter(short, "0 2", Share{Key: []byte("d"), Max: 1})
	time.Sleep(160 * time.Millisecond)
	enter(short, "-1 1", Share{Key: []byte("d"), Max: 1})

	// While the server is away slots are given back as soon as it is there again.
	held := enter(a, "-1 1", Share{Key: []byte("e"), Max: 1})
	save := s.Do("DUMP", "headrace:rl:test:o:slots:e")
	s.Stop()
	held.End()
	time.Sleep(50 * time.Millisecond)
	s.Restart()
	s.Do("RESTORE", "headrace:rl:test:o:slots:e", "0", save)
	until(t, "the slot is free", func() bool { return count("e") == "0" })
}

// TestRemoteDown holds that a Redis that is away costs a request no more than
// the timeout, and is used again when it is back.
func TestRemoteDown(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "topsecret")
	c := to(s)
	c.Password, c.Timeout = "topsecret", 200
	w, _ := windows(t, owner(c), false, 0)
	take := func() (time.Duration, error) {
		start := time.Now()
		_, err := w.Take([]Rule{{Key: []byte("k"), Limit: 1000, Window: time.Minute}}, 1, 1)
		return time.Since(start), err
	}
	if _, err := take(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	for range 300 { // more than there are connections
		if d, err := take(); err == nil || d > 400*time.Millisecond || strings.Contains(err.Error(), "topsecret") {
			t.Fatalf("%v after %v", err, d)
		}
	}
	s.Restart()
	until(t, "the server is used again", func() bool { _, err := take(); return err == nil })
	// A server that says nothing.
	s.Do("CLIENT", "PAUSE", "1500")
	for range 3 {
		if d, err := take(); err == nil || d > 400*time.Millisecond {
			t.Errorf("%v after %v", err, d)
		}
	}
	until(t, "the server is used again", func() bool { _, err := take(); return err == nil })
	// A wrong password.
	c.Password = "wrongsecret"
	w, _ = windows(t, owner(c), false, 0)
	if _, err := take(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestRemoteSentinel(t *testing.T) {
	master := redistest.Start(t, "--requirepass", "topsecret")
	s := redistest.StartSentinel(t, master, "sentinel auth-pass mymaster topsecret\nrequirepass guard")
	w, _ := windows(t, owner(redis.Config{
		Policy: redis.Sentinel, Sentinels: []redis.Address{{Host: "127.0.0.1", Port: 1}, {Host: "127.0.0.1", Port: s.Port}}, Master: "mymaster", Database: 1,
		Password: "topsecret", SentinelPassword: "guard", ConnectTimeout: 1000, ReadTimeout: 1000, KeepAlive: 60000,
	}), false, 0)
	for _, want := range []string{"ok 1", "ok 0", "no 0"} {
		if got := word(t, w, "k", 2, time.Minute, 1, 1); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestRemoteCluster(t *testing.T) {
	nodes := redistest.StartCluster(t)
	c := redis.Config{Policy: redis.Cluster, Nodes: []string{nodes[0].Addr()}, Name: "c", Timeout: 2000, KeepAlive: 10000, KeepAlivePool: 100}
	a, _ := windows(t, owner(c), false, 0)
	b, _ := windows(t, owner(c), false, 0)
	for i := range 20 { // on all nodes
		key := fmt.Sprint("key-", i)
		if got := word(t, a, key, 2, time.Minute, 1, 1) + word(t, b, key, 2, time.Minute, 1, 1) + word(t, a, key, 2, time.Minute, 1, 1); got != "ok 1ok 0no 0" {
			t.Errorf("%s: %s", key, got)
		}
	}
	for _, n := range nodes {
		if n.Do("DBSIZE") == "0" {
			t.Error("a node counts nothing")
		}
	}
	// Rules that are checked together live together.
	o := owner(c)
	o.Together = true
	w, _ := windows(t, o, false, 0)
	for i, want := range []int{-1, 1, 1} {
		over, err := w.Take([]Rule{{Key: []byte("1:jill"), Limit: 5, Window: time.Minute}, {Key: []byte("2:{x}"), Limit: 1, Window: time.Minute}}, 1, 1)
		if over != want || err != nil {
			t.Errorf("request %d: %d %v", i, over, err)
		}
	}
	l, err := OpenSlots(limittest.New(t).PluginEnv("routes/1"), o, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx := new(plugin.Ctx)
	two := []Share{{Key: []byte("1:a"), Max: 1}, {Key: []byte("2:b"), Max: 1}}
	if full, err := l.Enter(ctx, two); full >= 0 || err != nil {
		t.Fatal(full, err)
	}
	if full, err := l.Enter(new(plugin.Ctx), two); full != 0 || err != nil {
		t.Error(full, err)
	}
	ctx.End()
	until(t, "the slots are free", func() bool { c := new(plugin.Ctx); full, _ := l.Enter(c, two); c.End(); return full < 0 })
	every, _ := windows(t, owner(c), false, 100*time.Millisecond)
	for i := range 100 {
		word(t, every, fmt.Sprint("batch-", i%10), 1000, time.Minute, 1, 1)
	}
	until(t, "a batch reaches all nodes", func() bool {
		for i := range 10 {
			if word(t, a, fmt.Sprint("batch-", i), 1000, time.Minute, 0, 0) != "ok 990" {
				return false
			}
		}
		return true
	})
}
