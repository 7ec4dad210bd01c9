//go:build !race

package plugintest

// UnderRace says that allocations are not what they are without the race detector.
const UnderRace = false
