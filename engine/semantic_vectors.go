package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"headrace/driver"
)

// vectorsFor is how long reference vectors are used (ai-proxy.md 6.5 step 1).
const vectorsFor = time.Hour

// vectorCache keeps unit vectors of example texts for all routes, and sees to
// it that one request at a time asks for those that are missing. Losing any of
// them costs a call of the embeddings service, nothing else.
type vectorCache struct {
	kept *ristretto.Cache[uint64, *keptVector] // nil: the cache is off
	now  func() time.Time

	mu      sync.Mutex
	flights map[textSum]*flight
	closed  bool
	flying  sync.WaitGroup
}

// textSum names texts as one embedding service sees them: model, address and
// credentials are in it.
type textSum = [sha256.Size]byte

// keptVector carries its whole name: ristretto compares 64 bits of it.
type keptVector struct {
	sum    textSum
	vector []float32
	until  time.Time
}

func vectorKey(sum *textSum) uint64 { return binary.LittleEndian.Uint64(sum[:]) }

// vectorSet is the vectors of a list of texts, all of the same length.
type vectorSet struct {
	vectors [][]float32
	until   time.Time
}

// flight is a call for reference vectors and those who wait for it.
type flight struct {
	call    driver.Call
	waiting int // under vectorCache.mu
	done    chan struct{}
	set     *vectorSet // of the last two one is set before done is closed
	err     error
}

var errClientGone = errors.New("the client has gone")

// newVectorCache makes a cache of at most budget bytes; 0 switches it off.
func newVectorCache(budget int64) (*vectorCache, error) {
	v := &vectorCache{now: time.Now, flights: map[textSum]*flight{}}
	if budget <= 0 {
		return v, nil
	}
	var err error
	v.kept, err = ristretto.NewCache(&ristretto.Config[uint64, *keptVector]{
		NumCounters: min(max(budget>>9, 1<<10), 1<<20), // ten for each vector of 1,024 numbers or more
		MaxCost:     budget,
		BufferItems: 64,
	})
	return v, err
}

// close ends what is under way and waits for it. No pick may begin any more.
func (v *vectorCache) close() {
	v.mu.Lock()
	v.closed = true
	for _, f := range v.flights {
		f.call.Exchange.Cancel()
	}
	v.mu.Unlock()
	v.flying.Wait()
	v.kept.Close()
}

// find gathers the vectors of all texts of s, nil if one is missing.
func (v *vectorCache) find(s *semantic) *vectorSet {
	if v.kept == nil {
		return nil
	}
	now := v.now()
	set := &vectorSet{vectors: make([][]float32, len(s.texts)), until: now.Add(vectorsFor)}
	for i, sum := range s.sums {
		k, ok := v.kept.Get(vectorKey(&sum))
		if !ok || k.sum != sum || !now.Before(k.until) {
			return nil
		}
		set.vectors[i] = k.vector
		if k.until.Before(set.until) {
			set.until = k.until
		}
	}
	if !set.even() {
		return nil // of two states of the service
	}
	return set
}

func (v *vectorCache) keep(s *semantic, set *vectorSet) {
	if v.kept == nil {
		return
	}
	for i, sum := range s.sums {
		k := &keptVector{sum, set.vectors[i], set.until}
		const besides = 256
		v.kept.SetWithTTL(vectorKey(&sum), k, int64(4*len(k.vector))+besides, vectorsFor)
	}
	v.kept.Wait() // a set is not visible at once
}

// get returns the reference vectors of s, asking the service if need be. However
// many wait, there is one call; it is ended when nobody waits any more.
func (v *vectorCache) get(s *semantic, gone <-chan struct{}) (*vectorSet, error) {
	if set := s.set.Load(); set != nil && v.now().Before(set.until) {
		return set, nil
	}
	if set := v.find(s); set != nil {
		s.set.Store(set)
		return set, nil
	}
	f, err := v.board(s)
	if err != nil {
		return nil, err
	}
	select {
	case <-f.done:
	case <-gone:
		v.leave(s.sum, f)
		return nil, errClientGone
	}
	if f.err != nil {
		return nil, f.err
	}
	s.set.Store(f.set)
	return f.set, nil
}

// board joins the call that is under way, or begins one.
func (v *vectorCache) board(s *semantic) (*flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, errors.New("shutting down")
	}
	f := v.flights[s.sum]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		v.flights[s.sum] = f
		v.flying.Add(1)
		go v.fly(s, f)
	}
	f.waiting++
	return f, nil
}

func (v *vectorCache) leave(sum textSum, f *flight) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.call.Exchange.Cancel()
		v.land(sum, f)
	}
}

// land takes a flight off the board. v.mu is held.
func (v *vectorCache) land(sum textSum, f *flight) {
	if v.flights[sum] == f {
		delete(v.flights, sum)
	}
}

func (v *vectorCache) fly(s *semantic, f *flight) {
	defer v.flying.Done()
	// The flight before may have landed since its passenger looked.
	if f.set = v.landed(s); f.set == nil {
		if f.set, f.err = s.embedTexts(&f.call); f.err == nil {
			f.set.until = v.now().Add(vectorsFor)
			v.keep(s, f.set)
		}
	}
	if f.err == nil {
		s.set.Store(f.set)
	}
	v.mu.Lock()
	v.land(s.sum, f)
	v.mu.Unlock()
	close(f.done)
}

func (v *vectorCache) landed(s *semantic) *vectorSet {
	if set := s.set.Load(); set != nil && v.now().Before(set.until) {
		return set
	}
	return v.find(s)
}

func (set *vectorSet) even() bool {
	for _, v := range set.vectors {
		if len(v) != len(set.vectors[0]) {
			return false
		}
	}
	return true
}

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

// appendUnit appends v with the length 1; of a vector of zeros it makes zeros.
func appendUnit(dst []float32, v []float64) []float32 {
	if cap(dst) < len(v) {
		dst = make([]float32, 0, len(v))
	}
	var most, sum float64
	for _, x := range v {
		most = max(most, math.Abs(x))
	}
	scale := 1.0
	if most > 1e100 || most < 1e-100 { // the squares would not fit
		if scale = most; most == 0 {
			scale = 1
		}
	}
	for _, x := range v {
		x /= scale
		sum += x * x
	}
	length := math.Sqrt(sum)
	if length == 0 {
		length = 1
	}
	for _, x := range v {
		dst = append(dst, float32(x/scale/length))
	}
	return dst
}

// cosine is the scalar product of two unit vectors of the same length. Eight
// sums let the processor work on several at a time.
func cosine(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for len(a) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	for i, x := range a {
		s0 += x * b[i]
	}
	s := (s0 + s4) + (s1 + s5) + ((s2 + s6) + (s3 + s7))
	return max(-1, min(1, s))
}
