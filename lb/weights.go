package lb

import (
	"cmp"
	"math"
	"slices"
)

// weights returns the weights that count inside a group: those of the members,
// or 1 for each when all are 0.
func weights(targets []Target, members []int32) []uint64 {
	ws := make([]uint64, len(members))
	zero := true
	for i, m := range members {
		ws[i] = uint64(min(max(targets[m].Weight, 0), math.MaxUint32))
		zero = zero && ws[i] == 0
	}
	if zero {
		for i := range ws {
			ws[i] = 1
		}
	}
	return ws
}

// reduce turns weights into units: over their greatest common divisor, exact as
// long as the sum is at most limit. A larger sum is scaled down to limit by
// largest remainders, where every positive weight keeps at least one unit;
// limit gives way when there are more members than that.
func reduce(ws []uint64, limit int) []uint64 {
	units := divide(slices.Clone(ws))
	sum, positive := uint64(0), 0
	for _, u := range units {
		sum += u
		if u > 0 {
			positive++
		}
	}
	total := uint64(max(limit, positive))
	if sum <= total {
		return units
	}

	// First the members whose quota is below one unit, which changes the
	// quota of the others and so may repeat.
	var rest []int
	for i, u := range units {
		if u > 0 {
			rest = append(rest, i)
		}
	}
	for {
		before, left, quota := len(rest), sum, total
		rest = slices.DeleteFunc(rest, func(i int) bool {
			if units[i]*quota >= left {
				return false
			}
			sum, total = sum-units[i], total-1
			units[i] = 1
			return true
		})
		if len(rest) == before {
			break
		}
	}

	spare := total
	rem := make([]uint64, len(units))
	for _, i := range rest {
		rem[i] = units[i] * total % sum
		units[i] = units[i] * total / sum
		spare -= units[i]
	}
	slices.SortStableFunc(rest, func(x, y int) int { return cmp.Compare(rem[y], rem[x]) })
	for _, i := range rest[:spare] {
		units[i]++
	}
	return divide(units)
}

// divide divides by the greatest common divisor, in place.
func divide(ws []uint64) []uint64 {
	g := uint64(0)
	for _, w := range ws {
		g = gcd(g, w)
	}
	if g > 1 {
		for i := range ws {
			ws[i] /= g
		}
	}
	return ws
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
