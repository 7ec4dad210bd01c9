package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"headrace/driver"
	"headrace/driver/wire"
)

// semantic chooses the instance whose examples are nearest to what the user
// asks (ai-proxy.md 6.5). It is immutable but for the reference vectors, and
// used by any number of requests at once.
type semantic struct {
	names     []string // of the instances, fit for a header
	threshold []float64
	examples  [][]int // of each instance: indexes of texts
	fallback  int
	debugging bool

	service *driver.Service
	broken  error  // a secret that the body needs is missing
	ask     []byte // the request's body up to the first text
	texts   []string
	sums    []textSum // of texts
	sum     textSum   // of all texts

	cache *vectorCache
	set   atomic.Pointer[vectorSet]
	log   *slog.Logger
}

// newSemantic compiles what checkSemantic has accepted. resolve turns a
// reference into its secret; one that cannot be resolved makes every pick the
// fallback. log should name the route.
func newSemantic(cfg *semanticConfig, ins []semanticInstance, resolve func(string) (string, error),
	client *wire.Client, cache *vectorCache, log *slog.Logger) (*semantic, error) {
	if err := checkSemantic(cfg, ins); err != nil {
		return nil, err
	}
	e := cfg.Embeddings
	s := &semantic{debugging: cfg.Debugging, cache: cache, log: log}
	var err error
	if s.service, err = driver.NewService(client, e.service(), resolve); err != nil {
		return nil, fmt.Errorf("semantic_opts.embeddings.%w", err)
	}
	value := func(v string) string {
		if !driver.IsReference(v) {
			return v
		}
		secret, err := resolve(v)
		if err != nil && s.broken == nil {
			s.broken = fmt.Errorf("cannot use reference %q: %w", v, err)
		}
		return secret
	}
	model := driver.AppendString(nil, []byte(value(e.Model)))
	s.ask = fmt.Appendf(nil, `{"model":%s,"input":[`, model)

	all := sha256.New()
	at := map[string]int{}
	for i := range ins {
		in := &ins[i]
		if in.Name == cfg.Fallback {
			s.fallback = i
		}
		threshold := cfg.Threshold
		if in.Threshold != nil {
			threshold = *in.Threshold
		}
		s.names = append(s.names, headerText(in.Name))
		s.threshold = append(s.threshold, threshold)
		var mine []int
		for _, text := range in.Examples {
			text = value(text)
			k, ok := at[text]
			if !ok {
				k = len(s.texts)
				at[text] = k
				sum := sha256.Sum256(slices.Concat(s.service.Identity[:], model, []byte(text)))
				s.texts, s.sums = append(s.texts, text), append(s.sums, sum)
				all.Write(sum[:])
			}
			mine = append(mine, k)
		}
		s.examples = append(s.examples, mine)
	}
	all.Sum(s.sum[:0])
	return s, nil
}

// headerText makes a name one that can stand in a header.
func headerText(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, name)
}

// cost estimates the memory that s holds on to, its vectors included.
func (s *semantic) cost() int64 {
	n := int64(0)
	for _, t := range s.texts {
		const vector = 4 * 1536
		n += int64(len(t)) + vector
	}
	return n
}

// canceler ends what it stands for within milliseconds, from any goroutine.
type canceler interface{ Cancel() }

// caller is the request that a pick is made for.
type caller interface {
	// onCall names what is to be cancelled when the client goes; if it has
	// gone already, c is cancelled at once. With nil there is nothing any
	// more, and no Cancel comes after onCall has returned.
	onCall(c canceler)
}

// semanticPick is how a pick came out.
type semanticPick struct {
	index int // of the instance
	// gone: the client left meanwhile. There is nobody to answer.
	gone bool
	// scores and picked are the values of headerScores and headerPicked; nil
	// and "" without debugging or without an embedding of the prompt.
	scores []byte
	picked string
}

const (
	headerScores = "X-AI-Semantic-Scores"
	headerPicked = "X-AI-Semantic-Picked-Instance"
)

const (
	maxPrompt  = 16384
	answerBase = 1 << 20   // bytes of an answer that are read, and
	answerEach = 128 << 10 // for each text besides
)

// semanticCall is what one pick needs, pooled.
type semanticCall struct {
	call   driver.Call
	gone   chan struct{}
	prompt []byte
	body   []byte
	reader vectorReader
	vector [1][]float32
	ranks  []rank
}

type rank struct {
	score float32
	index int
}

var semanticCalls = sync.Pool{New: func() any { return &semanticCall{gone: make(chan struct{}, 1)} }}

// Cancel implements canceler.
func (c *semanticCall) Cancel() {
	c.call.Exchange.Cancel()
	select {
	case c.gone <- struct{}{}:
	default:
	}
}

