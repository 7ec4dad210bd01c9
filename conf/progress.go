package conf

import (
	"context"
	"sync"
)

// Progress is a revision that grows and can be waited for. The zero value is
// ready; all methods may be called at the same time.
type Progress struct {
	mu   sync.Mutex
	rev  int64
	more chan struct{}
}

// Reach says that everything up to rev is there. A smaller one than before
// changes nothing.
func (p *Progress) Reach(rev int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rev <= p.rev {
		return
	}
	p.rev = rev
	if p.more != nil {
		close(p.more)
		p.more = nil
	}
}

// Reset begins anew, where revisions of another history follow.
func (p *Progress) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rev = 0
}

// Wait returns when Reach was called with rev or more: nil, or why it did not
// wait any longer, which is ErrClosed when closed was.
func (p *Progress) Wait(ctx context.Context, closed <-chan struct{}, rev int64) error {
	for {
		ok, more := p.reached(rev)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return ErrClosed
		case <-more:
		}
	}
}

func (p *Progress) reached(rev int64) (bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more == nil {
		p.more = make(chan struct{})
	}
	return p.rev >= rev, p.more
}
