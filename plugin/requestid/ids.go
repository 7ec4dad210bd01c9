package requestid

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// The ids are unique, not secret: they are drawn from the generator of the
// runtime, which was seeded by the system.

func random(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, rand.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
}

func appendUUID(dst []byte) []byte {
	var u [16]byte
	random(u[:])
	return appendUUIDText(dst, &u, 4)
}

// lastV7 is the time in the latest version 7: milliseconds in the upper 52
// bits, 4096ths of one in the lower 12.
var lastV7 atomic.Int64

// appendUUIDv7 makes ids that sort by their time, also within a millisecond and
// when the clock is set back (RFC 9562, 6.2, method 3).
func appendUUIDv7(dst []byte) []byte {
	at := v7Time(time.Now())
	for {
		last := lastV7.Load()
		if at <= last {
			at = last + 1
		}
		if lastV7.CompareAndSwap(last, at) {
			break
		}
	}
	var u [16]byte
	random(u[8:])
	binary.BigEndian.PutUint64(u[:8], uint64(at)>>12<<16|uint64(at)&0xfff)
	return appendUUIDText(dst, &u, 7)
}

func v7Time(now time.Time) int64 {
	ns := int64(now.Nanosecond())
	return (now.Unix()*1000+ns/1e6)<<12 | ns%1e6<<12/1e6
}

func appendUUIDText(dst []byte, u *[16]byte, version byte) []byte {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	var text [32]byte
	hex.Encode(text[:], u[:])
	dst = append(append(dst, text[:8]...), '-')
	dst = append(append(dst, text[8:12]...), '-')
	dst = append(append(dst, text[12:16]...), '-')
	dst = append(append(dst, text[16:20]...), '-')
	return append(dst, text[20:]...)
}

const nanoAlphabet = "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func appendNanoID(dst []byte) []byte { return appendRange(dst, nanoAlphabet, 21) }

func appendRange(dst []byte, letters string, n int) []byte {
	for range n {
		dst = append(dst, letters[rand.IntN(len(letters))])
	}
	return dst
}

// ksuidEpoch is where KSUIDs begin to count seconds, in May 2014.
const ksuidEpoch = 1400000000

// appendKSUID makes a K-sortable id: a time and 16 random bytes as one number
// in base 62, which has 27 digits.
func appendKSUID(dst []byte) []byte {
	var k [20]byte
	binary.BigEndian.PutUint32(k[:], uint32(time.Now().Unix()-ksuidEpoch))
	random(k[4:])
	return appendBase62(dst, &k)
}

func appendBase62(dst []byte, k *[20]byte) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var words [5]uint64 // of 32 bits
	for i := range words {
		words[i] = uint64(binary.BigEndian.Uint32(k[4*i:]))
	}
	var out [27]byte
	for i := len(out) - 1; i >= 0; i-- {
		rest := uint64(0)
		for j, w := range words {
			w |= rest << 32
			words[j], rest = w/62, w%62
		}
		out[i] = digits[rest]
	}
	return append(dst, out[:]...)
}