func (c *semanticCall) release() {
	select {
	case <-c.gone:
	default:
	}
	c.call.Reset()
	c.reader.reset()
	for _, b := range []*[]byte{&c.prompt, &c.body} {
		if cap(*b) > keepBuffer {
			*b = nil
		}
	}
	if 4*cap(c.vector[0]) > keepBuffer {
		c.vector[0] = nil
	}
	semanticCalls.Put(c)
}

// pick chooses an instance for the request b in protocol p. Whatever goes wrong
// leads to the fallback.
func (s *semantic) pick(who caller, p driver.Proto, b *driver.Body) semanticPick {
	r := semanticPick{index: s.fallback}
	c := semanticCalls.Get().(*semanticCall)
	defer c.release()
	var ok bool
	if c.prompt, ok = driver.LastUserTextMax(c.prompt[:0], p, b, maxPrompt); !ok {
		s.log.Info("semantic routing: the request has no text of a user, falling back")
		return r
	}
	who.onCall(c)
	err := s.rank(c)
	who.onCall(nil)
	switch {
	case errors.Is(err, errClientGone) || errors.Is(err, wire.ErrCanceled) && len(c.gone) > 0:
		r.gone = true
		return r
	case err != nil:
		s.log.Warn("semantic routing: no embedding, falling back", "err", err)
		return r
	}
	best := s.best(c.ranks)
	if best < 0 {
		s.log.Warn("semantic routing: no instance cleared threshold (scores: " + string(s.appendScores(nil, c.ranks)) + "), falling back")
	} else {
		r.index = best
	}
	if s.debugging {
		r.scores, r.picked = s.appendScores(nil, c.ranks), "fallback"
		if best >= 0 {
			r.picked = s.names[best]
		}
	}
	return r
}

// rank fills c.ranks.
func (s *semantic) rank(c *semanticCall) error {
	refs, err := s.cache.get(s, c.gone)
	if err != nil {
		return fmt.Errorf("cannot embed the examples: %w", err)
	}
	c.body = append(driver.AppendString(append(c.body[:0], s.ask...), c.prompt), "]}"...)
	if err := s.embed(&c.call, c.body, &c.reader, c.vector[:]); err != nil {
		return fmt.Errorf("cannot embed the prompt: %w", err)
	}
	prompt := c.vector[0]
	if n := len(refs.vectors[0]); n != len(prompt) {
		return fmt.Errorf("the embedding of the prompt has %d dimensions, those of the examples have %d", len(prompt), n)
	}
	s.score(c, prompt, refs)
	return nil
}

// score fills c.ranks with the scores of all instances, best first; instances
// of the same score keep their order.
func (s *semantic) score(c *semanticCall, prompt []float32, refs *vectorSet) {
	c.ranks = c.ranks[:0]
	for i, mine := range s.examples {
		score := float32(-1)
		for _, k := range mine {
			score = max(score, cosine(prompt, refs.vectors[k]))
		}
		c.ranks = append(c.ranks, rank{score, i})
	}
	slices.SortStableFunc(c.ranks, func(a, b rank) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
}

// best returns the first instance that clears its threshold, -1 if none does.
func (s *semantic) best(ranks []rank) int {
	// A score that equals its threshold clears it; what float32 loses of a
	// score is less than this.
	const rounding = 1e-6
	for _, r := range ranks {
		if float64(r.score)+rounding >= s.threshold[r.index] {
			return r.index
		}
	}
	return -1
}

func (s *semantic) appendScores(dst []byte, ranks []rank) []byte {
	for i, r := range ranks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, s.names[r.index]...), ':')
		dst = strconv.AppendFloat(dst, float64(r.score), 'f', 4, 32)
	}
	return dst
}

// embedTexts asks for the vectors of all texts, in one call.
func (s *semantic) embedTexts(c *driver.Call) (*vectorSet, error) {
	body := slices.Clone(s.ask)
	for i, t := range s.texts {
		if i > 0 {
			body = append(body, ',')
		}
		body = driver.AppendString(body, []byte(t))
	}
	set := &vectorSet{vectors: make([][]float32, len(s.texts))}
	if err := s.embed(c, append(body, "]}"...), new(vectorReader), set.vectors); err != nil {
		return nil, err
	}
	if !set.even() {
		return nil, errors.New("the embeddings differ in their dimensions")
	}
	return set, nil
}

// embed makes one call of the service.
func (s *semantic) embed(c *driver.Call, body []byte, r *vectorReader, out [][]float32) error {
	if s.broken != nil {
		return s.broken
	}
	status, answer, err := s.service.Do(c, body, answerBase+answerEach*len(out))
	if err != nil {
		return err
	}
	if status != 200 {
		return errors.New("the embeddings service answered with status " + strconv.Itoa(status))
	}
	return r.read(answer, out)
}
