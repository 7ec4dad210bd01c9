package driver

import (
	"math/rand/v2"
	"testing"
)

// slowString is skipString without any vector in it.
func slowString(p []byte, i int) int {
	for i < len(p) {
		switch c := p[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			if i = skipEscape(p, i); i < 0 {
				return -1
			}
		default:
			i++
		}
	}
	return -1
}

// Long strings with escapes wherever blocks begin and end.
func TestSkipStringTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "plain text of some length ", `\n`, `\"`, `\\`, `\u00e9`, "é", `\\\"`, "\x7f"}
	bad := []string{`\x`, `\u12g4`, "\x01", "\n"}
	for n := range 3000 {
		var p []byte
		for len(p) < n {
			p = append(p, parts[r.IntN(len(parts))]...)
		}
		switch r.IntN(4) {
		case 0: // no end
		case 1:
			p = append(append(p, bad[r.IntN(len(bad))]...), `tail"`...)
		default:
			p = append(p, `" tail \ "`...)
		}
		for _, i := range []int{0, r.IntN(len(p) + 1)} {
			if got, want := skipString(p, i), slowString(p, i); got != want {
				t.Fatalf("%q from %d: %d, want %d", p, i, got, want)
			}
		}
	}
}

func TestScanWide(t *testing.T) {
	p := make([]byte, 300)
	for i := range p {
		p[i] = byte(0x20 + i%90)
		if p[i] == '"' || p[i] == '\\' {
			p[i] = 0xff
		}
	}
	for _, c := range []byte{'"', '\\', 0, 0x1f, 0x20, 0x7f, 0x80, 0xff} {
		for at := range p {
			old := p[at]
			p[at] = c
			want := len(p)
			if c < 0x20 || c == '"' || c == '\\' {
				want = at
			}
			if got := scanPlain(p, 0); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", c, at, got, want)
			}
			p[at] = old
		}
	}
}
