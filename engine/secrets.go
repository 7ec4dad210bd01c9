package engine

import (
	"bytes"
	"strings"
	"time"

	"headrace/conf"
	"headrace/conf/secret"
)

// newSecrets makes the resolver of references to secret managers. A value that
// changes makes everything anew that was compiled with it.
func (e *Engine) newSecrets() *secret.Manager {
	return secret.New(secret.Options{
		Env: func(ref string) (string, error) {
			v, _, err := conf.Resolve(ref, e.opts.Env)
			return v, err
		},
		TTL: e.opts.SecretTTL, NegTTL: e.opts.SecretNegTTL, Pause: e.opts.SecretPause, RootCAs: e.opts.Wire.RootCAs, Log: e.log,
		Changed: func() {
			select {
			case e.rotated <- struct{}{}:
			default:
			}
		},
	})
}

// resolver returns what resolves the references of one owner. Those to secret
// managers are noted in refs; wait says whether they are waited for.
func (e *Engine) resolver(refs *[]string, wait bool) func(ref string) (string, error) {
	return func(ref string) (string, error) {
		if !strings.HasPrefix(ref, secret.Prefix) {
			v, _, err := conf.Resolve(ref, e.opts.Env)
			return v, err
		}
		*refs = append(*refs, ref)
		if wait {
			return e.secrets.Resolve(ref)
		}
		return e.secrets.Peek(ref)
	}
}

// followSecrets puts new values of secrets in force.
func (e *Engine) followSecrets() {
	for {
		select {
		case <-e.stop:
			return
		case <-e.rotated:
			e.change(func(s *Snapshot) *Snapshot { return s.rotate(e) })
		}
	}
}

// rotate is the snapshot with the secrets as they are now: consumers are found
// by their new keys, and routes are compiled anew by their next request.
func (s *Snapshot) rotate(e *Engine) *Snapshot {
	next := *s
	next.Version++
	next.warm = nil
	next.derived++
	ed := newConsumerEdit(e, s)
	s.people.each(func(_ string, p *person) {
		if len(p.refs) > 0 {
			ed.touch(p.name)
		}
	})
	ed.finish()
	next.people, next.keys = *ed.people.m, *ed.keys.m
	next.certificates = s.certificates.renewed(e)
	next.globals = e.compileGlobals(&next)
	s.routes.each(func(_ string, ent *entry) {
		if ent.checked && bytes.Contains(ent.item.Raw, []byte(secret.Prefix)) {
			next.warm = append(next.warm, ent)
		}
	})
	return &next
}

// refused is told that a provider did not accept the credentials of a route:
// they may have been replaced.
func (e *Engine) refused(rt *Route) {
	if len(rt.refs) > 0 {
		e.secrets.Suspect(rt.refs)
	}
}

// secretIdle is how long a secret is kept current that nobody asks for.
const secretIdle = 10 * time.Minute

// retainSecrets lets go of the secrets that nothing uses any more.
func (e *Engine) retainSecrets() {
	used := map[string]bool{}
	note := func(refs []string) {
		for _, ref := range refs {
			used[ref] = true
		}
	}
	s := e.snap.Load()
	s.routes.each(func(_ string, ent *entry) {
		if rt := ent.hot.at.Load(); rt != nil {
			note(rt.refs)
			rt.variants.Range(func(_, v any) bool { note(v.(*Route).refs); return true })
		}
	})
	s.people.each(func(_ string, p *person) { note(p.refs) })
	note(s.refs)
	if s.certificates != nil {
		for _, c := range s.certificates.byID {
			note(c.refs)
		}
	}
	e.secrets.Retain(used, secretIdle)
}
