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
	f.record()
	c.phase = phaseIdle
	f.release()
}

// record counts and logs the finished request. The client has its answer by
// now, and above a plain answer there is only the server, which a panic would
// take down: a logger that panics loses its own line and those after it.
func (f *flow) record() {
	defer func() {
		if r := recover(); r != nil {
			f.e.log.Error("BUG: panic while logging a request", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	f.End()
	f.count()
	f.showBodies()
	f.snap.globals.runLog(&f.Ctx)
	if f.rt != nil {
		f.rt.runLog(&f.Ctx)
	}
	f.e.accessLog.write(f)
}

// guardStream is guard for the goroutine of a stream: the connection ends.
func (f *flow) guardStream() {
	if r := recover(); r != nil {
		f.bury(r)
	}
}

// bury ends a request that panicked with r: nothing of it stays open, and it
// is counted and logged as far as it came.
func (f *flow) bury(r any) {
	f.e.log.Error("BUG: panic while serving a request", "panic", r, "stack", string(debug.Stack()))
	if f.conn != nil {
		f.conn.detach()
	}
	f.freeUpstream()
	f.Times.Total = time.Since(f.Times.Start)
	f.record()
}
