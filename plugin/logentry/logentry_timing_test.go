package logentry

import "testing"

func BenchmarkAppend(b *testing.B) {
	c := request(b, `{"messages":[{"role":"user","content":"hi"}]}`)
	c.LogSummary, c.LogPayload = true, true
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = (&Format{}).Append(dst[:0], c)
	}
}
