//go:build !unix

package wire

// peek cannot look where there is no MSG_DONTWAIT; a dead connection is then
// found by using it, and the request is sent again.
func peek(int) int { return peekQuiet }

const canAwait = false
