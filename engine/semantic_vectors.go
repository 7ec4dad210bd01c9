package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
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
