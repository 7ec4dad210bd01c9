package limitcount

import (
	"errors"
	"sync"
	"time"

	"headrace/plugin"
	"headrace/plugin/limit"
)

type limiter struct {
	answers limit.Answers
	headers bool
	owner   string // in $rate_limiting_info
	rules   []rule
	windows limit.Windows
	broken  error // nothing can be counted
}

// rule is one bound. Without rules in the configuration there is one, which
// applies to all requests.
type rule struct {
	name    string // before the key, so that no two rules share a counter
	key     limit.Key
	count   limit.Number
	window  limit.Number
	headers limit.Headers
}

// call is what a request needs while it is counted.
type call struct {
	rules   []limit.Rule
	of      []*rule
	keys    []byte
	scratch []byte
}

var calls = sync.Pool{New: func() any { return new(call) }}

var errNoRule = errors.New("no rule applies to the request")

// Access implements plugin.Accessor.
func (l *limiter) Access(c *plugin.Ctx) plugin.Verdict {
	if l.broken != nil {
		return l.answers.Fail(c, "failed to limit count", l.broken)
	}
	k := calls.Get().(*call)
	defer calls.Put(k)
	if err := k.resolve(l.rules, c); err != nil {
		return l.answers.Misfit(c, "failed to get rate limit rules", err)
	}
	over, err := l.windows.Take(k.rules, 1, 1)
	if err != nil {
		return l.answers.Fail(c, "failed to limit count", err)
	}
	for i := range k.rules {
		r := &k.rules[i]
		if l.headers {
			k.of[i].headers.Set(c, r)
		}
		c.SetRateLimit(l.owner, r.Key, r.Limit, r.Remaining, r.Reset)
		if i == over {
			return l.answers.Refuse(c)
		}
	}
	return 0
}

// resolve finds the rules that apply to a request and what they say to it.
func (k *call) resolve(rules []rule, c *plugin.Ctx) (err error) {
	k.rules, k.of, k.keys = k.rules[:0], k.of[:0], k.keys[:0]
	for i := range rules {
		r := &rules[i]
		at := len(k.keys)
		keys, ok := r.key.Append(append(k.keys, r.name...), c)
		if !ok {
			k.keys = keys[:at]
			continue
		}
		k.keys = keys
		var count, window int64
		if count, k.scratch, err = r.count.Of(c, k.scratch, false); err != nil {
			return err
		}
		if window, k.scratch, err = r.window.Of(c, k.scratch, false); err != nil {
			return err
		}
		k.of = append(k.of, r)
		k.rules = append(k.rules, limit.Rule{Key: keys[at:], Limit: count, Window: duration(window)})
	}
	if len(k.rules) == 0 {
		return errNoRule
	}
	return nil
}

// duration is a number of seconds, at most ten years: what a clock of
// nanoseconds can be asked for, and longer than anybody runs.
func duration(s int64) time.Duration {
	return time.Duration(min(s, 10*365*24*3600)) * time.Second
}
