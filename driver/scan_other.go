//go:build !amd64

package driver

import (
	"math/bits"
	"unsafe"
)

// scanWide returns how many of the n bytes at p are plain: the index of the
// first that is not, or, when all are, n rounded down to a multiple of 32.
func scanWide(p unsafe.Pointer, n int) (i int) {
	for ; i+32 <= n; i += 32 {
		a, b := special(word(p, i)), special(word(p, i+8))
		c, d := special(word(p, i+16)), special(word(p, i+24))
		switch {
		case a|b|c|d == 0:
			continue
		case a != 0:
			return i + bits.TrailingZeros64(a)>>3
		case b != 0:
			return i + 8 + bits.TrailingZeros64(b)>>3
		case c != 0:
			return i + 16 + bits.TrailingZeros64(c)>>3
		}
		return i + 24 + bits.TrailingZeros64(d)>>3
	}
	return i
}

// skipEscaped leaves strings with escapes to skipString itself; see scan_amd64.go.
func skipEscaped(_ []byte, i int) (end, next int) { return -2, i }
