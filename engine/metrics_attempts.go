package engine

import (
	"strconv"

	"github.com/VictoriaMetrics/metrics"
)

// outcome is how an attempt ended, the label of headrace_ai_attempts_total.
type outcome uint8

const (
	outcomeAnswered outcome = iota // the provider answered with anything but the errors below
	outcome429
	outcome5xx
	outcomeListed // another status of fallback_http_statuses
	outcomeTimeout
	outcomeError // no answer came
	outcomeGone  // the client left first
	outcomes
)

var outcomeNames = [outcomes]string{"answered", "http_429", "http_5xx", "http_listed", "timeout", "error", "client_gone"}

// outcomeOf classes a failed attempt.
func outcomeOf(fail *failure) outcome {
	switch {
	case fail.status == 504 && !fail.relayed:
		return outcomeTimeout
	case !fail.relayed:
		return outcomeError
	case fail.status == 429:
		return outcome429
	case fail.status >= 500:
		return outcome5xx
	}
	return outcomeListed
}

// attempts returns the counters of one instance of a route.
func (g *gatewayMetrics) attempts(route, instance string) (cs [outcomes]*metrics.Counter) {
	for i, name := range outcomeNames {
		name = "headrace_ai_attempts_total{route=" + strconv.Quote(route) +
			",instance=" + strconv.Quote(instance) + ",outcome=" + strconv.Quote(name) + "}"
		cs[i] = g.set.GetOrCreateCounter(name)
		g.own(route, name)
	}
	return cs
}
