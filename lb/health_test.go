package lb

import "testing"

// TestHealthTable goes through the table of ai-proxy.md 6.7: each state, a
// success and each kind of failure, below and at the limit.
func TestHealthTable(t *testing.T) {
	th := Thresholds{Successes: 2, HTTPFailures: 3, TCPFailures: 2, Timeouts: 4}
	f := func(before Health, r Result, after Health) {
		t.Helper()
		h := before
		if changed := h.Report(r, &th); h != after || changed != (before.State != after.State) {
			t.Errorf("%v + %v: %v (changed: %v) instead of %v", before, r, h, changed, after)
		}
	}
	n := func(success, http, tcp, timeout int) Counters { return Counters{success, http, tcp, timeout} }

	// healthy: success ignored; failure counts, at the limit unhealthy.
	f(Health{Healthy, n(0, 0, 0, 0)}, Success, Health{Healthy, n(0, 0, 0, 0)})
	f(Health{Healthy, n(2, 0, 0, 0)}, Success, Health{Healthy, n(2, 0, 0, 0)})
	f(Health{Healthy, n(0, 0, 0, 0)}, HTTPFailure, Health{MostlyHealthy, n(0, 1, 0, 0)})
	f(Health{Healthy, n(0, 0, 0, 0)}, TCPFailure, Health{MostlyHealthy, n(0, 0, 1, 0)})
	f(Health{Healthy, n(2, 0, 0, 0)}, TimeoutFailure, Health{MostlyHealthy, n(0, 0, 0, 1)})
	f(Health{Healthy, n(0, 0, 0, 0)}, Ignored, Health{Healthy, n(0, 0, 0, 0)})
	one := Thresholds{1, 1, 1, 1}
	for _, r := range []Result{HTTPFailure, TCPFailure, TimeoutFailure} {
		var h Health
		if !h.Report(r, &one) || h.State != Unhealthy {
			t.Errorf("%v at a limit of 1: %v", r, h)
		}
		if !h.Report(Success, &one) || h.State != Healthy {
			t.Errorf("success at a limit of 1: %v", h)
		}
	}

	// mostly_healthy: success clears the failures; kinds count separately.
	f(Health{MostlyHealthy, n(0, 2, 1, 3)}, Success, Health{MostlyHealthy, n(1, 0, 0, 0)})
	f(Health{MostlyHealthy, n(1, 0, 0, 0)}, Success, Health{Healthy, n(2, 0, 0, 0)})
	f(Health{MostlyHealthy, n(1, 1, 1, 1)}, HTTPFailure, Health{MostlyHealthy, n(0, 2, 1, 1)})
	f(Health{MostlyHealthy, n(0, 2, 1, 3)}, HTTPFailure, Health{Unhealthy, n(0, 3, 1, 3)})
	f(Health{MostlyHealthy, n(0, 2, 1, 3)}, TCPFailure, Health{Unhealthy, n(0, 2, 2, 3)})
	f(Health{MostlyHealthy, n(0, 2, 1, 3)}, TimeoutFailure, Health{Unhealthy, n(0, 2, 1, 4)})
	f(Health{MostlyHealthy, n(0, 2, 0, 0)}, TCPFailure, Health{MostlyHealthy, n(0, 2, 1, 0)})
	f(Health{MostlyHealthy, n(1, 2, 0, 0)}, Ignored, Health{MostlyHealthy, n(1, 2, 0, 0)})

	// unhealthy: failure ignored; success counts and clears the failures.
	f(Health{Unhealthy, n(0, 3, 1, 0)}, HTTPFailure, Health{Unhealthy, n(0, 3, 1, 0)})
	f(Health{Unhealthy, n(0, 3, 1, 0)}, TCPFailure, Health{Unhealthy, n(0, 3, 1, 0)})
	f(Health{Unhealthy, n(0, 3, 1, 0)}, TimeoutFailure, Health{Unhealthy, n(0, 3, 1, 0)})
	f(Health{Unhealthy, n(0, 3, 1, 0)}, Success, Health{MostlyUnhealthy, n(1, 0, 0, 0)})
	f(Health{Unhealthy, n(1, 3, 1, 0)}, Success, Health{Healthy, n(2, 0, 0, 0)})
	f(Health{Unhealthy, n(0, 3, 1, 0)}, Ignored, Health{Unhealthy, n(0, 3, 1, 0)})

	// mostly_unhealthy: success at the limit is healthy; failure clears successes.
	f(Health{MostlyUnhealthy, n(1, 0, 0, 0)}, Success, Health{Healthy, n(2, 0, 0, 0)})
	f(Health{MostlyUnhealthy, n(0, 1, 0, 0)}, Success, Health{MostlyUnhealthy, n(1, 0, 0, 0)})
	f(Health{MostlyUnhealthy, n(1, 0, 0, 0)}, HTTPFailure, Health{MostlyUnhealthy, n(0, 1, 0, 0)})
	f(Health{MostlyUnhealthy, n(1, 0, 0, 0)}, TimeoutFailure, Health{MostlyUnhealthy, n(0, 0, 0, 1)})
	f(Health{MostlyUnhealthy, n(0, 0, 1, 0)}, TCPFailure, Health{Unhealthy, n(0, 0, 2, 0)})
	f(Health{MostlyUnhealthy, n(1, 0, 0, 0)}, Ignored, Health{MostlyUnhealthy, n(1, 0, 0, 0)})
}

