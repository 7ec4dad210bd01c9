package secret

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Options of a Manager.
type Options struct {
	Env     Env           // resolves $env:// in the managers' own fields
	TTL     time.Duration // after which a value is asked for again; 0: 300 s
	NegTTL  time.Duration // the same after a failure; 0: 60 s
	Pause   time.Duration // between two attempts because of Suspect; 0: 10 s
	RootCAs *x509.CertPool
	Log     *slog.Logger // nil: none
	// Changed is called when a reference has another value than before, or
	// one at last. It must not block and may be called by any goroutine.
	Changed func()
}

// errNoManager says that a reference names an entry that is not there.
var errNoManager = errors.New("there is no secret manager")

// ErrPending says that a value is being fetched.
var ErrPending = errors.New("it is being fetched")

// Manager keeps the values of references. All methods may be called at the
// same time by any goroutine.
type Manager struct {
	o      Options
	client *http.Client
	stop   context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup
	now    func() time.Time

	mu       sync.Mutex
	backends map[string]entry // by "vault/1"
	values   map[string]*value
}

type entry struct {
	raw []byte
	backend
	err error
}

// value is what is known of one reference.
type value struct {
	text    string
	known   bool  // text was good once
	err     error // of the latest attempt
	due     time.Time
	fetched time.Time     // when the latest attempt began
	done    chan struct{} // closed when the attempt under way ends; nil: none
	asked   time.Time
	missed  bool // somebody went without it
}

// New makes a manager that knows no backend yet. Close it.
func New(o Options) *Manager {
	if o.TTL <= 0 {
		o.TTL = 300 * time.Second
	}
	if o.NegTTL <= 0 {
		o.NegTTL = 60 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	m := &Manager{o: o, now: time.Now, values: map[string]*value{}}
	m.client = &http.Client{Timeout: timeout, CheckRedirect: stay, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: o.RootCAs}, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, Proxy: http.ProxyFromEnvironment,
	}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.work.Go(m.refresh)
	return m
}

// Close ends what is under way.
func (m *Manager) Close() {
	m.mu.Lock() // nothing is started after this
	m.stop()
	m.mu.Unlock()
	m.work.Wait()
	m.client.CloseIdleConnections()
}

// Configure sets the entries of all managers by id ("vault/1"). Values of an
// entry that changed are asked for again at once; until then the old ones stand.
func (m *Manager) Configure(entries map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]entry, len(entries))
	changed := map[string]bool{}
	for id, raw := range entries {
		if old, ok := m.backends[id]; ok && bytes.Equal(old.raw, raw) {
			next[id] = old
			continue
		}
		e := entry{raw: raw}
		e.backend, e.err = open(id, raw, m.o.Env, m.client)
		next[id], changed[id] = e, true
	}
	for id := range m.backends {
		if _, ok := next[id]; !ok {
			changed[id] = true
		}
	}
	m.backends = next
	for ref, v := range m.values {
		if id, _, _ := split(ref); changed[id] {
			m.fetch(ref, v)
		}
	}
}

// Resolve returns the value of a reference. It waits for a manager only when
// there is no value yet, and no longer than a few seconds.
func (m *Manager) Resolve(ref string) (string, error) {
	for {
		text, done, err := m.look(ref, true)
		if done == nil {
			return text, err
		}
		select {
		case <-done:
		case <-m.ctx.Done():
			return "", m.ctx.Err()
		}
	}
}

// Peek is Resolve without waiting: ErrPending while there is no value yet.
// Options.Changed tells when there is.
func (m *Manager) Peek(ref string) (string, error) {
	text, done, err := m.look(ref, false)
	if done != nil {
		return "", fmt.Errorf("cannot resolve %q: %w", ref, ErrPending)
	}
	return text, err
}

// look returns what is known; done is not nil while it can be waited for. A
// caller that does not wait is told by Options.Changed.
func (m *Manager) look(ref string, waits bool) (text string, done <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[ref]
	if v == nil {
		v = new(value)
		m.values[ref] = v
		m.fetch(ref, v)
	}
	v.asked = m.now()
	switch {
	case v.known:
		return v.text, nil, nil
	case v.done != nil:
		v.missed = v.missed || !waits
		return "", v.done, nil
	}
	v.missed = true
	return "", nil, fmt.Errorf("cannot resolve %q: %w", ref, v.err)
}

// Suspect asks for the values of references again: a provider has refused
// what they hold. It returns at once.
func (m *Manager) Suspect(refs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		if v := m.values[ref]; v != nil && m.now().Sub(v.fetched) >= m.o.Pause {
			m.fetch(ref, v)
		}
	}
}

// Retain forgets every value that is not in use and that nobody has asked for
// in the given time.
func (m *Manager) Retain(inUse map[string]bool, idle time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ref, v := range m.values {
		if !inUse[ref] && v.done == nil && m.now().Sub(v.asked) >= idle {
			delete(m.values, ref)
		}
	}
}

// fetch starts an attempt unless one is under way. The lock is held.
func (m *Manager) fetch(ref string, v *value) {
	if v.done != nil || m.ctx.Err() != nil {
		return
	}
	v.done, v.fetched = make(chan struct{}), m.now()
	id, name, ok := split(ref)
	e, there := m.backends[id]
	m.work.Go(func() {
		var text string
		var err error
		switch {
		case !ok:
			err = errors.New("it names no manager, entry and secret")
		case !there:
			err = fmt.Errorf("%w %s", errNoManager, id)
		case e.err != nil:
			err = e.err
		default:
			ctx, cancel := context.WithTimeout(m.ctx, timeout)
			text, err = e.fetch(ctx, name)
			cancel()
		}
		m.settle(ref, v, text, err)
	})
}

// settle takes the outcome of an attempt in.
func (m *Manager) settle(ref string, v *value, text string, err error) {
	m.mu.Lock()
	changed := false
	switch v.err = err; {
	case err == nil:
		changed = v.missed || v.known && v.text != text
		v.text, v.known, v.missed, v.due = text, true, false, m.now().Add(m.o.TTL)
	case errors.Is(err, errNoManager):
		changed = v.known // the operator took it away
		v.text, v.known, v.due = "", false, m.now().Add(m.o.NegTTL)
	default:
		v.due = m.now().Add(m.o.NegTTL)
	}
	kept := v.known
	close(v.done)
	v.done = nil
	m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil:
	case err != nil && kept:
		m.o.Log.Error("cannot resolve a secret again, the last value stays", "ref", ref, "err", err)
	case err != nil:
		m.o.Log.Error("failed to resolve secret reference: "+ref, "err", err)
	}
	if changed && m.ctx.Err() == nil {
		m.o.Changed()
	}
}

// refresh asks for values when they are due.
func (m *Manager) refresh() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
			m.mu.Lock()
			for ref, v := range m.values {
				if v.done == nil && !m.now().Before(v.due) {
					m.fetch(ref, v)
				}
			}
			m.mu.Unlock()
		}
	}
}
