// Package lb chooses one of several targets for a request and watches their
// health. A Balancer picks by weighted round robin or by a consistent hash
// inside priority groups; a Checker probes addresses and says which are usable.
//
// A pick takes no lock and allocates nothing: everything that it reads is
// immutable behind one atomic pointer, and all that it writes is a counter.
// The package imports nothing of Headrace.
package lb

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Algo is the way in which a priority group is balanced.
type Algo uint8

// The algorithms; APISIX calls them "roundrobin" and "chash".
const (
	RoundRobin Algo = iota
	CHash
)

// String returns the name that APISIX gives to the algorithm.
func (a Algo) String() string {
	switch a {
	case RoundRobin:
		return "roundrobin"
	case CHash:
		return "chash"
	}
	return "Algo(" + strconv.Itoa(int(a)) + ")"
}

// Target is a member of a Balancer, known to its callers by its index.
type Target struct {
	// Name places the target on the hash ring and tells it apart in Rebuild.
	Name string
	// Weight is the share of the picks inside the priority group. Negative
	// ones count as 0, those above 2^32-1 as that.
	//
	// A target of weight 0 gets nothing unless the whole group has weight 0
	// (then all are equal) or has only this member. This is ai-proxy.md 6.3
	// and 6.4, where APISIX itself picks a tried member twice (roundrobin) or
	// fails (chash with all weights 0).
	Weight int
	// Priority groups the targets; the highest group is used first.
	Priority int
}

// Balancer picks targets. All methods may be called by any number of
// goroutines; it needs no closing.
type Balancer struct {
	algo    Algo
	targets []Target
	tiers   []tier // of all targets, highest priority first

	plan atomic.Pointer[plan]

	mu   sync.Mutex // orders SetDown and Rebuild; Pick never takes it
	down Set        // as given to SetDown
}

// tier is a priority group with everything that does not depend on health.
type tier struct {
	priority int
	members  []int32
	counter  *counter // RoundRobin
	ring     *ring    // CHash
}

// plan is what Pick reads, highest priority first. It is immutable.
type plan struct {
	wheels []*wheel // RoundRobin: groups with usable members, made of these only
	rings  []*ring  // CHash: all groups with all members
	down   Set      // CHash: members to be skipped
}

// New returns a balancer over targets, which are copied; the indexes that Pick
// returns and that a Set holds are theirs. All targets are up. The rotation of
// each group starts at a random place, as in APISIX: the first request of many
// routes, or of a fleet that restarts, does not always meet the same target.
func New(algo Algo, targets []Target) *Balancer {
	return build(algo, targets, nil)
}

// Rebuild returns a balancer for a changed configuration. b remains usable for
// requests that began with it. A priority group whose members, weights and
// order are the same shares its counters (or its ring) with b, so the rotation
// goes on over both; one that has changed goes on from where it was. Targets
// that are down stay so, by name, until the next SetDown.
func (b *Balancer) Rebuild(algo Algo, targets []Target) *Balancer {
	return build(algo, targets, b)
}

func build(algo Algo, targets []Target, old *Balancer) *Balancer {
	if algo > CHash {
		panic("BUG: unknown algorithm " + algo.String())
	}
	b := &Balancer{algo: algo, targets: slices.Clone(targets)}
	var index []int32
	for i := range b.targets {
		index = append(index, int32(i))
	}
	slices.SortStableFunc(index, func(x, y int32) int {
		return cmp.Compare(b.targets[y].Priority, b.targets[x].Priority)
	})
	for len(index) > 0 {
		priority, n := b.targets[index[0]].Priority, 1
		for n < len(index) && b.targets[index[n]].Priority == priority {
			n++
		}
		t := tier{priority: priority, members: index[:n:n]}
		index = index[n:]
		before, same := old.tier(b, &t)
		switch {
		case algo == CHash && same && before.ring != nil && slices.Equal(before.members, t.members):
			t.ring = before.ring
		case algo == CHash:
			t.ring = newRing(b.targets, t.members)
		case same && before.counter != nil:
			t.counter = before.counter
		default:
			t.counter = new(counter)
			t.counter.turns.Store(uint64(rand.Uint32()))
			if before != nil && before.counter != nil {
				t.counter.turns.Store(before.counter.turns.Load())
			}
		}
		b.tiers = append(b.tiers, t)
	}
	b.publish(old.downNames(b.targets))
	return b
}

