package driver

import (
	"bytes"
	"testing"
)

// A hundred embeddings of 768 numbers, set as Google sets them.
func BenchmarkPredictResponse(b *testing.B) {
	one := []byte(`{"embeddings":{"values":[` + string(bytes.Repeat([]byte("\n          -0.012345678,"), 767)) + `1],"statistics":{"truncated":false,"token_count":7}}}`)
	body := append([]byte(`{"predictions":[`), bytes.Repeat(append(one, ','), 99)...)
	body = append(append(body, one...), "]}"...)
	var dst []byte
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var err error
		if dst, _, err = appendEmbeddings(dst[:0], body, 200, nil); err != nil {
			b.Fatal(err)
		}
	}
}
