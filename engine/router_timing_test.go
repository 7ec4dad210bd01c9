package engine

import (
	"fmt"
	"strconv"
	"testing"

	"headrace/plugin"
)

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		rt := &router{}
		for i := range n {
			rt = rt.with(&entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf("/api/team-%d/v1/*", i)}})
		}
		req := &plugin.Request{Method: []byte("POST"), Host: []byte("gw.example.com"), Path: fmt.Appendf(nil, "/api/team-%d/v1/chat/completions", n/2)}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var m match
			b.ReportAllocs()
			for b.Loop() {
				if rt.find(req, &m) == nil {
					b.Fatal("no match")
				}
			}
		})
	}
}

func BenchmarkChangeOneOf100000(b *testing.B) {
	rt := &router{}
	for i := range 100_000 {
		rt = rt.with(&entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf("/api/team-%d/v1/*", i)}})
	}
	e := &entry{id: "new", seq: 1 << 20, uris: []string{"/api/team-new/*"}}
	b.ReportAllocs()
	for b.Loop() {
		rt.with(e)
	}
}
