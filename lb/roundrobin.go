package lb

import "sync/atomic"

// maxSchedule bounds the schedule of a group: 16 KiB. Weights whose sum over
// their divisor is larger are scaled down to it: 1,000,000:1 becomes 4,095:1.
// APISIX would be exact there, over a cycle of a million requests.
const maxSchedule = 4096

// counter is the rotation of a group. It outlives the schedules that it turns:
// changes of health and reloads share it.
type counter struct {
	_     [64]byte // cache lines of its own: every pick writes here
	turns atomic.Uint64
	_     [56]byte
	// detours counts the picks that may not have everybody, by who is left
	// out: one count for all would keep in step with failures that alternate.
	detours [8]atomic.Uint64
	_       [64]byte
}

// wheel is the schedule of a group's usable members.
type wheel struct {
	order   []int32 // one cycle: every member as often as it has units, spread evenly
	units   []uint64
	members []int32
	mask    Set // members with units
	counter *counter
}

func newWheel(targets []Target, members []int32, c *counter) *wheel {
	w := &wheel{members: members, counter: c}
	w.units = reduce(weights(targets, members), maxSchedule)
	for i, m := range members {
		if w.units[i] > 0 {
			w.mask.Add(int(m))
		}
	}
	w.order = schedule(members, w.units)
	return w
}

// schedule is nginx's smooth weighted round robin over one cycle, after which
// it would repeat itself: each step everyone gains its units and the richest is
// taken and pays for all (with one unit each, that is one after the other). 4:1 gives A A B A A. Any scheme with exact counts per
// cycle is compatible (ai-proxy.md 6.3); APISIX would take A A A A B.
func schedule(members []int32, units []uint64) []int32 {
	sum, most := 0, uint64(0)
	for _, u := range units {
		sum += int(u)
		most = max(most, u)
	}
	order := make([]int32, 0, sum)
	if most == 1 {
		for i, m := range members {
			if units[i] > 0 {
				order = append(order, m)
			}
		}
		return order
	}
	gain := make([]int, len(units))
	for range sum {
		best := -1
		for i, u := range units {
			gain[i] += int(u)
			if u > 0 && (best < 0 || gain[i] > gain[best]) {
				best = i
			}
		}
		gain[best] -= sum
		order = append(order, members[best])
	}
	return order
}

// pick returns the next member that is not in skip, or -1.
func (w *wheel) pick(skip Set) int {
	for i := range min(len(skip), len(w.mask)) {
		if skip[i]&w.mask[i] != 0 {
			return w.detour(skip)
		}
	}
	if len(w.order) == 1 {
		return int(w.order[0])
	}
	n := w.counter.turns.Add(1) - 1
	return int(w.order[n%uint64(len(w.order))])
}

// detour picks among the members that are not in skip, in proportion to their
// weights: exactly over each run of picks as long as the sum of their reduced
// units, as long as the same members are left out.
//
// It does not draw from the rotation, so retries and vetoes take nobody's turn:
// first choices stay exact. Nor does it walk on from a skipped place of the
// schedule, which would give the whole share of those left out to whoever
// happens to follow them (2:1:1 without the first would become 3:1), and take
// thousands of steps past a heavy one.
func (w *wheel) detour(skip Set) int {
	var sum, div uint64
	last, left := -1, 0
	for i, m := range w.members {
		if u := w.units[i]; u > 0 && !skip.Has(int(m)) {
			sum += u
			if div != 1 {
				div = gcd(u, div)
			}
			last = int(m)
			left++
		}
	}
	if left <= 1 {
		return last
	}
	var who uint64
	for i := range min(len(skip), len(w.mask)) {
		who = (who ^ skip[i]&w.mask[i]) * 0x9E3779B97F4A7C15
	}
	n := w.counter.detours[who>>61].Add(1) - 1

	// Steps of a large prime visit every unit once a cycle, and not one
	// member's units in a row.
	const step = 2654435761
	cycle := sum / div
	place := n % cycle * step % cycle * div
	for i, m := range w.members {
		if u := w.units[i]; u > 0 && !skip.Has(int(m)) {
			if place < u {
				return int(m)
			}
			place -= u
		}
	}
	panic("BUG: a place beyond the units of the group")
}
