package driver

import (
	"math/bits"
	"unsafe"
)

// scanWide returns how many of the n bytes at p are plain: the index of the
// first that is not, or, when all are, n rounded down to a multiple of 32.
//
//go:noescape
func scanWide(p unsafe.Pointer, n int) int

//go:noescape
func scanMasks(p unsafe.Pointer, blocks int, out *uint32)

// skipEscaped is skipString for a string that has escapes, where going back to
// scanPlain after each of them would cost more than the scan. It looks at 1 KiB
// at a time and returns -2 when what is left is too short for it, with the
// index at which to go on.
func skipEscaped(p []byte, i int) (end, next int) {
	var masks [32]uint32
	for {
		blocks := min(len(masks), (len(p)-i)/32)
		if blocks <= 0 {
			return -2, i
		}
		scanMasks(unsafe.Pointer(&p[i]), blocks, &masks[0])
		next = i // bytes before it belong to an escape
		for k := range blocks {
			for m := masks[k]; m != 0; m &= m - 1 {
				at := i + 32*k + bits.TrailingZeros32(m)
				if at < next {
					continue
				}
				switch c := p[at]; {
				case c == '"':
					return at + 1, 0
				case c != '\\':
					return -1, 0
				case at+1 < len(p) && shortEscapes[p[at+1]]:
					next = at + 2
				default:
					if next = skipEscape(p, at); next < 0 {
						return -1, 0
					}
				}
			}
		}
		i = max(i+32*blocks, next)
	}
}