// TestHealthStory is a target that fails, falls out and returns, with defaults.
func TestHealthStory(t *testing.T) {
	var h Health
	th := DefaultThresholds
	step := func(r Result, want State) {
		t.Helper()
		h.Report(r, &th)
		if h.State != want || h.State.Usable() != (want == Healthy || want == MostlyHealthy) {
			t.Fatalf("%v: %v instead of %v", r, h, want)
		}
	}
	step(TCPFailure, MostlyHealthy)
	step(Success, MostlyHealthy)
	step(TCPFailure, MostlyHealthy)
	step(TCPFailure, Unhealthy)
	step(Success, MostlyUnhealthy)
	step(TCPFailure, MostlyUnhealthy)
	step(Success, MostlyUnhealthy)
	step(Success, Healthy)
	for range 4 {
		step(HTTPFailure, MostlyHealthy)
	}
	step(HTTPFailure, Unhealthy)
}

func TestThresholds(t *testing.T) {
	f := func(th Thresholds, want string) {
		t.Helper()
		err := th.Validate()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%v: %v instead of %q", th, err, want)
		}
	}
	f(DefaultThresholds, "")
	f(Thresholds{1, 1, 1, 1}, "")
	f(Thresholds{254, 254, 254, 254}, "")
	f(Thresholds{0, 1, 1, 1}, "cannot use successes 0: must be between 1 and 254")
	f(Thresholds{1, 255, 1, 1}, "cannot use http_failures 255: must be between 1 and 254")
	f(Thresholds{1, 1, -1, 1}, "cannot use tcp_failures -1: must be between 1 and 254")
	f(Thresholds{1, 1, 1, 0}, "cannot use timeouts 0: must be between 1 and 254")

	// 0 switches a kind off.
	var h Health
	for range 10 {
		if h.Report(TCPFailure, &Thresholds{Successes: 1, HTTPFailures: 1, Timeouts: 1}) || h != (Health{}) {
			t.Fatalf("%v", h)
		}
	}
}

func TestNames(t *testing.T) {
	f := func(got interface{ String() string }, want string) {
		t.Helper()
		if got.String() != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	f(Healthy, "healthy")
	f(MostlyHealthy, "mostly_healthy")
	f(Unhealthy, "unhealthy")
	f(MostlyUnhealthy, "mostly_unhealthy")
	f(State(9), "State(9)")
	f(Ignored, "ignored")
	f(Success, "success")
	f(HTTPFailure, "http_failure")
	f(TCPFailure, "tcp_failure")
	f(TimeoutFailure, "timeout_failure")
	f(Result(9), "Result(9)")
	f(RoundRobin, "roundrobin")
	f(CHash, "chash")
	f(Algo(9), "Algo(9)")
	f(Node{"10.0.0.1", 80, ""}, "10.0.0.1:80")
	f(Node{"::1", 80, "api.example.com"}, "api.example.com ([::1]:80)")
}
