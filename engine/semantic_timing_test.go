package engine

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// embeddingAnswer is an answer for one text as OpenAI writes it.
func embeddingAnswer(dims int) []byte {
	var sb strings.Builder
	sb.WriteString(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[`)
	for i := range dims {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, "%.9f", math.Sin(float64(i))/20)
	}
	sb.WriteString(`]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}`)
	return []byte(sb.String())
}

func BenchmarkCosine(b *testing.B) {
	for _, dims := range []int{256, 1536, 3072} {
		v := make([]float64, dims)
		for i := range v {
			v[i] = math.Sin(float64(i))
		}
		x, y := appendUnit(nil, v), appendUnit(nil, v)
		b.Run(fmt.Sprint(dims), func(b *testing.B) {
			b.SetBytes(int64(4 * dims))
			for b.Loop() {
				cosine(x, y)
			}
		})
	}
}

func BenchmarkVectorReader(b *testing.B) {
	answer := embeddingAnswer(1536)
	out := make([][]float32, 1)
	var r vectorReader
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.read(answer, out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSemanticScores is what a pick adds to its call of the service: the
// scores of 8 instances with 8 examples each.
func BenchmarkSemanticScores(b *testing.B) {
	const instances, each, dims = 8, 8, 1536
	s := &semantic{}
	c := &semanticCall{}
	refs := &vectorSet{}
	v := make([]float64, dims)
	for i := range instances {
		s.names, s.threshold = append(s.names, fmt.Sprint(i)), append(s.threshold, 0)
		var mine []int
		for k := range each {
			for d := range v {
				v[d] = math.Sin(float64(d*(i*each+k+1)) + 1)
			}
			mine = append(mine, len(refs.vectors))
			refs.vectors = append(refs.vectors, appendUnit(nil, v))
		}
		s.examples = append(s.examples, mine)
	}
	prompt := refs.vectors[9]
	b.ReportAllocs()
	for b.Loop() {
		s.score(c, prompt, refs)
		if s.best(c.ranks) != 1 {
			b.Fatal("wrong instance")
		}
	}
}
