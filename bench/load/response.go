//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

const (
	inHead = iota
	inLength
	inSize
	inChunk
	inChunkEnd
	inTrailer
	inClose // the body ends with the connection
	inEnd
)

// response follows one HTTP/1.1 answer through its reads. It keeps nothing but
// the head, the last bytes of the body and counts, and allocates nothing.
type response struct {
	state  uint8
	blank  bool // the line under way is empty so far
	closes bool // the server ends the connection afterwards
	status int
	left   int64
	bytes  int64
	lines  int // newlines of the body; the mock's events have two each
	head   []byte
	tail   [16]byte
}

func (r *response) reset() {
	*r = response{head: r.head[:0]}
}

func (r *response) events() int { return r.lines / 2 }

// endsWith says how the body ends (up to 16 bytes).
func (r *response) endsWith(s string) bool { return bytes.HasSuffix(r.tail[:], []byte(s)) }

// feed takes the next bytes and says whether the answer is complete.
func (r *response) feed(p []byte) (bool, error) {
	for len(p) > 0 {
		switch r.state {
		case inHead:
			n := len(r.head)
			r.head = append(r.head, p...)
			end := bytes.Index(r.head[max(0, n-3):], []byte("\r\n\r\n"))
			if end < 0 {
				if len(r.head) > 16<<10 {
					return false, fmt.Errorf("head of the answer is larger than 16 KiB")
				}
				return false, nil
			}
			end += max(0, n-3) + 4
			p = p[end-n:]
			r.head = r.head[:end]
			if err := r.parseHead(); err != nil {
				return false, err
			}
		case inLength, inChunk:
			n := int(min(int64(len(p)), r.left))
			r.take(p[:n])
			p = p[n:]
			if r.left -= int64(n); r.left == 0 {
				if r.state == inLength {
					r.state = inEnd
				} else {
					r.state = inChunkEnd
				}
			}
		case inSize:
			c := p[0]
			p = p[1:]
			switch d := hexDigit(c); {
			case d >= 0 && r.left < 1<<40:
				r.left, r.blank = r.left<<4|int64(d), false
			case c == '\r':
			case c == '\n' && !r.blank:
				if r.state = inChunk; r.left == 0 {
					r.state, r.blank = inTrailer, true
				}
			default:
				return false, fmt.Errorf("chunk size has the byte %q", c)
			}
		case inChunkEnd:
			if c := p[0]; c == '\n' {
				r.state, r.left, r.blank = inSize, 0, true
			} else if c != '\r' {
				return false, fmt.Errorf("chunk ends with the byte %q", c)
			}
			p = p[1:]
		case inTrailer:
			c := p[0]
			p = p[1:]
			if c == '\n' {
				if r.blank {
					r.state = inEnd
				}
				r.blank = true
			} else if c != '\r' {
				r.blank = false
			}
		case inClose:
			r.take(p)
			p = nil
		case inEnd:
			return false, fmt.Errorf("%d bytes follow the answer: %.40q", len(p), p)
		}
	}
	return r.state == inEnd, nil
}

func (r *response) take(p []byte) {
	r.bytes += int64(len(p))
	r.lines += bytes.Count(p, newline)
	if len(p) >= len(r.tail) {
		copy(r.tail[:], p[len(p)-len(r.tail):])
		return
	}
	copy(r.tail[:], r.tail[len(p):])
	copy(r.tail[len(r.tail)-len(p):], p)
}

var newline = []byte{'\n'}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func (r *response) parseHead() error {
	line, rest, _ := bytes.Cut(r.head, newline)
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return fmt.Errorf("answer begins with %.40q", line)
	}
	r.status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	r.state, r.blank = inClose, true
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, newline)
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return fmt.Errorf("head of the answer has the line %.40q", line)
		}
		value := bytes.TrimSpace(line[colon+1:])
		switch name := line[:colon]; {
		case len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseInt(string(value), 10, 62) // the string does not escape
			if err != nil || n < 0 {
				return fmt.Errorf("length of the answer is %.40q", value)
			}
			if r.state, r.left = inLength, n; n == 0 {
				r.state = inEnd
			}
		case len(name) == 17 && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			r.state, r.left = inSize, 0
		case len(name) == 10 && bytes.EqualFold(name, []byte("Connection")):
			r.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	r.closes = r.closes || r.state == inClose
	return nil
}
