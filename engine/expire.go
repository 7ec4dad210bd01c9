package engine

import "time"

// expireState drops long-lived values that nothing uses any more.
func (e *Engine) expireState() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case now := <-tick.C:
			used := map[string]bool{}
			e.snap.Load().routes.each(func(_ string, ent *entry) {
				if rt := ent.hot.at.Load(); rt != nil {
					rt.inUse(used)
					rt.variants.Range(func(_, v any) bool { v.(*Route).inUse(used); return true })
				}
			})
			e.snap.Load().routes.each(func(id string, ent *entry) {
				if ent.checked {
					used[balanceKey(id)] = true
				}
			})
			e.snap.Load().upstreams.each(func(id string, _ *upstreamEntry) { used[upstreamKey(id)] = true })
			for _, key := range e.snap.Load().holds {
				used[key] = true
			}
			e.retainSecrets()
			if now.Minute()%10 == 0 {
				e.tokens.Sweep()
			}
			e.state.expire(now.Add(-stateIdle), func(key string) bool { return used[key] })
		}
	}
}

func (rt *Route) inUse(used map[string]bool) {
	for _, key := range rt.holds {
		used[key] = true
	}
}
