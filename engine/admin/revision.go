package admin

import (
	"context"

	"headrace/conf"
)

// saw notes that the store has reached a revision.
func (a *API) saw(rev int64) {
	for {
		cur := a.seen.Load()
		if rev <= cur || a.seen.CompareAndSwap(cur, rev) {
			return
		}
	}
}

// deletedAt returns the revision that deleted the item, or a later one; 0 if
// that cannot be found out. A Store does not tell it, but its history does.
// after is a revision from before the deletion.
func (a *API) deletedAt(old conf.Item, after int64) (rev int64) {
	ctx, cancel := context.WithTimeout(context.Background(), appliedWait)
	defer cancel()
	_ = a.Store.Watch(ctx, after, func(changes []conf.Change, _ int64) {
		for i := range changes {
			if ch := &changes[i]; ch.Deleted && ch.Kind == old.Kind && ch.ID == old.ID && rev == 0 {
				rev = ch.Rev
				cancel()
			}
		}
	})
	if rev > 0 {
		return rev
	}
	// The history does not go back to the item: it begins when a store is
	// opened. That happens once, saw remembers.
	if _, now, err := a.Store.Load(context.Background()); err == nil {
		rev = now
	}
	return rev
}
