package sse

import "sync"

// A read lands in the middle of a buffer: in front of it is room for the head
// of the answer and the size of the chunk, behind it for the end of the chunk
// and the last chunk. So the bytes are written from where they were read.
//
// 16 KiB hold what a provider sends at once; a stream has one while it moves bytes,
// and where the Source is a Waiter not while it waits.
// Large bodies gain little by more: 1 MiB from socket to socket took 1.26 ms
// with 8 KiB, 0.95 with 16, 0.73 with 32, 0.64 with 64 (BenchmarkPumpBody).
const (
	roomFront = 1984
	roomData  = 16 << 10
	roomBack  = len(crlf + lastChunk)

	crlf      = "\r\n"
	lastChunk = "0\r\n\r\n"
	hexDigits = "0123456789abcdef"
)

type buffer struct {
	mem   [roomFront + roomData + roomBack]byte
	spare [1]byte // for looking behind the end of a body while mem is full
	big   []byte  // what does not fit into mem: large heads and output
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// send writes one piece of the answer in one Write: the head if it is due, out
// and tail as one chunk, and if last the end of the body. A failed write counts
// as sent.
func (p *Pump) send(out, tail []byte, last bool) error {
	b := p.buf
	n := len(out) + len(tail)
	p.left -= int64(n)
	var piece []byte
	if n <= roomData {
		data := b.mem[roomFront:]
		if len(out) > 0 && &out[0] != &data[0] { // made by a transform
			copy(data, out)
		}
		copy(data[len(out):], tail)
		from, to := roomFront, roomFront+n
		if p.fr == Chunked {
			if n > 0 {
				from = putSize(b.mem[:], roomFront, n)
				to += copy(b.mem[to:], crlf)
			}
			if last {
				to += copy(b.mem[to:], lastChunk)
			}
		}
		if p.sent {
			piece = b.mem[from:to]
		} else if len(p.head) <= from {
			from -= len(p.head)
			copy(b.mem[from:], p.head)
			piece = b.mem[from:to]
		} else {
			b.big = append(append(b.big[:0], p.head...), b.mem[from:to]...)
			piece = b.big
		}
	} else {
		b.big = b.big[:0]
		if !p.sent {
			b.big = append(b.big, p.head...)
		}
		if p.fr == Chunked {
			// the size is made up in mem's front, which is free here
			b.big = append(b.big, b.mem[putSize(b.mem[:], roomFront, n):roomFront]...)
		}
		b.big = append(append(b.big, out...), tail...)
		if p.fr == Chunked {
			b.big = append(b.big, crlf...)
			if last {
				b.big = append(b.big, lastChunk...)
			}
		}
		piece = b.big
	}
	if len(piece) == 0 {
		return nil
	}
	p.sent = true
	p.r.HeadSent()
	_, err := p.w.Write(piece)
	return err
}

// putSize writes the size line of a chunk of n bytes so that it ends at
// mem[at], and returns where it begins.
func putSize(mem []byte, at, n int) int {
	at -= len(crlf)
	copy(mem[at:], crlf)
	for {
		at--
		mem[at] = hexDigits[n&15]
		if n >>= 4; n == 0 {
			return at
		}
	}
}
