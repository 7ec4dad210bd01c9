package wire

// What peek finds at a socket.
const (
	peekQuiet  = iota // nothing to read
	peekData          // bytes to read
	peekClosed        // the peer has closed, or the connection failed
)
