//go:build !race

package keyauth

const underRace = false
