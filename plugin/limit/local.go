package limit

// localWindows are windows in this process.
type localWindows struct {
	*table[window]
	kind windowKind
}

func newLocalWindows(kind windowKind, room *Room) *localWindows {
	return &localWindows{newTable(room, (*window).over, nil), kind}
}

// Take implements Windows. It never fails.
func (l *localWindows) Take(rules []Rule, need, cost int64) (over int, err error) {
	mask := l.maskOf(rules)
	l.lock(mask)
	now := l.now()
	over = -1
	for i := range rules {
		r := &rules[i]
		w := l.window(r, now)
		if !l.kind.fits(w, r, need, now) {
			l.kind.tell(w, r, false, now)
			over = i
			break
		}
		if len(rules) == 1 {
			w.used += cost
		}
		l.kind.tell(w, r, true, now)
	}
	if over < 0 && len(rules) > 1 {
		l.charge(rules, cost, now)
	}
	l.unlock(mask)
	return over, nil
}

// Add implements Windows.
func (l *localWindows) Add(rules []Rule, cost int64) {
	mask := l.maskOf(rules)
	l.lock(mask)
	l.charge(rules, cost, l.now())
	l.unlock(mask)
}

func (l *localWindows) charge(rules []Rule, cost, now int64) {
	for i := range rules {
		w := l.window(&rules[i], now)
		w.used += cost
		l.kind.tell(w, &rules[i], true, now)
	}
}

// window returns the window of a rule as it is now; its shard is locked.
func (l *localWindows) window(r *Rule, now int64) *window {
	e, s := l.get(r.Key, now)
	if l.kind.roll(&e.v, r.Window, now) {
		s.renew(e)
	}
	return &e.v
}

func (l *localWindows) maskOf(rules []Rule) (mask uint64) {
	for i := range rules {
		mask |= l.bit(rules[i].Key)
	}
	return mask
}
