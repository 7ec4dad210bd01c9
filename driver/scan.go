package driver

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The scan of JSON strings: eight bytes at a time for short runs, scanWide
// (scan_amd64.s, scan_other.go) for long ones.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special sets the high bit of the bytes of x that end a plain run: the quote,
// the backslash and everything below 0x20. Only the lowest set bit is exact,
// a borrow may set wrong ones above it. Flipping bit 1 puts the quote directly
// behind the control bytes, so that one comparison finds both.
func special(x uint64) uint64 {
	return (((x ^ ones*0x02) - ones*0x21) | ((x ^ ones*0x5c) - ones)) &^ x & highs
}

// word reads the eight bytes at p[i:]. The caller has compared i with len(p);
// without the compiler's own check for every word the scan is half as fast again.
func word(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

// scanPlain returns the index of the first byte at or after i that is a quote,
// a backslash or a control byte, and len(p) when there is none. i must not be
// negative.
func scanPlain(p []byte, i int) int {
	base, n := unsafe.Pointer(unsafe.SliceData(p)), len(p)
	// Keys and the runs between escapes are short: the first two words must
	// not pay for the wide step.
	if i+16 <= n {
		if m := special(word(base, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		if m := special(word(base, i+8)); m != 0 {
			return i + 8 + bits.TrailingZeros64(m)>>3
		}
		i += 16
	}
	if i+32 <= n {
		if i += scanWide(unsafe.Add(base, i), n-i); i+8 <= n && special(word(base, i))&0xff != 0 {
			return i
		}
	}
	for ; i+8 <= n; i += 8 {
		if m := special(word(base, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < n; i++ {
		if c := p[i]; c < 0x20 || c == '"' || c == '\\' {
			return i
		}
	}
	return n
}

// equal sets the high bit of the bytes of x that are c; it may set wrong ones too.
func equal(x uint64, c byte) uint64 {
	x ^= ones * uint64(c)
	return (x - ones) &^ x & highs
}

// scanNames returns the index of the first quote at or after i that an e, a t
// or a u follows, the initials that chatCounts looks for, and len(p) when
// there is none.
func scanNames(p []byte, i int) int {
	base, n := unsafe.Pointer(unsafe.SliceData(p)), len(p)
	for ; i+9 <= n; i += 8 {
		next := word(base, i+1)
		m := equal(word(base, i), '"') & (equal(next, 'e') | equal(next, 't') | equal(next, 'u'))
		for ; m != 0; m &= m - 1 {
			if k := i + bits.TrailingZeros64(m)>>3; isName(p, k) {
				return k
			}
		}
	}
	for ; i+1 < n; i++ {
		if isName(p, i) {
			return i
		}
	}
	return n
}

func isName(p []byte, i int) bool {
	return p[i] == '"' && (p[i+1] == 'e' || p[i+1] == 't' || p[i+1] == 'u')
}

// skipString returns the index behind the closing quote of the string whose
// content starts at i, or -1 when it is not a valid JSON string.
func skipString(p []byte, i int) int {
	for first := true; ; first = false {
		i = scanPlain(p, i)
		if i >= len(p) {
			return -1
		}
		switch p[i] {
		case '"':
			return i + 1
		case '\\':
			if i+1 < len(p) && shortEscapes[p[i+1]] {
				i += 2
			} else if i = skipEscape(p, i); i < 0 {
				return -1
			}
		default:
			return -1
		}
		if first {
			end, next := skipEscaped(p, i)
			if end != -2 {
				return end
			}
			i = next
		}
	}
}

// shortEscapes are the bytes that may follow a backslash, but for the u.
var shortEscapes = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// skipEscape returns the index behind the escape whose backslash is at i, or -1.
func skipEscape(p []byte, i int) int {
	if i+1 >= len(p) {
		return -1
	}
	if shortEscapes[p[i+1]] {
		return i + 2
	}
	if p[i+1] == 'u' && i+6 <= len(p) && hex4(p[i+2:i+6]) >= 0 {
		return i + 6
	}
	return -1
}

// hex4 reads four hexadecimal digits, -1 if they are not.
func hex4(p []byte) rune {
	var r rune
	for _, c := range p[:4] {
		d := unhex(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
