package engine

import (
	"time"

	"headrace/plugin"
)

// pause is a delay that ends when the client goes.
type pause chan struct{}

// Cancel implements canceler. It is called with the connection's lock held and
// must not block.
func (p pause) Cancel() {
	select {
	case p <- struct{}{}:
	default:
	}
}

// ClientStays implements plugin.Sleeper.
func (f *flow) ClientStays(d time.Duration) bool {
	p := make(pause, 1)
	f.conn.onCall(p)
	defer f.conn.onCall(nil)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !f.conn.gone.Load()
	case <-p:
		return false
	}
}

var _ plugin.Sleeper = (*flow)(nil)
