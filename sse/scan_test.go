package sse

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// corpus is what providers and proxies send, and what nobody should.
var corpus = []string{
	"",
	"data: {\"a\":1}\n\ndata: [DONE]\n\n",
	"data: {\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n",
	"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n",
	"\xef\xbb\xbf\n\ndata: x\n\n",
	"\xef\xbb",
	": ping\n\n: ping\n\ndata: x\n\n",
	"event: message_start\ndata: {\"type\":\"x\"}\n\nevent:ping\ndata:{}\n\n",
	"event: a\nevent: b\nid: 7\nretry: 10\ndata: 1\ndata: 2\ndata:\ndata:  4\n\n",
	"event:\ndata:\n\n",
	"EVENT: E\nDaTa: D\n\n",
	"data\nno colon\ndata : x\nxdata: y\n\n",
	"data: a\n\r\ndata: b\r\n\ndata: c\n\n",
	"data: a\r\n\ndata: b\n\r\n\r\ndata: c\r\r\n\r\n",
	"\n\n\n\ndata: x\n\n\n\n\n",
	"\r\n\r\n\r\n\r\ndata: x\r\n\r\n\r\n",
	"data: unfinished",
	"data: x\n\ndata: unfinished\n",
	"data: x\n\ndata: unfinished\r\n\r",
	"data: a\rb\n\n",
	"event: message\ndata: " + strings.Repeat("x", 300) + "\ndata: " + strings.Repeat("y", 300) + "\n\ndata: z\n\n",
}

// naive splits a whole stream in the most obvious way.
func naive(in string) (evs []Event, rest string) {
	first := true
	for {
		end := -1
		for i := range len(in) {
			if strings.HasSuffix(in[:i+1], "\n\n") || strings.HasSuffix(in[:i+1], "\r\n\r\n") {
				end = i + 1
				break
			}
		}
		if end < 0 {
			return evs, in
		}
		block := in[:end]
		in = in[end:]
		ev := Event{Raw: []byte(block)}
		if first {
			block = strings.TrimPrefix(block, "\xef\xbb\xbf")
			first = false
		}
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			k, v, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
			if !ok {
				continue
			}
			switch v = strings.TrimPrefix(v, " "); asciiLower(k) {
			case "data":
				data = append(data, v)
			case "event":
				ev.Name = []byte(v)
			}
		}
		if data != nil {
			ev.Data = []byte(strings.Join(data, "\n"))
		}
		evs = append(evs, ev)
	}
}

// asciiLower is not strings.ToLower: that knows letters beyond ASCII.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// scanAll scans the pieces. The events of a piece are read only when the piece
// is through, and a piece's memory is spoilt before the next one comes.
func scanAll(s *Scanner, pieces ...string) (evs []Event, rest string) {
	for _, piece := range pieces {
		p := []byte(piece)
		s.Reset(p)
		var here []Event
		for s.Next() {
			here = append(here, s.Event())
		}
		if s.Next() {
			panic("Next goes on after false")
		}
		for _, ev := range here {
			c := Event{Raw: bytes.Clone(ev.Raw), Name: bytes.Clone(ev.Name)}
			if ev.Data != nil {
				c.Data = append([]byte{}, ev.Data...)
			}
			evs = append(evs, c)
		}
		for i := range p {
			p[i] = '\n'
		}
	}
	return evs, string(s.Rest())
}

func diff(got, want []Event, rest, wantRest string) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d events, want %d: %q, want %q", len(got), len(want), got, want)
	}
	for i := range got {
		g, w := got[i], want[i]
		if !bytes.Equal(g.Name, w.Name) || !bytes.Equal(g.Data, w.Data) || !bytes.Equal(g.Raw, w.Raw) ||
			(g.Data == nil) != (w.Data == nil) || g.Name != nil && len(g.Name) == 0 {
			return fmt.Sprintf("event %d: %q, want %q", i, g, w)
		}
	}
	if rest != wantRest {
		return fmt.Sprintf("rest %q, want %q", rest, wantRest)
	}
	return ""
}

func TestScannerSplits(t *testing.T) {
	var s Scanner
	f := func(in string, pieces ...string) {
		t.Helper()
		s.Init(1 << 20)
		want, wantRest := naive(in)
		got, rest := scanAll(&s, pieces...)
		if d := diff(got, want, rest, wantRest); d != "" {
			t.Fatalf("%q: %s", pieces, d)
		}
		var all []byte
		for _, ev := range got {
			all = append(all, ev.Raw...)
		}
		if string(all)+rest != in {
			t.Fatalf("%q: raw %q and rest %q are not the input", pieces, all, rest)
		}
	}
	for _, in := range corpus {
		f(in, in)
		f(in, strings.Split(in, "")...)
		for i := range len(in) + 1 {
			f(in, in[:i], in[i:])
			f(in, in[:i], "", in[i:])
			if len(in) > 100 {
				continue
			}
			for j := i; j <= len(in); j++ {
				f(in, in[:i], in[i:j], in[j:])
			}
		}
	}
	all := strings.Join(corpus[1:16], "")
	for size := 1; size < 300; size++ {
		var pieces []string
		for p := all; p != ""; {
			n := min(size, len(p))
			pieces = append(pieces, p[:n])
			p = p[n:]
		}
		f(all, pieces...)
	}
}

