package driver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/decoder"
)

// chatBody is a conversation of about size bytes as clients send it: prose
// with line breaks and quotes, some parameters, the model at the end.
func chatBody(size int) []byte {
	var sb strings.Builder
	sb.WriteString(`{"temperature":0.7,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	prose := `The quick brown fox said \"hello\" to the lazy dog, and nobody in the village could say why it had. `
	for sb.Len() < size-100 {
		sb.WriteString(`,{"role":"user","content":"`)
		for k := 0; k < 10 && sb.Len() < size-100; k++ {
			sb.WriteString(prose)
			sb.WriteString(`\n\n`)
		}
		sb.WriteString(`"}`)
	}
	sb.WriteString(`],"stream":true,"max_tokens":1024,"model":"gpt-4o"}`)
	return []byte(sb.String())
}

func BenchmarkBodyLoad(b *testing.B) {
	for _, size := range []int{1 << 10, 6 << 10, 16 << 10, 256 << 10} {
		raw := chatBody(size)
		b.Run(fmt.Sprintf("headrace/%dK", size>>10), func(b *testing.B) {
			var body Body
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if body.Load(raw) != nil {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(fmt.Sprintf("sonic-skip/%dK", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if start, _ := decoder.Skip(raw); start < 0 {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(fmt.Sprintf("sonic-valid/%dK", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if !sonic.Valid(raw) {
					b.Fatal("not valid")
				}
			}
		})
	}
	long := []byte(`{"input":"` + strings.Repeat("x", 256<<10) + `"}`)
	b.Run("headrace/plain256K", func(b *testing.B) {
		var body Body
		b.SetBytes(int64(len(long)))
		for b.Loop() {
			if body.Load(long) != nil {
				b.Fatal("not valid")
			}
		}
	})
	b.Run("sonic-skip/plain256K", func(b *testing.B) {
		b.SetBytes(int64(len(long)))
		for b.Loop() {
			decoder.Skip(long)
		}
	})
}

// BenchmarkBodyAttempt is what one attempt adds: fork, edits, write.
func BenchmarkBodyAttempt(b *testing.B) {
	var body, out Body
	if err := body.Load(chatBody(6 << 10)); err != nil {
		b.Fatal(err)
	}
	model := []byte(`"gpt-4o-mini"`)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		body.Fork(&out)
		out.Set("stream_options", includeUsage)
		out.Set("model", model)
		dst = out.AppendTo(dst[:0])
	}
}

func BenchmarkBodySegments(b *testing.B) {
	var body, out Body
	if err := body.Load(chatBody(6 << 10)); err != nil {
		b.Fatal(err)
	}
	model := []byte(`"gpt-4o-mini"`)
	var dst [][]byte
	b.ReportAllocs()
	for b.Loop() {
		body.Fork(&out)
		out.Set("stream_options", includeUsage)
		out.Set("model", model)
		dst = out.Segments(dst[:0])
	}
}
