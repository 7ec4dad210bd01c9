package engine

import "testing"

func TestBigBuf(t *testing.T) {
	for _, n := range []int{1, 70 << 10, 128 << 10, 128<<10 + 1, 1 << 20, 16 << 20, 16<<20 + 1, 64 << 20} {
		for range 3 {
			b := getBig(n)
			if len(b) != 0 || cap(b) < n {
				t.Fatalf("%d: len %d cap %d", n, len(b), cap(b))
			}
			putBig(b[:n])
		}
	}
	putBig(nil)
	putBig(make([]byte, 10))
}
