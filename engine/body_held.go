package engine

import "headrace/plugin"

// A body that a condition or a plugin needs is read before the proxy asks for it. It is read
// once: the AI proxy, an ordinary upstream and other plugins get what is held.

// ClientBody implements plugin.BodyReader.
func (f *flow) ClientBody(limit int64) ([]byte, plugin.Verdict) {
	if v := f.readBody(limit); v != 0 {
		return nil, v
	}
	return f.raw, 0
}

// forwardHeld sends f.raw to the upstream. length is what the client's framing
// says, -1 for chunks, whose sum is known by now, and -2 for no body.
func (f *flow) forwardHeld(up *upstream, length int64) {
	have := int64(len(f.raw))
	switch {
	case have < length: // the server takes it for a body that has ended
		f.conn.unread = true
		f.clientGone()
		return
	case length == -1:
		length = have
	}
	f.forward(up, f.raw, length)
}
