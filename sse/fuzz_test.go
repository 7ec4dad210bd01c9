package sse

import (
	"bytes"
	"testing"
	"time"
)

// cut makes pieces of b; sizes says how long they are, over and over.
func cut(b, sizes []byte) (pieces []string) {
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+i/len(sizes)%2) // sizes of 0 make progress in the end
		}
		pieces = append(pieces, string(b[:n]))
		b = b[n:]
	}
	return pieces
}

func seed(f *testing.F) {
	for i, c := range corpus {
		f.Add([]byte(c), []byte{byte(i), 3})
		f.Add([]byte(c), []byte{1})
	}
}

func FuzzScanner(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in, sizes []byte) {
		var s Scanner
		s.Init(1 << 20)
		want, wantRest := naive(string(in))
		for range 2 { // the second time with used buffers
			got, rest := scanAll(&s, cut(in, sizes)...)
			if d := diff(got, want, rest, wantRest); d != "" {
				t.Fatal(d)
			}
			var all []byte
			for _, ev := range got {
				all = append(all, ev.Raw...)
			}
			if !bytes.Equal(append(all, rest...), in) {
				t.Fatalf("raw %q is not the input", all)
			}
			s.Init(1 << 20)
		}

		// With a small limit events may be missing, but none is made up.
		s.Init(5)
		got, rest := scanAll(&s, cut(in, sizes)...)
		i := 0
		for _, ev := range got {
			for i < len(want) && !bytes.Equal(want[i].Raw, ev.Raw) {
				i++
			}
			if i == len(want) {
				t.Fatalf("%q is none of %q", ev, want)
			}
			i++
		}
		if !s.Overflowed() && (len(got) != len(want) || rest != wantRest) {
			t.Fatalf("%d events of %d", len(got), len(want))
		}
		if len(rest) > 5 {
			t.Fatalf("%d bytes carried", len(rest))
		}
	})
}

func FuzzRelay(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in, sizes []byte) {
		var r Relay
		var o owner
		blocks, _ := naive(string(in))
		events := 0
		for _, ev := range blocks {
			if ev.Data != nil {
				events++
			}
		}
		f := func(tr Transform, cause error, want []byte) {
			t.Helper()
			o = owner{}
			r.Start(&o, tr, Limits{}, time.Now(), false, true)
			var all []byte
			for _, p := range cut(in, sizes) {
				out, err := r.Step([]byte(p))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, out...)
			}
			out, _ := r.End(cause)
			if all = append(all, out...); !bytes.Equal(all, want) {
				t.Fatalf("%q, want %q", all, want)
			}
			if o.settled != 1 || o.stats.Events != events || o.stats.BytesIn != int64(len(in)) || o.stats.BytesOut != int64(len(want)) {
				t.Fatalf("settled %d times with %+v", o.settled, o.stats)
			}
		}
		f(nil, nil, in)
		f(nil, ErrTruncated, in)
		f(same{}, nil, in)
		f(&hold{}, nil, in)
		f(&expand{0}, nil, nil)

		// A converter's output is the events, whatever their form was.
		var want []byte
		for _, ev := range blocks {
			if ev.Data != nil {
				want = AppendEvent(want, ev.Name, ev.Data)
			}
		}
		f(&expand{1}, nil, want)
		again, rest := naive(string(want))
		if len(again) != events || rest != "" {
			t.Fatalf("%d events became %d", events, len(again))
		}
	})
}
