package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
)

// feed decodes b in pieces of at most size bytes.
func feed(b []byte, size int) (body []byte, rest int, done bool, err error) {
	var d chunker
	for len(b) > 0 {
		k := min(size, len(b))
		p := bytes.Clone(b[:k])
		n, r, end, err := d.decode(p)
		body = append(body, p[:n]...)
		if err != nil || end {
			return body, r + len(b) - k, end, err
		}
		b = b[k:]
	}
	return body, 0, false, nil
}

// slowChunks is the obvious reader of the same grammar.
func slowChunks(b []byte) (body []byte, rest int, done bool, err error) {
	line := func() (string, bool) {
		for i, c := range b {
			if c == '\n' || c == 0 || c == '\r' && i+1 < len(b) && b[i+1] != '\n' {
				err = ErrChunk
				return "", false
			}
			if c == '\r' && i+1 < len(b) {
				s := string(b[:i])
				b = b[i+2:]
				return s, true
			}
		}
		return string(b), false
	}
	for {
		s, ok := line()
		size, _, ext := strings.Cut(s, ";")
		size = strings.TrimRight(size, " \t")
		for i, c := range []byte(strings.TrimRight(size, "\r")) {
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) && !ext && ok || i > 4096 {
				err = ErrChunk
			}
		}
		n, perr := strconv.ParseInt(size, 16, 64)
		if err != nil || ok && (perr != nil || size == "") {
			return body, 0, false, ErrChunk
		}
		if !ok {
			return body, 0, false, nil
		}
		if n == 0 {
			for {
				s, ok := line()
				if err != nil || !ok {
					return body, 0, false, err
				}
				if s == "" {
					return body, len(b), true, nil
				}
			}
		}
		k := int(min(n, int64(len(b))))
		body = append(body, b[:k]...)
		if b = b[k:]; len(b) < 2 {
			if len(b) == 1 && b[0] != '\r' {
				return body, 0, false, ErrChunk
			}
			return body, 0, false, nil
		}
		if b[0] != '\r' || b[1] != '\n' {
			return body, 0, false, ErrChunk
		}
		b = b[2:]
	}
}

func TestChunk_Decode(t *testing.T) {
	f := func(in, want string, wantRest int) {
		t.Helper()
		for size := 1; size <= len(in); size++ {
			body, rest, done, err := feed([]byte(in), size)
			if err != nil || !done || string(body) != want || rest != wantRest {
				t.Fatalf("%q by %d: %q, rest %d, done %v, %v", in, size, body, rest, done, err)
			}
		}
	}
	f("0\r\n\r\n", "", 0)
	f("5\r\nhello\r\n0\r\n\r\n", "hello", 0)
	f("00005 \t;a=b;c=\"d\"\r\nhello\r\n000;z\r\nA: b\r\nC: d\r\n\r\nHTTP", "hello", 4)
	f("a\r\n0123456789\r\nB\r\n0123456789\n\r\n0\r\n\r\n\r\n", "01234567890123456789\n", 2)
	f("1 \r\nx\r\n0\r\n\r\n", "x", 0)
}

func TestChunk_Error(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		for size := 1; size <= len(in); size += 1 + len(in)/50 {
			body, _, done, err := feed([]byte(in), size)
			if !errors.Is(err, ErrChunk) || done || string(body) != want {
				t.Fatalf("%.40q by %d: %q, done %v, %v", in, size, body, done, err)
			}
		}
	}
	f("\r\n", "")
	f("x\r\n", "")
	f("-1\r\n", "")
	f("0x1\r\n", "")
	f(" 1\r\n", "")
	f("1\n", "")
	f("1\r\r\n", "")
	f("1;a\nb\r\n", "")
	f("1;a\x00b\r\n", "")
	f("1\r\nab", "a")
	f("1\r\na\n", "a")
	f("1\r\na\r\r", "a")
	f("0\r\n\n", "")
	f("0\r\nA: b\n\r\n", "")
	f("0\r\n\rx", "")
	f("8000000000000000\r\n", "")
	f("10000000000000000\r\n", "")
	f(strings.Repeat("0", 5000), "")
	f("1;"+strings.Repeat("a", 5000), "")
	f("0\r\n"+strings.Repeat("A: b\r\n", 5000), "")
}

func FuzzChunk(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint16(3))
	f.Add([]byte("5;x=\"y\"\r\nhello\r\n1 \r\n!\r\n0\r\nA: b\r\n\r\nrest"), uint16(1))
	f.Add([]byte("ffffffffffffffff\r\n"), uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		if len(b) > 3000 { // the twin has no limits of lines
			return
		}
		whole, rest, done, err := feed(b, len(b)+1)
		parts, rest2, done2, err2 := feed(b, int(size)+1)
		if !bytes.Equal(whole, parts) || rest != rest2 || done != done2 || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: whole %q %d %v %v, by %d %q %d %v %v", b, whole, rest, done, err, size+1, parts, rest2, done2, err2)
		}
		slow, rest3, done3, err3 := slowChunks(bytes.Clone(b))
		if done != done3 || done && (rest != rest3 || !bytes.Equal(whole, slow)) {
			t.Fatalf("%q: %q %d %v %v, twin %q %d %v %v", b, whole, rest, done, err, slow, rest3, done3, err3)
		}
		if done {
			// A reader that many use agrees on whatever we take for complete.
			std, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReader(bytes.NewReader(b))))
			if err == nil && !bytes.Equal(std, whole) {
				t.Fatalf("%q: %q, net/http %q", b, whole, std)
			}
		}
	})
}
