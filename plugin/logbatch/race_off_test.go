//go:build !race

package logbatch

const underRace = false
