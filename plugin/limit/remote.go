package limit

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"headrace/plugin/redis"
)

// keyPrefix begins the names of all counters on a Redis.
const keyPrefix = "headrace:rl:"

// remote is where the counters of one owner are on a Redis.
type remote struct {
	client *redis.Client
	prefix string
}

// keyOf is the name of a counter there.
func (m *remote) keyOf(key []byte) string { return m.prefix + string(key) }

// remoteWindows are windows on a Redis, whose clock they go by.
type remoteWindows struct {
	remote
	kind windowKind
}

// Take implements Windows.
func (m *remoteWindows) Take(rules []Rule, need, cost int64) (over int, err error) {
	keys := make([]string, len(rules))
	args := []any{need, cost}
	for i := range rules {
		r := &rules[i]
		keys[i] = m.keyOf(r.Key)
		args = append(args, r.Limit, r.Window.Milliseconds())
	}
	script := fixedScript
	if m.kind == sliding {
		script = slidingScript
	}
	got, err := m.client.Eval(script, keys, args...)
	if err != nil {
		return 0, err
	}
	if len(got) < 1 || (len(got)-1)%3 != 0 || len(got)/3 > len(rules) {
		return 0, errAnswer
	}
	over = int(got[0]) - 1
	for i := range len(got) / 3 {
		w := windowOf(got[1+3*i:], 0)
		m.kind.tell(&w, &rules[i], i != over, 0)
	}
	return over, nil
}

// Add implements Windows.
func (m *remoteWindows) Add(rules []Rule, cost int64) {
	for i := range rules {
		key, size := m.keyOf(rules[i].Key), rules[i].Window
		m.client.Later(redis.Command{Add: func(ctx context.Context, p goredis.Pipeliner) { m.charge(ctx, p, key, size, cost) }})
	}
}

// charge adds cost to one counter whatever its limit; windowOf reads the answer.
func (m *remoteWindows) charge(ctx context.Context, p goredis.Pipeliner, key string, size time.Duration, cost int64) *goredis.Cmd {
	script := fixedText
	if m.kind == sliding {
		script = slidingText
	}
	return p.Eval(ctx, script, []string{key}, 0, cost, MaxNumber, size.Milliseconds())
}

// windowOf is a window as the scripts tell it: what it has used with this
// request, the window before, and the milliseconds that are left of it.
func windowOf(got []int64, now int64) window {
	return window{end: now + got[2]*int64(time.Millisecond), used: got[0], prev: got[1]}
}
