package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Work that is done sooner is not worth a line.
const progressAfter = time.Second

// progress tells a person at a terminal that a long job goes on. Anywhere else
// it is nil, and its methods do nothing.
type progress struct {
	label       string
	begun       time.Time
	total, done atomic.Int64
	ended       chan struct{}
	clean       sync.WaitGroup
}

// startProgress shows label on standard error once it takes a while. stop takes
// the line away.
func startProgress(label string) *progress {
	if _, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ); err != nil {
		return nil
	}
	p := &progress{label: label, begun: time.Now(), ended: make(chan struct{})}
	p.clean.Go(p.run)
	return p
}

func (p *progress) run() {
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	for shown := false; ; shown = true {
		select {
		case <-p.ended:
			if shown {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			return
		case <-timer.C:
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s", p.line())
			timer.Reset(200 * time.Millisecond)
		}
	}
}

// line fits the terminal, or it could not be taken away.
func (p *progress) line() string {
	s := p.label
	if total := p.total.Load(); total > 0 {
		s = fmt.Sprintf("%d of %d  %s", p.done.Load(), total, s)
	}
	s = fmt.Sprintf("%3.0f s  %s", time.Since(p.begun).Seconds(), s)
	if size, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 1 && len(s) >= int(size.Col) {
		s = s[:size.Col-1]
	}
	return s
}

// of says how many steps there are, and begins with none done.
func (p *progress) of(total int) {
	if p != nil {
		p.done.Store(0)
		p.total.Store(int64(total))
	}
}

func (p *progress) step() {
	if p != nil {
		p.done.Add(1)
	}
}

func (p *progress) stop() {
	if p != nil {
		close(p.ended)
		p.clean.Wait()
	}
}
