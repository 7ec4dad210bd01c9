package conf

import (
	"fmt"
	"strings"
	"testing"
)

func manyRoutes(format Format, n int) []byte {
	var b strings.Builder
	if format == YAML {
		b.WriteString("routes:\n")
	} else {
		b.WriteString(`{"routes":[`)
	}
	for i := range n {
		if format == YAML {
			fmt.Fprintf(&b, "  - id: r%d\n    uri: /v1/%d/chat\n    methods: [POST]\n    plugins:\n      ai-proxy:\n        provider: openai\n        auth:\n          header:\n            Authorization: Bearer token-%d\n        options:\n          model: gpt-4o\n          temperature: 0.5\n      prometheus: {}\n", i, i, i)
			continue
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"r%d","uri":"/v1/%d/chat","methods":["POST"],"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer token-%d"}},"options":{"model":"gpt-4o","temperature":0.5}},"prometheus":{}}}`, i, i, i)
	}
	if format == YAML {
		b.WriteString("#END\n")
	} else {
		b.WriteString("]}")
	}
	return []byte(b.String())
}

func BenchmarkDocument(b *testing.B) {
	for name, format := range map[string]Format{"yaml": YAML, "json": JSON} {
		b.Run(name+"5000", func(b *testing.B) {
			text := manyRoutes(format, 5000)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d, err := parseDocument("f", format, text, noEnv)
				if err != nil || len(d.entries) != 5000 {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeRoute(b *testing.B) {
	d, err := parseDocument("f", JSON, manyRoutes(JSON, 1), noEnv)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DecodeRoute(d.entries[0].Raw); err != nil {
			b.Fatal(err)
		}
	}
}
