package limit

import (
	"sync"
	"time"

	"headrace/plugin"
)

// Slots counts requests under way. It may be used concurrently.
type Slots interface {
	// Enter lets a request in if every share has a slot left. The request takes
	// one of each and gives them back when it ends, whatever ends it. It
	// returns the index of the first share without one, or -1; none is taken
	// then.
	Enter(c *plugin.Ctx, shares []Share) (full int, err error)
}

// slots are the requests of one key.
type slots struct {
	n     int64
	until int64 // when it may be forgotten if n is 0
	mu    *sync.Mutex
}

// idleSlots is how long a key without requests stays.
const idleSlots = time.Minute

// localSlots are slots in this process.
type localSlots struct{ *table[slots] }

func newLocalSlots(room *Room) *localSlots {
	return &localSlots{newTable(room,
		func(s *slots, now int64) bool { return s.n == 0 && s.until <= now },
		func(s *slots) bool { return s.n > 0 })}
}

// Enter implements Slots. It never fails.
func (l *localSlots) Enter(c *plugin.Ctx, shares []Share) (full int, err error) {
	var mask uint64
	for i := range shares {
		mask |= l.bit(shares[i].Key)
	}
	l.lock(mask)
	defer l.unlock(mask)
	now := l.now()
	for i := range shares {
		e, _ := l.get(shares[i].Key, now)
		if shares[i].Count = e.v.n + 1; shares[i].Count > shares[i].Max {
			return i, nil
		}
	}
	for i := range shares {
		e, s := l.get(shares[i].Key, now)
		if e.v.mu == nil { // else End may be reading it
			e.v.mu = &s.mu
		}
		e.v.n++
		e.v.until = now + int64(idleSlots)
		s.renew(e)
		c.OnEnd(&e.v)
	}
	return -1, nil
}

// End implements plugin.Ender. The entry is there: it is held while n is not 0.
func (s *slots) End(*plugin.Ctx) {
	s.mu.Lock()
	s.n--
	s.mu.Unlock()
}
