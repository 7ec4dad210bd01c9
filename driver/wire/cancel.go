package wire

import "context"

// What Cancel and Interrupt leave in Exchange.flags.
const (
	flagCanceled = 1 << iota
	flagInterrupted
)

// Interrupt makes the Read that waits, or the next one, return a timeout error
// at once; so does Do while it waits for the head. The exchange can then only
// be ended. It does nothing after Done.
func (x *Exchange) Interrupt() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.flags.Store(x.flags.Load() | flagInterrupted)
	if x.c != nil {
		x.c.raw.SetReadDeadline(epoch)
	}
}

// Cancel ends the exchange in whatever phase it is: Do, Read and Wait return
// ErrCanceled within milliseconds and the connection is closed at once, even
// if nobody reads. It holds until Reset, so a Cancel before Do is not lost;
// after Done it does nothing.
func (x *Exchange) Cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancel()
}

// Use names the exchange's current use; it changes with Reset.
func (x *Exchange) Use() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.use
}

// CancelUse is Cancel for callers that may come so late that the exchange has
// been Reset for other work: then it does nothing.
func (x *Exchange) CancelUse(use uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.use == use {
		x.cancel()
	}
}

func (x *Exchange) cancel() {
	if x.over {
		return
	}
	x.flags.Store(x.flags.Load() | flagCanceled)
	if x.cancelDial != nil {
		x.cancelDial()
	}
	if x.c != nil {
		x.c.abort()
	}
}

// dialing tells Cancel how to end a dial; nil: the dial is over.
func (x *Exchange) dialing(cancel context.CancelFunc) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancelDial = cancel
	if cancel != nil && x.flags.Load()&flagCanceled != 0 {
		x.cancelDial = nil
		return ErrCanceled
	}
	return nil
}

// attach puts a connection within Cancel's reach.
func (x *Exchange) attach(c *conn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancelDial = nil
	if x.flags.Load()&flagCanceled != 0 {
		return false
	}
	x.c, x.Peer = c, c.peer
	return true
}
