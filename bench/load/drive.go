//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// job is a load: so many connections, each with one request at a time.
type job struct {
	conns  int
	prompt prompt
	events int                // in a complete stream; 0: plain answers, -1: not checked
	once   bool               // one request each, which is not meant to end
	silent bool               // no answer is expected at all
	header func(i int) string // one more script for connection i
}

// drive is a job under way against one address.
type drive struct {
	job
	addr     string
	path     string
	tally    tally
	stopping atomic.Bool
	wg       sync.WaitGroup
	slots    chan struct{} // connections being opened

	mu      sync.Mutex
	clients map[*client]struct{}
}

var errStopping = errors.New("the drive is over")

// maxFaults is after how many failures in a row a connection gives up.
const maxFaults = 20

func startDrive(g *gateway, j job) *drive {
	d := &drive{job: j, clients: map[*client]struct{}{}}
	d.addr, d.path = g.target(j.prompt.stream)
	// Few at a time: a full accept queue would cost a second.
	d.slots = make(chan struct{}, 64)
	// Every request is there before the first one is sent.
	sources := make([]*source, j.conns)
	for i := range sources {
		if !j.once {
			sources[i] = d.source(i)
		}
	}
	for i, src := range sources {
		d.wg.Go(func() { d.work(i, src) })
	}
	d.wg.Go(d.watch)
	return d
}

// watch pokes connections that are silent for 50 ms, until the drive stops.
func (d *drive) watch() {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for !d.stopping.Load() {
		<-t.C
		d.mu.Lock()
		for c := range d.clients {
			c.poke()
		}
		d.mu.Unlock()
	}
}

// source makes the requests of connection i.
func (d *drive) source(i int) *source {
	p := d.prompt
	if d.header != nil {
		p.headers = append(p.headers[:len(p.headers):len(p.headers)], d.header(i))
	}
	return newSource(d.addr, d.path, p, i, d.conns)
}

// work keeps connection i busy until the drive stops.
func (d *drive) work(i int, src *source) {
	faults := 0
	for !d.stopping.Load() && faults < maxFaults {
		c, err := d.open()
		if err == nil {
			if d.once {
				// Not kept: thousands of long prompts would fill the memory.
				err = c.do(d.source(i).request())
				if err == nil {
					err = fmt.Errorf("the answer ended where it should not")
				}
			} else {
				err = d.repeat(c, src, &faults)
			}
			d.close(c)
		}
		if d.stopping.Load() {
			return
		}
		if err != nil {
			faults++
			d.tally.fail(err)
			if d.once {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// repeat sends requests until one fails or the server ends the connection.
func (d *drive) repeat(c *client, src *source, faults *int) error {
	for !d.stopping.Load() {
		if err := c.do(src.request()); err != nil {
			return err
		}
		if err := d.check(&c.res); err != nil {
			return err
		}
		*faults = 0
		d.tally.requests.Add(1)
		if c.res.closes {
			return nil
		}
	}
	return nil
}

// check looks whether a finished answer is what the mock sends.
func (d *drive) check(r *response) error {
	switch {
	case d.events == 0:
		if r.bytes < 100 || !r.endsWith("}") {
			return fmt.Errorf("plain answer has %d bytes and ends with %q", r.bytes, r.tail)
		}
	case !r.endsWith("data: [DONE]\n\n"):
		return fmt.Errorf("stream ends with %q after %d events", r.tail, r.events())
	case d.events > 0 && r.events() != d.events:
		return fmt.Errorf("stream has %d events, want %d", r.events(), d.events)
	}
	return nil
}

// open dials when fewer than 64 others are at it. The slot is free again when
// the gateway has taken the connection, which the first event shows.
func (d *drive) open() (*client, error) {
	d.slots <- struct{}{}
	var once sync.Once
	release := func() { once.Do(func() { <-d.slots }) }
	if d.events == 0 || d.silent {
		time.AfterFunc(5*time.Millisecond, release)
	}
	if d.stopping.Load() {
		release()
		return nil, errStopping
	}
	c, err := dial(d.addr, &d.tally)
	if err != nil {
		release()
		return nil, fmt.Errorf("cannot connect: %w", plainError(err))
	}
	c.stream, c.onOpen = d.events != 0, release
	d.mu.Lock()
	d.clients[c] = struct{}{}
	d.mu.Unlock()
	if d.stopping.Load() {
		c.nc.Close()
	}
	return c, nil
}

func (d *drive) close(c *client) {
	c.nc.Close()
	c.onOpen()
	d.mu.Lock()
	delete(d.clients, c)
	d.mu.Unlock()
}

// await waits until count, which is named by what, reaches n.
func (d *drive) await(ctx context.Context, n int64, what string, count func() int64) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		have := count()
		switch {
		case have >= n:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(deadline):
			return fmt.Errorf("only %d of %d %s after 30 s", have, n, what)
		case d.tally.failed.Load() >= max(n/2, maxFaults):
			return fmt.Errorf("only %d of %d %s, %d connections failed", have, n, what, d.tally.failed.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop closes every connection, whatever it is at, and returns when all is
// quiet.
func (d *drive) stop() {
	d.stopping.Store(true)
	d.mu.Lock()
	for c := range d.clients {
		c.nc.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// faults are the failures so far, each with its number.
func (d *drive) faults() (list []string) {
	d.tally.mu.Lock()
	defer d.tally.mu.Unlock()
	for text, n := range d.tally.faults {
		list = append(list, fmt.Sprintf("%d × %s", n, text))
	}
	return list
}

// sleep waits unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
