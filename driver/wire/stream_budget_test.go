//go:build !race

package wire

import (
	"bytes"
	"io"
	"testing"
)

// A streamed upload on a pooled connection allocates nothing, whatever its size.
func TestBudget_StreamAllocatesNothing(t *testing.T) {
	for _, n := range []int{100, 3 << 20} {
		head := sized(int64(n))
		u := serve(t, fastAnswer([]byte(ok2), len(head)+n))
		p := newClient(t, Options{}).Pool(u.target())
		src, buf := bytes.NewReader(make([]byte, n)), make([]byte, 32<<10)
		var x Exchange
		run := func() {
			x.Reset()
			src.Seek(0, io.SeekStart)
			if err := p.DoStream(&x, second, head, src, int64(n)); err != nil {
				t.Fatal(err)
			}
			for {
				if _, err := x.Read(buf); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			x.Done(true)
		}
		run()
		if got := testing.AllocsPerRun(50, run); got != 0 {
			t.Errorf("%d bytes up: %v allocations", n, got)
		}
	}
}
