package plugintest

import "testing"

// Budget fails t if f allocates more than max times.
func Budget(t testing.TB, what string, max float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n > max && !UnderRace {
		t.Errorf("%s: %v allocations, want at most %v", what, n, max)
	}
}