func TestScannerFields(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var s Scanner
		s.Init(1 << 20)
		evs, rest := scanAll(&s, in)
		var got []string
		for _, ev := range evs {
			if ev.Data == nil {
				got = append(got, "-")
				continue
			}
			got = append(got, string(ev.Name)+"="+string(ev.Data))
		}
		if g := strings.Join(got, "|") + "|" + rest; g != want {
			t.Fatalf("%q: %q, want %q", in, g, want)
		}
	}
	f("data: a\n\n", "=a|")
	f("data:  a \n\n", "= a |")
	f("event: x\ndata: 1\ndata: 2\n\n", "x=1\n2|")
	f("event: x\nevent: y\ndata: 1\n\n", "y=1|")
	f("event: x\nevent:\ndata: 1\n\n", "=1|")
	f(": c\n\n", "-|")
	f("event: only\n\n", "-|")
	f("data:\n\n", "=|")
	f("data\n\n", "-|")
	f("\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", "=a|-|")
	f("data: a\n\r\ndata: b\n\n", "=a\nb|")
	f("data: a\r\n\r\ndata: b", "=a|data: b")
}

func TestScannerBoundary(t *testing.T) {
	f := func(want bool, pieces ...string) {
		t.Helper()
		var s Scanner
		s.Init(20)
		scanAll(&s, pieces...)
		if got := s.AtBoundary(); got != want {
			t.Fatalf("%q: %v", pieces, got)
		}
	}
	f(true)
	f(true, "data: a\n\n")
	f(true, "data: a\n\n\n")
	f(true, "data: a\r\n\r\n", "\r", "\n")
	f(true, "\xef\xbb\xbf")
	f(false, "\xef\xbb")
	f(false, "data: a\n\n\xef\xbb\xbf")
	f(false, "data: a\n")
	f(false, "data: a\n\r\n")
	f(false, "data: a\n\n:")
	f(false, "data: "+strings.Repeat("a", 30)+"\n")
	f(true, "data: "+strings.Repeat("a", 30)+"\n", "\n")
}

func TestScannerOverflow(t *testing.T) {
	f := func(limit int, over bool, want string, pieces ...string) {
		t.Helper()
		var s Scanner
		s.Init(limit)
		evs, rest := scanAll(&s, pieces...)
		var got string
		for _, ev := range evs {
			got += string(ev.Data) + "|"
		}
		if got += rest; got != want || s.Overflowed() != over {
			t.Fatalf("%q: %q, overflow %v", pieces, got, s.Overflowed())
		}
		s.Init(limit)
		if s.Overflowed() || s.Rest() != nil || !s.AtBoundary() {
			t.Fatal("Init leaves something behind")
		}
	}
	f(10, false, "aaaaaaaaaaaaaaaaaaaa|", "data: aaaaaaaaaaaaaaaaaaaa\n\n") // never carried
	f(10, true, "b|", "data: aaaaaaaaaaaaaaaaaaaa", "\n\ndata: b\n\n")
	f(10, true, "b|", "data: aaaaaaaaaaaaaaaaaaaa\n", "\ndata: b\n\n")
	f(10, true, "b|", "data: aaaaaaaaaaaaaaaaaaaa\r\n\r", "\ndata: b\n\n")
	f(10, true, "b|", "data: aaaaaaaaaaaaaaaaaaaa\r", "\n", "\r", "\n", "data: b\n\n")
	f(10, true, "b|", "data: a", "aaaa", "aaaa", "aa\n", "data: c", "\n", "\n", "data: b", "\n\n")
	f(10, true, "b|data: c", "data: aaaaaaaaaaa", "\n\ndata: b\n\ndata: c")
	f(10, true, "c|", "data: aaaaaaaaaaa", "\n\ndata: bbbbbbbb", "b\n\n", "data: c\n\n")
	f(10, true, "|", "data: aaaaaaaaaaa", "\n\n\xef\xbb\xbfdata: b\n\n") // no byte order mark there
	f(0, true, "b|", "d", "\n\ndata: b\n\n")
	f(10, true, "", "data: aaaaaaaaaaa", "a", "a")
}

func TestScannerKeepsNoLargeBuffer(t *testing.T) {
	var s Scanner
	s.Init(16 << 20)
	line := "data: " + strings.Repeat("x", 200<<10) + "\n"
	evs, _ := scanAll(&s, line, line, "\n", line)
	if len(evs) != 1 || len(evs[0].Data) != 400<<10+1 {
		t.Fatal("event is missing")
	}
	s.Init(16 << 20)
	if cap(s.carry)+cap(s.held)+cap(s.joined) > 3*maxKept {
		t.Fatal("large buffers are kept")
	}
}

func TestScannerPanicsOnLostBytes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	var s Scanner
	s.Init(100)
	s.Reset([]byte("data: a\n\ndata: b\n\n"))
	s.Next()
	s.Reset(nil)
}
