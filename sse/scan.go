package sse

import (
	"bytes"
	"encoding/binary"
)

const (
	maxKept     = 64 << 10 // largest buffer that survives into the next stream
	dataField   = 'd' | 'a'<<8 | 't'<<16 | 'a'<<24
	eventField  = 'e' | 'v'<<8 | 'e'<<16 | 'n'<<24
	fourLetters = 0x20202020 // lower-cases four ASCII letters at once
)

var bom = []byte("\xef\xbb\xbf")

// Scanner splits a stream that arrives in pieces into its events, by the
// rules of ai-proxy.md section 5.4: a block ends at "\n\n" or "\r\n\r\n"
// (never at the mixed "\n\r\n"), fields other than data and event are left out.
//
// Blocks that lie within one piece are not copied. The rest of a piece is
// copied into the scanner, so the caller may use the bytes given to Reset
// again after Next has returned false. Unless a block was dropped, the Raw of
// all events followed by Rest is exactly the input.
//
// The zero value scans with a limit of 0 bytes; call Init first. A Scanner
// belongs to one goroutine; reused, it allocates nothing.
type Scanner struct {
	in     []byte // the piece given to Reset
	pos    int    // start of the next block in it
	carry  []byte // the unfinished block; while skipping its last three bytes
	held   []byte // the block that this piece finished: an event lives here
	joined []byte // values of data fields with several lines, one after the other
	ev     Event
	limit  int
	begun  bool // the first block is over, a byte order mark would be content
	skip   bool // inside a block that was dropped
	over   bool
}

// Init starts a new stream. limit is the largest unfinished block that is
// carried from one piece to the next; a larger one is dropped, see Overflowed.
func (s *Scanner) Init(limit int) {
	*s = Scanner{carry: kept(s.carry), held: kept(s.held), joined: kept(s.joined), limit: limit}
}

// Reset continues the stream with p. Next must have returned false for the
// piece before; events of that piece are invalid from here on.
func (s *Scanner) Reset(p []byte) {
	if s.pos < len(s.in) {
		panic("BUG: sse.Scanner.Reset before Next returned false")
	}
	s.in, s.pos, s.joined = p, 0, s.joined[:0]
}

// Next goes to the next complete block and reports whether there is one.
// A block that is not finished within this piece is kept for the next.
func (s *Scanner) Next() bool {
	if len(s.carry) > 0 {
		p := s.in[s.pos:]
		n := joint(s.carry, p)
		if n < 0 {
			s.keep(p)
			return false
		}
		s.pos += n
		if !s.skip {
			b := append(s.carry, p[:n]...)
			s.carry, s.held = s.held[:0], b
			s.block(b)
			return true
		}
		s.carry, s.skip, s.begun = s.carry[:0], false, true
	}
	p := s.in[s.pos:]
	n := s.block(p)
	if n < 0 {
		s.keep(p)
		return false
	}
	s.pos += n
	return true
}

// Event is the block that Next went to. It stays valid, like all events of
// the piece, until the next Reset.
func (s *Scanner) Event() Event { return s.ev }

// Rest is the unfinished block after Next has returned false: what was
// carried over and the end of this piece. It is valid until the next Reset,
// and nil where the block was dropped.
func (s *Scanner) Rest() []byte {
	if s.skip || len(s.carry) == 0 {
		return nil
	}
	return s.carry
}

// AtBoundary reports whether an event could be added to the stream here
// without running into an unfinished block. Blank lines and a byte order mark
// alone are no block.
func (s *Scanner) AtBoundary() bool {
	rest := s.carry
	if !s.begun {
		rest = bytes.TrimPrefix(rest, bom)
	}
	return !s.skip && len(bytes.Trim(rest, "\r\n")) == 0
}

// Overflowed reports whether this stream had a block that exceeded the limit
// before its end came. Such a block yields no event and is missing from Raw
// and Rest; scanning goes on after its end.
func (s *Scanner) Overflowed() bool { return s.over }

// keep takes the rest of the piece, p, into the carry.
func (s *Scanner) keep(p []byte) {
	s.pos = len(s.in)
	if len(s.carry)+len(p) > s.limit {
		s.skip, s.over = true, true
	}
	if !s.skip {
		s.carry = append(s.carry, p...)
		return
	}
	// A boundary has four bytes: three may be of the past.
	if len(p) >= 3 {
		s.carry = append(s.carry[:0], p[len(p)-3:]...)
		return
	}
	s.carry = append(s.carry, p...)
	s.carry = append(s.carry[:0], s.carry[max(0, len(s.carry)-3):]...)
}

// block parses the block that b begins with into s.ev and returns its length,
// or -1 if b does not hold its end.
func (s *Scanner) block(b []byte) int {
	var name, data []byte
	from, start := 0, -1
	mark := len(s.joined)
	if !s.begun && bytes.HasPrefix(b, bom) {
		from = len(bom)
	}
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			s.joined = s.joined[:mark]
			return -1
		}
		i += from
		line := b[from:i]
		if len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		if len(line) > 4 {
			switch field := binary.LittleEndian.Uint32(line) | fourLetters; {
			case field == dataField && line[4] == ':':
				v := value(line[5:])
				if data == nil {
					data = v
					break
				}
				if start < 0 {
					start = len(s.joined)
					s.joined = append(s.joined, data...)
				}
				s.joined = append(s.joined, '\n')
				s.joined = append(s.joined, v...)
				data = s.joined[start:]
			case field == eventField && len(line) > 5 && line[4]|0x20 == 't' && line[5] == ':':
				name = value(line[6:])
			}
		}
		from = i + 1
		switch {
		case from < len(b) && b[from] == '\n':
			from++
		case from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n' && i > 0 && b[i-1] == '\r':
			from += 2
		default:
			continue
		}
		if len(name) == 0 { // an empty name means "message" too
			name = nil
		}
		s.ev = Event{Name: name, Data: data[:len(data):len(data)], Raw: b[:from:from]}
		s.begun = true
		return from
	}
}

// value removes the one space that may follow the colon of a field.
func value(v []byte) []byte {
	if len(v) > 0 && v[0] == ' ' {
		return v[1:]
	}
	return v
}

// joint finds the end of a block that began in carry and ends in p: the
// length of its part in p, or -1. Only p is searched, so an event spread over
// thousands of pieces costs no more than its bytes.
func joint(carry, p []byte) int {
	for i := 0; i < len(p); i++ {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			break
		}
		i += j
		switch back(carry, p, i-1) {
		case '\n':
			return i + 1
		case '\r':
			if back(carry, p, i-2) == '\n' && back(carry, p, i-3) == '\r' {
				return i + 1
			}
		}
	}
	return -1
}

// back is byte i of p, counted on into carry where i is negative.
func back(carry, p []byte, i int) byte {
	if i >= 0 {
		return p[i]
	}
	if i += len(carry); i >= 0 {
		return carry[i]
	}
	return 0
}

// kept empties a buffer for the next stream, or drops it if it grew too large.
func kept(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}
