//go:build race

package httplogger

const underRace = true
