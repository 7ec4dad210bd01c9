//go:build !race

package limitcount

const underRace = false
