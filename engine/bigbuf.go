package engine

import (
	"math/bits"
	"sync"
)

// bigBufs lends buffers for bodies that are too large to stay with a flow, one
// pool for each power of two from 128 KiB to 16 MiB. Making and clearing such a
// buffer for every request would cost more than reading into it; the collector
// empties the pools when nobody asks for them.
var bigBufs [8]sync.Pool

const smallestBig = 17 // log2 of 128 KiB

// getBig returns an empty buffer with room for n bytes or more.
func getBig(n int) []byte {
	class := max(bits.Len(uint(n-1)), smallestBig)
	if class-smallestBig >= len(bigBufs) {
		return make([]byte, 0, n)
	}
	if b, ok := bigBufs[class-smallestBig].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// putBig takes a buffer back; nobody may use it any more.
func putBig(b []byte) {
	class := bits.Len(uint(cap(b))) - 1 // the largest that it has room for
	if i := class - smallestBig; i >= 0 && i < len(bigBufs) {
		b = b[:0]
		bigBufs[i].Put(&b)
	}
}
