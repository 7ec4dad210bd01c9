package wire

import (
	"errors"
	"fmt"
)

// The phases of an exchange, as Error names them.
const (
	PhaseDNS     = "dns"
	PhaseConnect = "connect"
	PhaseTLS     = "tls"
	PhaseSend    = "send"
	PhaseHead    = "head"
	PhaseBody    = "body"
)

// Causes that come from this package; an Error wraps them. Everything else in
// an Error is what the system or crypto/tls said, so that for example
// errors.Is(err, syscall.EMFILE) works.
var (
	ErrCanceled    = errors.New("exchange canceled")
	ErrTruncated   = errors.New("upstream closed the connection early")
	ErrBadResponse = errors.New("bad response")
	ErrTooLarge    = errors.New("response head too large")
	ErrChunk       = errors.New("bad chunk")

	errFinished = errors.New("exchange is over")
)

// Error is a failed exchange: the phase that it failed in, and why.
type Error struct {
	Phase string
	Err   error
}

// Error contains the word "timeout" exactly when Timeout is true, short of
// what the system adds.
func (e *Error) Error() string {
	if e.Timeout() {
		return e.Phase + " timeout: " + e.Err.Error()
	}
	return e.Phase + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the phase took too long or was ended by Interrupt.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary makes Error a net.Error.
func (e *Error) Temporary() bool { return e.Timeout() }

// SourceError is a failure of the reader that DoStream takes the request body
// from: the client's fault, not the upstream's. A source that ends before its
// length gives io.ErrUnexpectedEOF.
type SourceError struct {
	Err error
}

func (e *SourceError) Error() string { return "cannot read the request body: " + e.Err.Error() }

// Unwrap returns what the reader said.
func (e *SourceError) Unwrap() error { return e.Err }

// interruptedError is the cause behind Exchange.Interrupt.
type interruptedError struct{}

func (interruptedError) Error() string { return "interrupted" }
func (interruptedError) Timeout() bool { return true }

var errInterrupted error = interruptedError{}

// bad makes an ErrBadResponse that shows at most 32 bytes of what came.
func bad(why string, got []byte) error {
	if len(got) > 32 {
		got = got[:32]
	}
	return fmt.Errorf("%w: %s %+q", ErrBadResponse, why, got)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
