package limitconn

import (
	"errors"
	"sync"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit"
)

type bouncer struct {
	answers limit.Answers
	rules   []rule
	delay   time.Duration // default_conn_delay
	slots   limit.Slots
	broken  error // nothing can be counted
}

// rule is one bound. Without rules in the configuration there is one, which
// applies to all requests.
type rule struct {
	name  string // before the key, so that no two rules share a counter
	key   limit.Key
	conn  limit.Number
	burst limit.Number
}

// call is what a request needs while it is counted.
type call struct {
	shares  []limit.Share
	conns   []int64
	keys    []byte
	scratch []byte
}

var calls = sync.Pool{New: func() any { return new(call) }}

var errNoRule = errors.New("no rule applies to the request")

// Access implements plugin.Accessor. The request gives its slots back when it
// ends, a stream with its last byte.
func (b *bouncer) Access(c *plugin.Ctx) plugin.Verdict {
	if b.broken != nil {
		return b.answers.Fail(c, "failed to limit conn", b.broken)
	}
	k := calls.Get().(*call)
	wait, v := b.enter(k, c)
	calls.Put(k)
	if v == 0 && wait >= time.Millisecond && !c.Sleep(wait) {
		return plugin.Gone
	}
	return v
}

// enter takes the slots and says how long the request has to wait.
func (b *bouncer) enter(k *call, c *plugin.Ctx) (wait time.Duration, v plugin.Verdict) {
	if err := k.resolve(b.rules, c); err != nil {
		return 0, b.answers.Misfit(c, "failed to get limit conn rules", err)
	}
	full, err := b.slots.Enter(c, k.shares)
	switch {
	case err != nil:
		return 0, b.answers.Fail(c, "failed to limit conn", err)
	case full >= 0:
		return 0, b.answers.Refuse(c)
	}
	for i := range k.shares {
		wait += b.delayOf(k.shares[i].Count, k.conns[i])
	}
	return wait, 0
}

// resolve finds the rules that apply to a request and what they say to it.
func (k *call) resolve(rules []rule, c *plugin.Ctx) (err error) {
	k.shares, k.conns, k.keys = k.shares[:0], k.conns[:0], k.keys[:0]
	for i := range rules {
		r := &rules[i]
		at := len(k.keys)
		keys, ok := r.key.Append(append(k.keys, r.name...), c)
		if !ok {
			k.keys = keys[:at]
			continue
		}
		k.keys = keys
		var conn, burst int64
		if conn, k.scratch, err = r.conn.Of(c, k.scratch, false); err != nil {
			return err
		}
		if burst, k.scratch, err = r.burst.Of(c, k.scratch, true); err != nil {
			return err
		}
		k.shares = append(k.shares, limit.Share{Key: keys[at:], Max: conn + burst})
		k.conns = append(k.conns, conn)
	}
	if len(k.shares) == 0 {
		return errNoRule
	}
	return nil
}
