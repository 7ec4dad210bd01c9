// Package engine serves the traffic: it owns the listeners, the configuration
// in force, the compiled routes and every request from its first byte to its
// log line.
//
// The path of one request, with the file that holds each part:
//
//	conn.go          a client connects; deadlines; who is told when it goes
//	serve.go         the handler: framing, match, phases, hand over
//	router_match.go  host, path, methods -> a candidate, or 404
//	compile.go       candidate -> *Route, compiled once, kept by ristretto
//	phases.go        global rules and plugins by priority
//	aiproxy.go       content type, body, protocol (access phase of the proxy)
//	attempt.go       one call of one instance
//	answer.go        what its answer means, when it is no stream
//	upstream.go      a route without an AI proxy: its upstream and the node
//	proxy.go         one request to a node, tried again where that is allowed
//	proxy_answer.go  what the node said
//	tunnel.go        or a change of protocol, copied both ways
//	respond.go       an answer that is complete in memory
//	stream.go        an answer that is relayed as it arrives (sse.Pump)
//	finish.go        metrics, log phase, everything given back
//
// What lives longer than a request: snapshot.go (the configuration),
// state.go (what reloads must not reset), metrics.go, accesslog.go.
package engine
