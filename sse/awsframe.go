package sse

import (
	"encoding/binary"
	"hash/crc32"
)

// An AWS event-stream frame (ai-proxy.md section 3.5): u32 length of the whole
// frame, u32 length of the headers, u32 CRC of those eight bytes, headers,
// payload, u32 CRC of everything before it; big-endian, IEEE CRC-32.
const (
	preludeLen = 12
	frameMin   = preludeLen + 4
	frameMax   = 16 << 20
)

// Frames splits a stream of AWS event-stream frames (Bedrock's) that arrives
// in pieces, as Scanner does with server-sent events.
//
// The Event of a frame has its :event-type as Name ("exception" and "error"
// where :message-type says so, whatever the type is), its payload as Data,
// which is never nil, and the frame as Raw.
//
// A frame that is damaged is dropped together with the rest of its piece; one
// whose length cannot be believed ends the scan, since nobody knows where the
// next begins. Both are Corrupt. Otherwise the Raw of all events followed by
// Rest is exactly the input.
//
// Frames that lie within one piece are not copied; bytes given to Reset may be
// used again after Next has returned false. The zero value is ready. Frames
// belong to one goroutine; reused, they allocate nothing.
type Frames struct {
	in      []byte // the piece given to Reset
	pos     int    // start of the next frame in it
	carry   []byte // the unfinished frame
	held    []byte // the frame that this piece finished: an event lives here
	ev      Event
	corrupt bool
	lost    bool // the rest of the stream is not looked at
}

// Init starts a new stream.
func (f *Frames) Init() { *f = Frames{carry: kept(f.carry), held: kept(f.held)} }

// Reset continues the stream with p. Next must have returned false for the
// piece before; events of that piece are invalid from here on.
func (f *Frames) Reset(p []byte) {
	if f.pos < len(f.in) {
		panic("BUG: sse.Frames.Reset before Next returned false")
	}
	f.in, f.pos = p, 0
}

// Next goes to the next complete frame and reports whether there is one. A
// frame that is not finished within this piece is kept for the next.
func (f *Frames) Next() bool {
	if f.lost {
		f.pos = len(f.in)
		return false
	}
	b := f.in[f.pos:]
	if len(f.carry) > 0 {
		if b = f.join(b); b == nil {
			return false
		}
	} else {
		n := frameLen(b)
		if n < 0 {
			return f.drop(true)
		}
		if n == 0 || n > len(b) {
			f.carry = append(f.carry, b...)
			f.pos = len(f.in)
			return false
		}
		f.pos += n
		b = b[:n:n]
	}
	if !f.frame(b) {
		return f.drop(false)
	}
	return true
}

// Event is the frame that Next went to. It stays valid, like all events of
// the piece, until the next Reset.
func (f *Frames) Event() Event { return f.ev }

// Rest is the unfinished frame after Next has returned false, valid until the
// next Reset. There is none in a stream that is no longer looked at.
func (f *Frames) Rest() []byte {
	if len(f.carry) == 0 {
		return nil
	}
	return f.carry
}

// AtBoundary reports whether a frame could be added to the stream here. After
// damage nobody knows.
func (f *Frames) AtBoundary() bool { return !f.corrupt && len(f.carry) == 0 }

// Corrupt reports whether bytes of this stream were dropped.
func (f *Frames) Corrupt() bool { return f.corrupt }

// join finishes the carried frame with the beginning of b, all that is left of
// the piece. It returns nil if there is no whole frame yet, or never will be.
func (f *Frames) join(b []byte) []byte {
	// Nothing beyond the frame's end may get into the carry, so its length comes first.
	if n := preludeLen - len(f.carry); n > 0 {
		n = min(n, len(b))
		f.carry = append(f.carry, b[:n]...)
		f.pos += n
		b = b[n:]
	}
	total := frameLen(f.carry)
	if total < 0 {
		f.drop(true)
		return nil
	}
	if total == 0 {
		return nil
	}
	n := min(total-len(f.carry), len(b))
	whole := append(f.carry, b[:n]...)
	f.pos += n
	if len(whole) < total {
		f.carry = whole
		return nil
	}
	f.carry, f.held = f.held[:0], whole
	return whole
}

// drop gives up the rest of the piece, or of the stream.
func (f *Frames) drop(stream bool) bool {
	f.corrupt, f.lost = true, stream
	f.pos, f.carry = len(f.in), f.carry[:0]
	return false
}

// frameLen is the length of the frame that begins with b: 0 if its prelude is
// not complete, -1 if it cannot be right.
func frameLen(b []byte) int {
	if len(b) < preludeLen {
		return 0
	}
	n := binary.BigEndian.Uint32(b)
	if n < frameMin || n > frameMax || crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return -1
	}
	return int(n)
}

// frame reads b, one frame, into f.ev and tells whether it is sound.
func (f *Frames) frame(b []byte) bool {
	end := len(b) - 4
	if crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return false
	}
	headers := binary.BigEndian.Uint32(b[4:])
	if headers > uint32(end-preludeLen) {
		return false
	}
	data := preludeLen + int(headers)
	name, ok := frameName(b[preludeLen:data])
	f.ev = Event{Name: name, Data: b[data:end:end], Raw: b[:len(b):len(b)]}
	return ok
}

// headerLen is the length of a header's value by its type: true, false, byte,
// i16, i32, i64, bytes, string, timestamp, uuid; -1: a length of two bytes
// comes first.
var headerLen = [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16}

// frameName reads the headers of a frame for the event's name. ok is false if
// they are not well formed.
func frameName(h []byte) (name []byte, ok bool) {
	var kind []byte
	w := headers{rest: h}
	for w.next() {
		switch string(w.name) {
		case ":event-type":
			name = w.text
		case ":message-type":
			kind = w.text
		}
	}
	if w.bad {
		return nil, false
	}
	if k := string(kind); k == "exception" || k == "error" {
		return kind, true
	}
	if len(name) == 0 {
		name = nil
	}
	return name, true
}

// FrameHeader returns a header of the frame raw, an Event's Raw: the bytes of a
// string or byte array, of several the last. It is nil where there is none, and
// for bytes that are no frame; it aliases raw. An exception has its
// :exception-type, an error its :error-code and :error-message.
func FrameHeader(raw []byte, name string) (text []byte) {
	if len(raw) < frameMin {
		return nil
	}
	end := binary.BigEndian.Uint32(raw[4:])
	if end > uint32(len(raw)-frameMin) {
		return nil
	}
	w := headers{rest: raw[preludeLen : preludeLen+int(end)]}
	for w.next() {
		if string(w.name) == name {
			text = w.text
		}
	}
	return text
}

// headers walks the headers of a frame that are strings or byte arrays.
type headers struct {
	rest       []byte
	name, text []byte
	bad        bool // they are not well formed
}

func (w *headers) next() bool {
	for h := w.rest; len(h) > 0; {
		n := 1 + int(h[0])
		if n >= len(h) || int(h[n]) >= len(headerLen) {
			break
		}
		name, size := h[1:n], headerLen[h[n]]
		h = h[n+1:]
		long := size < 0
		if long {
			if len(h) < 2 {
				break
			}
			size = int(binary.BigEndian.Uint16(h))
			h = h[2:]
		}
		if size > len(h) {
			break
		}
		value := h[:size:size]
		if h = h[size:]; long {
			w.name, w.text, w.rest = name, value, h
			return true
		}
		w.rest = h
	}
	w.bad = len(w.rest) > 0
	return false
}
