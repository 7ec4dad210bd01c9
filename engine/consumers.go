package engine

import (
	"cmp"
	"maps"
	"slices"

	"headrace/conf"
	"headrace/plugin"
)

// person is a consumer of a snapshot with its credentials. It is immutable: a
// change of any of them makes a new one, so the pointer stands for the revision.
type person struct {
	name        string
	item        conf.Item            // Raw is nil: there are credentials only
	credentials map[string]conf.Item // by their id among the consumer's
	group       string
	plugins     conf.PluginList // those that run for the consumer's requests, credentials not among them
	self        *plugin.Consumer
	keys        []consumerKey
	refs        []string // to secret managers
}

// consumerKey is one unique key by which a person is found.
type consumerKey struct {
	name string // plugin and key
	who  *plugin.Consumer
}

// directoryKey is the name of a key among those of all auth plugins.
func directoryKey(dst []byte, name string, key []byte) []byte {
	return append(append(append(dst, name...), 0), key...)
}

// ByKey implements plugin.Directory. Of several with one key the one that was
// loaded last counts.
func (s *Snapshot) ByKey(name string, key []byte) *plugin.Consumer {
	var room [128]byte
	all, _ := s.keys.getBytes(directoryKey(room[:0], name, key))
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// ByName implements plugin.Directory.
func (s *Snapshot) ByName(name string) *plugin.Consumer {
	if p, ok := s.people.get(name); ok {
		return p.self
	}
	return nil
}

// consumerEdit is a batch of changes to the consumers of a snapshot.
type consumerEdit struct {
	e      *Engine
	people *cowEdit[*person]
	keys   *cowEdit[[]*plugin.Consumer]
	items  map[string]*person // touched: what they are made of, not yet what they make
}

func newConsumerEdit(e *Engine, s *Snapshot) consumerEdit {
	return consumerEdit{e, editMap(&s.people), editMap(&s.keys), map[string]*person{}}
}

// touch returns a consumer that will be made anew.
func (ed *consumerEdit) touch(name string) *person {
	p := ed.items[name]
	if p != nil {
		return p
	}
	p = &person{name: name, credentials: map[string]conf.Item{}}
	if old, ok := ed.people.m.get(name); ok {
		p.item = old.item
		maps.Copy(p.credentials, old.credentials)
	}
	ed.items[name] = p
	return p
}

// apply takes one change of a consumer or a credential in.
func (ed *consumerEdit) apply(ch *conf.Change) {
	name, credential := conf.CredentialID(ch.ID)
	p := ed.touch(name)
	switch {
	case credential == "" && ch.Deleted:
		p.item = conf.Item{}
	case credential == "":
		p.item = ch.Item
	case ch.Deleted:
		delete(p.credentials, credential)
	default:
		p.credentials[credential] = ch.Item
	}
}

// finish puts the touched consumers in force.
func (ed *consumerEdit) finish() {
	for name, p := range ed.items {
		if old, ok := ed.people.m.get(name); ok {
			for _, k := range old.keys {
				ed.remove(k)
			}
		}
		if p.item.Raw == nil && len(p.credentials) == 0 {
			ed.people.delete(name)
			continue
		}
		p.build(ed.e)
		for _, k := range p.keys {
			all, _ := ed.keys.m.get(k.name)
			ed.keys.set(k.name, append(slices.Clip(all), k.who))
		}
		ed.people.set(name, p)
	}
}

func (ed *consumerEdit) remove(k consumerKey) {
	all, _ := ed.keys.m.get(k.name)
	rest := slices.DeleteFunc(slices.Clone(all), func(who *plugin.Consumer) bool { return who == k.who })
	if len(rest) == 0 {
		ed.keys.delete(k.name)
	} else {
		ed.keys.set(k.name, rest)
	}
}

// build finds out how the consumer is recognised. A credential that cannot be
// used, because a secret of it cannot be resolved for example, is left out.
func (p *person) build(e *Engine) {
	if p.item.Raw == nil {
		return // credentials of nobody
	}
	cfg, err := conf.DecodeConsumer(p.item.Raw)
	if err != nil {
		return // said when it was admitted
	}
	p.group = string(cfg.GroupID)
	p.self = &plugin.Consumer{Name: p.name, Group: p.group, Labels: cfg.Labels, Entry: p}
	for _, m := range cfg.Plugins {
		if e.registry.isAuth(m.Name) {
			p.credential(e, m, "")
		} else {
			p.plugins = append(p.plugins, m)
		}
	}
	items := make([]conf.Item, 0, len(p.credentials))
	for _, it := range p.credentials {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b conf.Item) int { return cmp.Or(cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.ID, b.ID)) })
	for _, it := range items {
		_, id := conf.CredentialID(it.ID)
		if cfg, err := conf.DecodeConsumer(it.Raw); err == nil {
			for _, m := range cfg.Plugins {
				p.credential(e, m, id)
			}
		}
	}
}

// credential adds a way to recognise the consumer; id is the credential's.
func (p *person) credential(e *Engine, m conf.Plugin, id string) {
	spec := e.registry.Spec(m.Name)
	if spec == nil || spec.Credential == nil {
		return // warned about when it was admitted
	}
	key, auth, err := spec.Credential.Bind(m.Conf, e.resolver(&p.refs, false))
	if err != nil {
		e.log.Error("a credential cannot be used", "consumer", p.name, "credential", id, "plugin", m.Name, "err", err)
		return
	}
	who := *p.self
	who.Credential, who.Auth = id, auth
	p.keys = append(p.keys, consumerKey{string(directoryKey(nil, m.Name, []byte(key))), &who})
}
