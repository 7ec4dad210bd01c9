package engine

import (
	"errors"
	"fmt"
	"headrace/driver"
	"math"
	"strconv"
)

// vectorReader reads the answers of embedding services. The zero value is ready.
type vectorReader struct {
	doc  driver.Body
	nums []float64
}

// read takes the vectors out of an answer and makes unit vectors of them, in
// the order of the texts that were sent: one for each element of out, whose
// memory is used. Anything that ai-proxy.md 6.5 step 4 does not allow is an
// error; its text shows nothing of the answer.
func (r *vectorReader) read(answer []byte, out [][]float32) error {
	if err := r.doc.Load(answer); err != nil {
		return errors.New("the answer is not JSON")
	}
	data, _ := r.doc.Get("data")
	if driver.KindOf(data) != driver.Array {
		return errors.New("the answer has no array data")
	}
	for i := range out {
		out[i] = out[i][:0]
	}
	w := walk{p: data, i: 1}
	for pos := 0; w.more(); pos++ {
		index, found, err := r.entry(&w, pos)
		switch {
		case err != nil:
			return fmt.Errorf("data[%d]: %w", pos, err)
		case index < 0 || index >= len(out):
			return fmt.Errorf("data[%d]: the index is out of range", pos)
		case !found:
			return fmt.Errorf("data[%d]: no embedding", pos)
		}
		out[index] = appendUnit(out[index][:0], r.nums)
	}
	for i := range out {
		if len(out[i]) == 0 {
			return fmt.Errorf("no embedding for text %d of %d", i+1, len(out))
		}
	}
	return nil
}

// entry reads one element of data: its index, and its numbers into r.nums.
func (r *vectorReader) entry(w *walk, pos int) (index int, found bool, err error) {
	if w.at() != '{' {
		return 0, false, errors.New("not an object")
	}
	index = pos
	w.i++
	for w.more() {
		key := w.value()
		w.more() // the colon
		switch string(key) {
		case `"index"`:
			f, ok := w.number()
			if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<31 {
				return 0, false, errors.New("the index is not an integer")
			}
			index = int(f)
		case `"embedding"`:
			if err := r.numbers(w); err != nil {
				return 0, false, err
			}
			found = true
		default:
			w.value()
		}
	}
	return index, found, nil
}

func (r *vectorReader) numbers(w *walk) error {
	if w.at() != '[' {
		return errors.New("the embedding is not an array")
	}
	w.i++
	r.nums = r.nums[:0]
	for w.more() {
		f, ok := w.number()
		if !ok {
			return errors.New("the embedding has an element that is not a finite number")
		}
		r.nums = append(r.nums, f)
	}
	if len(r.nums) == 0 {
		return errors.New("the embedding is empty")
	}
	return nil
}

// reset keeps scratch memory under a cap.
func (r *vectorReader) reset() {
	r.doc.Reset()
	if cap(r.nums)*8 > keepBuffer {
		r.nums = nil
	}
}

// walk goes through JSON that is known to be valid.
type walk struct {
	p []byte
	i int
}

// at returns the first byte of the value that comes next.
func (w *walk) at() byte { return w.p[w.i] }

// more moves to the next value of the array or object that w is in, over the
// comma or colon before it. At the end it moves behind the bracket.
func (w *walk) more() bool {
	for {
		switch w.p[w.i] {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.i++
		case ']', '}':
			w.i++
			return false
		default:
			return true
		}
	}
}

// value moves behind the value that comes next and returns it.
func (w *walk) value() []byte {
	from := w.i
	for depth := 0; ; {
		switch w.p[w.i] {
		case '"':
			for w.i++; w.p[w.i] != '"'; w.i++ {
				if w.p[w.i] == '\\' {
					w.i++
				}
			}
			w.i++
		case '[', '{':
			depth++
			w.i++
			continue
		case ']', '}':
			depth--
			w.i++
		case ' ', '\t', '\r', '\n', ',', ':':
			w.i++
			continue
		default:
			for w.i < len(w.p) && !ends(w.p[w.i]) {
				w.i++
			}
		}
		if depth == 0 {
			return w.p[from:w.i]
		}
	}
}

// number moves behind the value that comes next and returns it if it is a
// number that float64 can hold. What embeddings are written like, a dozen
// digits without an exponent, takes the short way, which may be off by the
// last bit: a vector has 24 bits for each number in the end.
func (w *walk) number() (f float64, ok bool) {
	i, n, point, whole := w.i, 0, 0, uint64(0)
	if w.p[i] == '-' {
		i++
	}
	for ; n <= 18; i++ {
		switch c := w.p[i]; {
		case '0' <= c && c <= '9':
			whole = whole*10 + uint64(c-'0')
			n++
			continue
		case c == '.':
			point = n
			n++ // so that n-point counts digits behind the point, and one more
			continue
		case !ends(c) || n == 0:
			n = 19
			continue
		}
		f = float64(whole)
		if point > 0 {
			f /= powers[n-point-1]
		}
		if w.p[w.i] == '-' {
			f = -f
		}
		w.i = i
		return f, true
	}
	f, err := strconv.ParseFloat(string(w.value()), 64)
	return f, err == nil
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func ends(c byte) bool { return c <= ' ' || c == ',' || c == ']' || c == '}' }
