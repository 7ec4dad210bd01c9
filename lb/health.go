package lb

import (
	"fmt"
	"strconv"
)

// State is what is known of a target's health. The zero value is Healthy, the
// state of a target that was never probed.
type State uint8

// The states of ai-proxy.md 6.7, those of lua-resty-healthcheck.
const (
	Healthy         State = iota
	MostlyHealthy         // usable, with failures since the last success
	Unhealthy             // not usable
	MostlyUnhealthy       // not yet usable, with successes since the last failure
)

// Usable says whether requests may go to a target in this state.
func (s State) Usable() bool { return s == Healthy || s == MostlyHealthy }

// String returns the spelling of APISIX's control API.
func (s State) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case MostlyHealthy:
		return "mostly_healthy"
	case Unhealthy:
		return "unhealthy"
	case MostlyUnhealthy:
		return "mostly_unhealthy"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Result is what a probe found.
type Result uint8

// The results. Ignored (a status in neither list, a cancelled probe) says
// nothing about the target.
const (
	Ignored Result = iota
	Success
	HTTPFailure
	TCPFailure
	TimeoutFailure
)

// String returns the name of the counter that the result counts in.
func (r Result) String() string {
	switch r {
	case Ignored:
		return "ignored"
	case Success:
		return "success"
	case HTTPFailure:
		return "http_failure"
	case TCPFailure:
		return "tcp_failure"
	case TimeoutFailure:
		return "timeout_failure"
	}
	return "Result(" + strconv.Itoa(int(r)) + ")"
}

// Thresholds says how many results of a kind decide. 0: that kind never does,
// and is not counted.
type Thresholds struct {
	Successes    int // healthy.successes
	HTTPFailures int // unhealthy.http_failures
	TCPFailures  int // unhealthy.tcp_failures
	Timeouts     int // unhealthy.timeouts
}

// DefaultThresholds are those of ai-proxy.md 6.7.
var DefaultThresholds = Thresholds{Successes: 2, HTTPFailures: 5, TCPFailures: 2, Timeouts: 3}

// Validate checks the range that APISIX's schema allows, 1 to 254.
func (t *Thresholds) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"successes", t.Successes},
		{"http_failures", t.HTTPFailures},
		{"tcp_failures", t.TCPFailures},
		{"timeouts", t.Timeouts},
	} {
		if f.value < 1 || f.value > 254 {
			return fmt.Errorf("cannot use %s %d: must be between 1 and 254", f.name, f.value)
		}
	}
	return nil
}

// Counters are the results since they were last cleared; the control API shows
// them under these names.
type Counters struct {
	Success        int `json:"success"`
	HTTPFailure    int `json:"http_failure"`
	TCPFailure     int `json:"tcp_failure"`
	TimeoutFailure int `json:"timeout_failure"`
}

// Health is the state machine of one target. The zero value is healthy; it is
// not safe for concurrent use.
type Health struct {
	State    State
	Counters Counters
}

// Report counts a result and says whether the state changed. What confirms a
// state is not counted: successes of a healthy target, failures of an unhealthy
// one. A success clears the failures; a failure clears the successes, but not
// the other kinds of failure.
func (h *Health) Report(r Result, t *Thresholds) (changed bool) {
	count, limit, verdict := (*int)(nil), 0, Unhealthy
	switch r {
	case Success:
		count, limit, verdict = &h.Counters.Success, t.Successes, Healthy
	case HTTPFailure:
		count, limit = &h.Counters.HTTPFailure, t.HTTPFailures
	case TCPFailure:
		count, limit = &h.Counters.TCPFailure, t.TCPFailures
	case TimeoutFailure:
		count, limit = &h.Counters.TimeoutFailure, t.Timeouts
	}
	if limit == 0 || h.State == verdict {
		return false
	}
	*count++
	if verdict == Healthy {
		h.Counters = Counters{Success: h.Counters.Success}
	} else {
		h.Counters.Success = 0
	}
	before := h.State
	switch {
	case *count >= limit:
		h.State = verdict
	case h.State == Healthy:
		h.State = MostlyHealthy
	case h.State == Unhealthy:
		h.State = MostlyUnhealthy
	}
	return h.State != before
}
