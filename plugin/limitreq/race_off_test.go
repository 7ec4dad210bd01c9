//go:build !race

package limitreq

const underRace = false
