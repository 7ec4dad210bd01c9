package conf

import (
	"bytes"
	"log/slog"
	"time"
)

// documentState is what the last good reading of a document gave: the items in
// force, and how the next document differs from them.
type documentState struct {
	rev   int64
	order []string // keys of items in the order of the document
	items map[string]entry
}

// next gives the entries their revisions: an item that did not change keeps
// its own, and so does one whose modifiedIndex did not.
func (s documentState) next(entries []entry, now time.Time, log *slog.Logger) documentState {
	n := documentState{rev: max(s.rev+1, now.UnixMilli()), items: make(map[string]entry, len(entries))}
	for _, e := range entries {
		key := itemKey(e.Kind, e.ID)
		old, ok := s.items[key]
		switch same := bytes.Equal(old.Raw, e.Raw); {
		case ok && e.modified != 0 && e.modified == old.modified:
			if !same {
				attrs := []any{"item", key}
				if e.line > 0 {
					attrs = append(attrs, "file line", e.line)
				}
				log.Warn("item changed but its modifiedIndex did not: the change is not applied", attrs...)
			}
			e.Item = old.Item
		case ok && same && e.modified == 0 && old.modified == 0:
			e.Item = old.Item
		case e.modified == 0:
			e.Rev = n.rev
		}
		e.Created = n.rev
		if ok {
			e.Created = old.Created
		}
		n.items[key] = e
		n.order = append(n.order, key)
	}
	return n
}

// moved reports whether items that are in both have another order now.
func (s documentState) moved(n documentState) bool {
	if s.rev == n.rev {
		return false
	}
	i := 0
	for _, key := range s.order {
		if _, ok := n.items[key]; !ok {
			continue
		}
		for ; i < len(n.order); i++ {
			if _, ok := s.items[n.order[i]]; ok {
				break
			}
		}
		if n.order[i] != key {
			return true
		}
		i++
	}
	return false
}

// diff lists the deletions first: an item may have moved to another id.
func (s documentState) diff(n documentState) []Change {
	var changes []Change
	for _, key := range s.order {
		if _, ok := n.items[key]; !ok {
			it := s.items[key].Item
			it.Raw, it.Rev = nil, n.rev
			changes = append(changes, Change{Item: it, Deleted: true})
		}
	}
	for _, key := range n.order {
		e, old := n.items[key], s.items[key]
		if old.Raw == nil || old.Rev != e.Rev || !bytes.Equal(old.Raw, e.Raw) {
			changes = append(changes, Change{Item: e.Item})
		}
	}
	return changes
}

func (s documentState) list() []Item {
	items := make([]Item, len(s.order))
	for i, key := range s.order {
		items[i] = s.items[key].Item
	}
	return items
}
