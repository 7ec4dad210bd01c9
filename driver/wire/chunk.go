package wire

import "fmt"

const (
	maxChunkLine = 4 << 10        // a chunk's size line with its extensions
	maxTrailer   = 16 << 10       // all trailer lines together
	maxChunkSize = 1<<63 - 1 - 15 // leaves room for one more hex digit's check
)

// States of a chunker: what the next byte belongs to.
const (
	chunkSize0   = iota // first digit of a size
	chunkSize           // more digits
	chunkPad            // blanks between size and extension
	chunkExt            // extension, skipped
	chunkSizeLF         // LF of the size line
	chunkData           // data, left bytes of it
	chunkDataCR         // CR behind the data
	chunkDataLF         // LF behind the data
	chunkLine0          // first byte of a trailer line
	chunkLine           // rest of a trailer line
	chunkLineLF         // LF of a trailer line
	chunkFinalLF        // LF of the empty line
	chunkDone
)

// chunker takes the chunked coding (RFC 9112, 7.1) off a body that arrives in
// pieces cut anywhere. Sizes are strict, lines end with CRLF and nothing else,
// extensions and trailers are dropped. The zero value is at the beginning.
type chunker struct {
	state uint8
	left  uint64 // of the current chunk's size or data
	line  int    // bytes of the current line, or of all trailers
}

// decode moves the data among p to its front: n bytes. It ends with an error,
// with done (then the last rest bytes of p lie behind the body), or having used
// up p. The n bytes are good in every case.
func (d *chunker) decode(p []byte) (n, rest int, done bool, err error) {
	for i := 0; i < len(p); {
		if d.state == chunkData {
			k := len(p) - i
			if uint64(k) > d.left {
				k = int(d.left)
			}
			if n != i {
				copy(p[n:], p[i:i+k])
			}
			n, i = n+k, i+k
			if d.left -= uint64(k); d.left == 0 {
				d.state = chunkDataCR
			}
			continue
		}
		if err = d.step(p[i]); err != nil {
			return n, len(p) - i, false, err
		}
		i++
		if d.state == chunkDone {
			return n, len(p) - i, true, nil
		}
	}
	return n, 0, d.state == chunkDone, nil
}

// step takes one byte that is not data.
func (d *chunker) step(b byte) error {
	switch d.state {
	case chunkSize0, chunkSize:
		if v := hexDigit(b); v < 16 {
			if d.left > maxChunkSize>>4 {
				return fmt.Errorf("%w: size overflows", ErrChunk)
			}
			d.left = d.left<<4 | uint64(v)
			d.state = chunkSize
			return d.grow(maxChunkLine)
		}
		if d.state == chunkSize0 {
			return fmt.Errorf("%w: size begins with %+q", ErrChunk, b)
		}
		return d.afterSize(b)
	case chunkPad:
		return d.afterSize(b)
	case chunkExt:
		switch b {
		case '\r':
			d.state = chunkSizeLF
		case '\n', 0:
			return fmt.Errorf("%w: %+q in an extension", ErrChunk, b)
		}
		return d.grow(maxChunkLine)
	case chunkSizeLF:
		d.line = 0
		if d.left == 0 {
			return d.expect(b, '\n', chunkLine0)
		}
		return d.expect(b, '\n', chunkData)
	case chunkDataCR:
		return d.expect(b, '\r', chunkDataLF)
	case chunkDataLF:
		return d.expect(b, '\n', chunkSize0)
	case chunkLine0:
		if b == '\r' {
			d.state = chunkFinalLF
			return nil
		}
		d.state = chunkLine
		fallthrough
	case chunkLine:
		switch b {
		case '\r':
			d.state = chunkLineLF
		case '\n', 0:
			return fmt.Errorf("%w: %+q in a trailer", ErrChunk, b)
		}
		return d.grow(maxTrailer)
	case chunkLineLF:
		return d.expect(b, '\n', chunkLine0)
	case chunkFinalLF:
		return d.expect(b, '\n', chunkDone)
	}
	panic("BUG: chunker asked for more after the end")
}

func (d *chunker) afterSize(b byte) error {
	switch b {
	case '\r':
		d.state = chunkSizeLF
	case ';':
		d.state = chunkExt
	case ' ', '\t':
		d.state = chunkPad
	default:
		return fmt.Errorf("%w: %+q behind a size", ErrChunk, b)
	}
	return d.grow(maxChunkLine)
}

func (d *chunker) expect(b, want byte, next uint8) error {
	if b != want {
		return fmt.Errorf("%w: %+q instead of %+q", ErrChunk, b, want)
	}
	d.state = next
	return nil
}

func (d *chunker) grow(limit int) error {
	if d.line++; d.line > limit {
		return fmt.Errorf("%w: line too long", ErrChunk)
	}
	return nil
}

func hexDigit(b byte) uint8 {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10
	}
	return 16
}
