package engine

import (
	"runtime"
	"sync"

	"headrace/conf"
)

// admitted is a change with the verdict on it.
type admitted struct {
	ch    *conf.Change
	route *conf.Route // of a route that was written
	found []Finding
}

// admitMany is how many changes are judged before the first of them is applied.
const admitMany = 1024

// judge validates changes, many of them on all cores: a start with 100,000
// routes is mostly this.
func (e *Engine) judge(changes []*conf.Change) []admitted {
	all := make([]admitted, len(changes))
	one := func(i int) {
		a := &all[i]
		switch a.ch = changes[i]; {
		case a.ch.Deleted:
		case a.ch.Kind == conf.Routes:
			a.route, a.found = e.registry.CheckRoute(a.ch.Raw)
		default:
			a.found = e.registry.CheckItem(a.ch.Item)
		}
	}
	const part = 32
	if len(changes) <= part {
		for i := range all {
			one(i)
		}
		return all
	}
	var work sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for at := range next {
				for i := at; i < min(at+part, len(all)); i++ {
					one(i)
				}
			}
		})
	}
	for at := 0; at < len(all); at += part {
		next <- at
	}
	close(next)
	work.Wait()
	return all
}

// admit logs what is to be said about a change and tells whether it may be used.
func (e *Engine) admit(a *admitted) bool {
	it := &a.ch.Item
	for i := range a.found {
		if f := &a.found[i]; f.Level < Invalid {
			e.log.Warn(f.Text, "kind", it.Kind.String(), "id", it.ID)
		}
	}
	bad := worst(a.found, Invalid)
	if bad == nil {
		return true
	}
	e.stats.badItems.Inc()
	e.log.Error("failed to check item data of ["+it.Kind.String()+"] err:"+bad.Text, "kind", it.Kind.String(), "id", it.ID)
	return false
}
