package limit

import (
	"context"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"headrace/plugin"
	"headrace/plugin/redis"
)

// remoteBuckets are buckets on a Redis.
type remoteBuckets struct{ remote }

// Take implements Buckets.
func (m *remoteBuckets) Take(key []byte, rate, burst float64) (time.Duration, bool, error) {
	got, err := m.client.Eval(bucketScript, []string{m.keyOf(key)}, rate, burst)
	if err != nil {
		return 0, false, err
	}
	if len(got) != 2 {
		return 0, false, errAnswer
	}
	return seconds(float64(got[1]) / 1e6 / rate), got[0] == 1, nil
}

// remoteSlots are slots on a Redis. A gateway that dies gives its slots back
// when ttl is over.
type remoteSlots struct {
	remote
	ttl time.Duration
}

// Enter implements Slots.
func (m *remoteSlots) Enter(c *plugin.Ctx, shares []Share) (full int, err error) {
	held := &remoteSlot{slots: m, id: string(c.ID[:]), keys: make([]string, len(shares))}
	args := []any{held.id, m.ttl.Milliseconds()}
	for i := range shares {
		held.keys[i] = m.keyOf(shares[i].Key)
		args = append(args, shares[i].Max)
	}
	got, err := m.client.Eval(slotsScript, held.keys, args...)
	if err != nil {
		if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" {
			held.End(c) // it may have been carried out, and its answer lost
		}
		return 0, err
	}
	if len(got) < 1 || len(got)-1 > len(shares) {
		return 0, errAnswer
	}
	for i, n := range got[1:] {
		shares[i].Count = n
	}
	if full = int(got[0]) - 1; full < 0 {
		c.OnEnd(held)
	}
	return full, nil
}

// remoteSlot is what one request holds.
type remoteSlot struct {
	slots *remoteSlots
	id    string
	keys  []string
}

// End implements plugin.Ender.
func (s *remoteSlot) End(*plugin.Ctx) {
	until := time.Now().Add(s.slots.ttl)
	for _, key := range s.keys {
		s.slots.client.Later(redis.Command{Until: until, Add: func(ctx context.Context, p goredis.Pipeliner) { p.ZRem(ctx, key, s.id) }})
	}
}
