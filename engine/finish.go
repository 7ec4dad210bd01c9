package engine

import (
	"runtime/debug"
	"time"
)

// settle makes final what the client's next request must see. It runs before
// the last byte of the answer is written, on every path (architecture.md 13,
// ruling 6).
func (f *flow) settle() {
	if f.counted != nil {
		f.counted.tokens(f)
	}
}

// finish ends the request: exactly once, when the client has everything or is
// gone. It gives everything back.
func (f *flow) finish(err error) {
	c := f.conn
	c.detach()
	f.freeUpstream()
	if (err != nil || c.gone.Load()) && f.Status == 0 {
		f.Status = statusGone
	}
	f.Times.Total = time.Since(f.Times.Start)
	f.count()
	f.snap.globals.runLog(&f.Ctx)
	if f.rt != nil {
		f.rt.runLog(&f.Ctx)
	}
	f.e.accessLog.write(f)
	c.phase = phaseIdle
	f.release()
}

// guardStream is guard for the goroutine of a stream: the connection ends.
func (f *flow) guardStream() {
	r := recover()
	if r == nil {
		return
	}
	f.e.log.Error("BUG: panic while relaying a stream", "panic", r, "stack", string(debug.Stack()))
	if c := f.conn; c != nil {
		c.detach()
		f.freeUpstream()
	}
}
