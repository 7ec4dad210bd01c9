package bench

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
)

// maxDims bounds what a request may ask for; the largest public model has 4096.
const maxDims = 1 << 16

// embeddings answers as POST /v1/embeddings does.
func (x *exchange) embeddings() []byte {
	dims := x.sc.dims
	if x.ask.dimensions > 0 {
		dims = x.ask.dimensions
	}
	dims = min(max(dims, 1), maxDims)
	b := []byte(`{"object":"list","data":[`)
	prompt := 0
	for i, in := range inputs(x.ask.input) {
		if i > 0 {
			b = append(b, ',')
		}
		words := strings.Fields(in)
		prompt += len(words)
		b = append(b, `{"object":"embedding","index":`...)
		b = append(strconv.AppendInt(b, int64(i), 10), `,"embedding":`...)
		b = append(appendVector(b, embed(words, dims), x.ask.base64), '}')
	}
	b = append(append(b, `],"model":`...), x.model...)
	if !x.sc.noUsage {
		b = fmt.Appendf(b, `,"usage":{"prompt_tokens":%d,"total_tokens":%d}`, prompt, prompt)
	}
	return append(b, '}')
}

// inputs are the texts of an embedding request. Inputs in tokens become texts
// of numbers.
func inputs(raw []byte) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil || len(many) == 0 {
		return []string{string(raw)}
	}
	tokens := func(b []byte) string { return strings.NewReplacer("[", " ", "]", " ", ",", " ").Replace(string(b)) }
	if c := many[0][0]; c != '"' && c != '[' {
		return []string{tokens(raw)}
	}
	texts := make([]string, len(many))
	for i, m := range many {
		if json.Unmarshal(m, &texts[i]) != nil {
			texts[i] = tokens(m)
		}
	}
	return texts
}

// embed gives every word a direction and adds them up: texts that share words
// are near each other, which is all that a test of semantic routing needs.
func embed(words []string, dims int) []float32 {
	v := make([]float32, dims)
	for _, w := range words {
		h := fnv.New64a()
		h.Write([]byte(strings.Trim(strings.ToLower(w), ".,;:!?\"'()")))
		s := h.Sum64()
		for i := range v {
			s = mix(s)
			v[i] += float32(int32(s)) / (1 << 31)
		}
	}
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		v[0], sum = 1, 1
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

func appendVector(b []byte, v []float32, inBase64 bool) []byte {
	if inBase64 {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), raw), '"')
	}
	b = append(b, '[')
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(f), 'f', -1, 32)
	}
	return append(b, ']')
}

// models answers as GET /v1/models does.
func (x *exchange) models() []byte {
	return fmt.Appendf(nil, `{"object":"list","data":[{"id":%s,"object":"model","created":1735689600,"owned_by":"headrace"}]}`, x.model)
}
