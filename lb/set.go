package lb

import "math/bits"

// Set is a set of target indexes, a bit for each: tried, down, vetoed. The zero
// value is empty. It is not safe for concurrent changes.
type Set []uint64

// Has says whether target i is in the set.
func (s Set) Has(i int) bool {
	w := uint(i) >> 6
	return w < uint(len(s)) && s[w]>>(uint(i)&63)&1 != 0
}

// Add puts target i into the set. It allocates only when i is beyond the
// capacity, so a set that a request gives back can be used by the next one.
func (s *Set) Add(i int) {
	if i < 0 {
		panic("BUG: negative target index")
	}
	for len(*s) <= i>>6 {
		*s = append(*s, 0)
	}
	(*s)[i>>6] |= 1 << (uint(i) & 63)
}

// Clear empties the set and keeps its memory.
func (s *Set) Clear() { *s = (*s)[:0] }

// Count returns the number of targets in the set.
func (s Set) Count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}
