package wire

import (
	"fmt"
	"io"
)

// Read gives the next body bytes, framing removed: all that is at hand up to
// len(p), waiting only for the first. All of p may be used as scratch space.
// io.EOF means that the body is complete; bytes and an error never come
// together. Other errors are *Error and final: a timeout (also after
// Interrupt), ErrCanceled, ErrTruncated, ErrChunk.
func (x *Exchange) Read(p []byte) (int, error) {
	if err := x.stopped(); err != nil {
		return 0, err
	}
	if x.pos < x.end {
		n := copy(p, x.buf[x.pos:x.end])
		x.pos += n
		return n, nil
	}
	if x.err != nil {
		return 0, x.err
	}
	c := x.c
	if c == nil {
		return 0, &Error{PhaseBody, errFinished}
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		c.armRead(mono(), x.wait)
		// Arming may have undone Interrupt's deadline, but not its flag.
		if err := x.stopped(); err != nil {
			return 0, err
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			n = x.unframe(p[:n])
		}
		if err != nil && x.err == nil {
			x.err = x.cut(err)
		}
		if n > 0 {
			return n, nil
		}
		if x.err != nil {
			return 0, x.err
		}
	}
}

// Wait returns when Read would not have to wait, without needing a buffer
// meanwhile: what a quiet stream would hold for hours. It costs no more than
// the attempt to read that it stands for. On TLS it returns at once. Its errors
// are Read's.
func (x *Exchange) Wait() error {
	if err := x.stopped(); err != nil {
		return err
	}
	c := x.c
	if x.pos < x.end || x.err != nil || c == nil || c.rc == nil {
		return nil
	}
	c.armRead(mono(), x.wait)
	if err := x.stopped(); err != nil {
		return err
	}
	if err := c.await(); err != nil {
		x.err = x.cut(err)
		return x.err
	}
	return nil
}

// stopped is Cancel's or Interrupt's error, unless the body had ended before.
func (x *Exchange) stopped() error {
	if x.flags.Load() == 0 || x.err == io.EOF && x.pos == x.end {
		return nil
	}
	return x.fail(PhaseBody, errFinished)
}

// cut is what the connection's error means in the middle of a body.
func (x *Exchange) cut(err error) error {
	switch {
	case err == io.EOF && x.framing == framedClose:
		return io.EOF
	case err == io.EOF:
		return x.fail(PhaseBody, ErrTruncated)
	case isTimeout(err):
		return x.fail(PhaseBody, err)
	}
	return x.fail(PhaseBody, fmt.Errorf("%w: %w", ErrTruncated, err))
}

// fail makes the error of a phase; Cancel and Interrupt are the reason of
// whatever they made fail.
func (x *Exchange) fail(phase string, err error) error {
	switch f := x.flags.Load(); {
	case f&flagCanceled != 0:
		err = ErrCanceled
	case f&flagInterrupted != 0:
		err = errInterrupted
	}
	return &Error{phase, err}
}
