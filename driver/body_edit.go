package driver

import (
	"bytes"
	"slices"
)

// Set makes the JSON value raw the member key: in place if the client had sent
// it, else among the added members. raw is kept, not copied, and must be valid
// JSON. A document that is no object takes no edits.
func (b *Body) Set(key string, raw []byte) {
	if b.kind != Object {
		return
	}
	b.changed = true
	if i := b.find(key); i >= 0 {
		f := &b.fields[i]
		f.val = raw
		if f.state != added {
			f.state = replaced
		}
		return
	}
	n := len(b.arena)
	b.arena = append(b.arena, key...)
	f := field{key: b.arena[n:len(b.arena):len(b.arena)], val: raw, state: added}
	at := len(b.fields)
	for at > b.n && bytes.Compare(f.key, b.fields[at-1].key) < 0 {
		at--
	}
	b.fields = slices.Insert(b.fields, at, f)
}

// Delete takes the member key out; nothing happens if there is none.
func (b *Body) Delete(key string) {
	i := b.find(key)
	switch {
	case i < 0 || b.fields[i].gone():
	case b.fields[i].state == added:
		b.fields = slices.Delete(b.fields, i, i+1)
	default:
		b.fields[i].state, b.changed = deleted, true
	}
}

// Fork makes dst a layer over b: it starts as b stands now, its edits never
// show in b. Only the table is copied, so dst is valid as long as b is not
// reset or loaded again.
func (b *Body) Fork(dst *Body) {
	dst.clear()
	dst.raw, dst.kind, dst.empty, dst.changed = b.raw, b.kind, b.empty, b.changed
	dst.n, dst.tail = b.n, b.tail
	dst.fields = append(dst.fields, b.fields...)
}

// AppendTo appends the document with its edits: the client's own bytes when
// nothing changed, else its members in the client's order followed by the
// added ones sorted by key. Bytes that were not edited, numbers above all,
// are copied as they stand.
func (b *Body) AppendTo(dst []byte) []byte {
	if !b.changed {
		return append(dst, b.raw...)
	}
	b.pieces = b.Segments(b.pieces[:0])
	n := 0
	for _, p := range b.pieces {
		n += len(p)
	}
	dst = slices.Grow(dst, n)
	for _, p := range b.pieces {
		dst = append(dst, p...)
	}
	return dst
}

// Segments appends the slices whose concatenation AppendTo would give, for a
// gathering write. They alias the client's bytes, the values given to Set and
// b itself, and are valid until the next edit, AppendTo, Segments, Load or Reset,
// and until b is the target of a Fork.
func (b *Body) Segments(dst [][]byte) [][]byte {
	if !b.changed {
		return append(dst, b.raw)
	}
	g := gather{out: dst, glue: b.glue[:0]}
	pos, first := 0, true
	for i := range b.fields[:b.n] {
		f := &b.fields[i]
		if f.gone() {
			// A member owns the comma before it; pos moves behind its value.
			lead := f.at
			if i > 0 {
				lead = b.fields[i-1].end
			}
			g.raw(b.raw[pos:lead])
			pos = f.end
			continue
		}
		if first && i > 0 {
			pos = f.at // everything before it is gone, its comma too
		}
		first = false
		if f.state == replaced {
			g.raw(b.raw[pos:f.valAt])
			g.raw(f.val)
			pos = f.end
		}
	}
	g.raw(b.raw[pos:b.tail])
	for i := range b.fields[b.n:] {
		f := &b.fields[b.n+i]
		if !first {
			g.byte(',')
		}
		first = false
		g.key(f.key)
		g.raw(f.val)
	}
	g.raw(b.raw[b.tail:])
	b.glue = g.glue
	return g.out
}

// gather collects pieces; short ones are copied together, since an entry of a
// gathering write costs more than the copy.
type gather struct {
	out   [][]byte
	glue  []byte
	start int  // where the open run of glue begins
	open  bool // the last piece of out is glue[start:]
}

const glueMax = 256

func (g *gather) raw(p []byte) {
	if len(p) == 0 {
		return
	}
	if len(p) > glueMax {
		g.out, g.open = append(g.out, p), false
		return
	}
	g.begin()
	g.glue = append(g.glue, p...)
	g.end()
}

func (g *gather) byte(c byte) {
	g.begin()
	g.glue = append(g.glue, c)
	g.end()
}

func (g *gather) key(k []byte) {
	g.begin()
	g.glue = append(AppendString(g.glue, k), ':')
	g.end()
}

func (g *gather) begin() {
	if !g.open {
		g.out, g.start, g.open = append(g.out, nil), len(g.glue), true
	}
}

func (g *gather) end() { g.out[len(g.out)-1] = g.glue[g.start:len(g.glue):len(g.glue)] }
