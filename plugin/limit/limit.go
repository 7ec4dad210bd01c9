// Package limit counts what passes, for the plugins that bound it: costs in
// windows of time, the pace of requests, and requests under way. Each is there
// twice: in this process, bounded in memory and exact under concurrency, and on
// a Redis that several gateways share, as scripts that are atomic there.
//
// A counter belongs to an owner, the resource that carries the configuration
// together with that configuration: what is saved unchanged goes on counting,
// what is changed begins anew.
package limit

import "time"

// Rule is one limit as a request meets it.
type Rule struct {
	Key    []byte        // who is counted; it is not kept
	Limit  int64         // > 0 and at most MaxNumber
	Window time.Duration // whole milliseconds, > 0

	Remaining int64         // set by Take: what is left of Limit, 0 where it did not fit
	Reset     time.Duration // set by Take: when the window ends, or there may be room again
}

// Windows counts costs in windows of time. All methods may be called
// concurrently.
type Windows interface {
	// Take lets a request pass if every rule has room for need, and then
	// charges all of them cost. Both are 1 where requests are counted; a cost
	// of 0 only looks, for what is charged when it is known, by Add. It returns
	// the index of the first rule without room, or -1; none is charged then,
	// and what comes behind that rule is not looked at. The first Take begins
	// a fixed window, also one of cost 0.
	Take(rules []Rule, need, cost int64) (over int, err error)
	// Add charges cost whatever the limits say. It does not wait for another
	// process; the next Take here sees it where the counter is here.
	Add(rules []Rule, cost int64)
}

// Buckets paces requests: a bucket for each key leaks rate requests a second.
type Buckets interface {
	// Take puts a request into the bucket. It may pass after delay; it may not
	// if the bucket would hold more than burst.
	Take(key []byte, rate, burst float64) (delay time.Duration, ok bool, err error)
}

// Share is one bound of requests under way as a request meets it.
type Share struct {
	Key []byte // who is counted; it is not kept
	Max int64  // how many may be under way

	Count int64 // set by Enter: how many are, with this one
}
