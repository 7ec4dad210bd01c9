package limitreq

import (
	"sync"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit"
)

type pacer struct {
	answers limit.Answers
	key     limit.Key
	rate    float64 // requests a second
	burst   float64 // how many more may wait
	delays  bool
	buckets limit.Buckets
	broken  error // nothing can be counted
}

var keys = sync.Pool{New: func() any { return new([]byte) }}

// Access implements plugin.Accessor.
func (p *pacer) Access(c *plugin.Ctx) plugin.Verdict {
	if p.broken != nil {
		return p.answers.Fail(c, "failed to limit req", p.broken)
	}
	key := keys.Get().(*[]byte)
	*key, _ = p.key.Append((*key)[:0], c)
	delay, ok, err := p.buckets.Take(*key, p.rate, p.burst)
	keys.Put(key)
	switch {
	case err != nil:
		return p.answers.Fail(c, "failed to limit req", err)
	case !ok:
		return p.answers.Refuse(c)
	}
	if p.delays && delay >= time.Millisecond && !c.Sleep(delay) {
		return plugin.Gone
	}
	return 0
}