// tier finds the group of b that has the priority of t, which belongs to the
// balancer of; same says whether its members are the same targets.
func (b *Balancer) tier(of *Balancer, t *tier) (found *tier, same bool) {
	if b == nil {
		return nil, false
	}
	for i := range b.tiers {
		if found = &b.tiers[i]; found.priority == t.priority {
			return found, slices.EqualFunc(found.members, t.members, func(x, y int32) bool {
				return b.targets[x] == of.targets[y]
			})
		}
	}
	return nil, false
}

// downNames returns which of targets are down in b. Where several targets of b
// have one name, all of them must be.
func (b *Balancer) downNames(targets []Target) (down Set) {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down.Count() == 0 {
		return nil
	}
	state := make(map[string]bool, len(b.targets))
	for i, t := range b.targets {
		before, known := state[t.Name]
		state[t.Name] = b.down.Has(i) && (before || !known)
	}
	for i, t := range targets {
		if state[t.Name] {
			down.Add(i)
		}
	}
	return down
}

// Pick returns the index of a target that is not in skip, or -1 when nothing is
// left. key is used by CHash only (see Hash).
//
// The groups are asked from the highest priority on. A caller that keeps in
// skip what it has tried or must not use, and only ever adds to it, thereby
// exhausts a group, goes on in the next one and never comes back
// (ai-proxy.md 6.2). skip is not kept.
func (b *Balancer) Pick(key uint32, skip Set) int {
	p := b.plan.Load()
	for _, w := range p.wheels {
		if t := w.pick(skip); t >= 0 {
			return t
		}
	}
	for _, r := range p.rings {
		if t := r.pick(key, skip, p.down); t >= 0 {
			return t
		}
	}
	return -1
}

// SetDown says which targets must not be picked; the next Pick knows it. When
// that leaves nothing to pick at all, everything is used again: all down means
// none down (ai-proxy.md 6.7).
//
// RoundRobin rotates over the others, and a group without any disappears. CHash
// keeps its rings whole and skips, so that no other key changes its target.
//
// down is copied. The call costs as much as the schedules that change, tens of
// milliseconds for thousands of unequal targets: it is for health checks, not for
// the path of a request.
func (b *Balancer) SetDown(down Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publish(down)
}

// Groups returns the number of priority groups in use: with one, APISIX reports
// exhaustion as "all upstream servers tried", else as "all servers tried".
func (b *Balancer) Groups() int {
	p := b.plan.Load()
	return len(p.wheels) + len(p.rings)
}

// Len returns the number of targets.
func (b *Balancer) Len() int { return len(b.targets) }

// publish swaps in a plan; b.mu is held or b not yet shared.
func (b *Balancer) publish(down Set) {
	b.down = b.down[:0]
	up := 0
	for i := range b.targets {
		if down.Has(i) {
			b.down.Add(i)
		} else {
			up++
		}
	}
	old, p := b.plan.Load(), new(plan)
	if b.algo == CHash {
		left := false
		for _, t := range b.tiers {
			p.rings = append(p.rings, t.ring)
			left = left || t.ring.left(nil, b.down)
		}
		// Members without points do not count: they cannot be picked.
		if left {
			p.down = slices.Clone(b.down)
		}
		b.plan.Store(p)
		return
	}
	var usable []int32
	for _, t := range b.tiers {
		usable = usable[:0]
		for _, m := range t.members {
			if up == 0 || !b.down.Has(int(m)) {
				usable = append(usable, m)
			}
		}
		if len(usable) > 0 {
			p.wheels = append(p.wheels, old.wheel(b.targets, usable, t.counter))
		}
	}
	b.plan.Store(p)
}

// wheel returns the wheel of p over exactly these members, or a new one.
func (p *plan) wheel(targets []Target, members []int32, c *counter) *wheel {
	if p != nil {
		for _, w := range p.wheels {
			if slices.Equal(w.members, members) {
				return w
			}
		}
	}
	return newWheel(targets, slices.Clone(members), c)
}
