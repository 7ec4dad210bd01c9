//go:build race

package logentry

const underRace = true
