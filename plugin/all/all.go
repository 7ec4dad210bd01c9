// Package all is the list of every plugin that Headrace ships, besides those
// that are part of the engine (ai-proxy, prometheus). The order of this list
// means nothing: priorities decide.
package all

import (
	"headrace/plugin"
	"headrace/plugin/basicauth"
	"headrace/plugin/consumerrestriction"
	"headrace/plugin/cors"
	"headrace/plugin/faultinjection"
	"headrace/plugin/filelogger"
	"headrace/plugin/hmacauth"
	"headrace/plugin/httplogger"
	"headrace/plugin/iprestriction"
	"headrace/plugin/jwtauth"
	"headrace/plugin/kafkalogger"
	"headrace/plugin/keyauth"
	"headrace/plugin/limitconn"
	"headrace/plugin/limitcount"
	"headrace/plugin/limitreq"
	"headrace/plugin/mocking"
	"headrace/plugin/proxyrewrite"
	"headrace/plugin/realip"
	"headrace/plugin/requestid"
	"headrace/plugin/responserewrite"
)

// Specs returns the plugins.
func Specs() []plugin.Spec {
	return []plugin.Spec{
		basicauth.Spec,
		consumerrestriction.Spec,
		cors.Spec,
		faultinjection.Spec,
		filelogger.Spec,
		hmacauth.Spec,
		httplogger.Spec,
		iprestriction.Spec,
		jwtauth.Spec,
		kafkalogger.Spec,
		keyauth.Spec,
		limitconn.Spec,
		limitcount.Spec,
		limitreq.Spec,
		mocking.Spec,
		proxyrewrite.Spec,
		realip.Spec,
		requestid.Spec,
		responserewrite.Spec,
	}
}
