//go:build !race

package limitconn

const underRace = false
