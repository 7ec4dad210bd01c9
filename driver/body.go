package driver

import (
	"bytes"
	"cmp"
	"slices"
)

// keepCap is the size above which a buffer is dropped and not kept for reuse
// (architecture.md section 9).
const keepCap = 64 << 10

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds; None is what a Body that holds nothing has.
const (
	None Kind = iota
	Object
	Array
	String
	Number
	True
	False
	Null
)

// KindOf tells the kind of a valid JSON value by its first byte.
func KindOf(raw []byte) Kind {
	if len(raw) == 0 {
		return None
	}
	switch raw[0] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't':
		return True
	case 'f':
		return False
	case 'n':
		return Null
	}
	return Number
}

type state uint8

const (
	kept      state = iota // as the client wrote it
	replaced               // the client's key with another value
	added                  // not the client's
	deleted                // the client's, taken out; Set revives it
	duplicate              // the client's, but a later member has the same key
)

// field is one top-level member. at, valAt and end are offsets into raw: of
// the key's quote, of the value, and behind the value.
type field struct {
	key, val       []byte
	at, valAt, end int
	state          state
}

func (f *field) gone() bool { return f.state >= deleted }

// Body is a JSON document as bytes, with a table of its top-level members and
// a list of edits to them (architecture.md section 8). A document nobody
// edited leaves byte-identical; an edited one is spliced together from the
// client's own bytes.
//
// The zero value is ready. A Body aliases the bytes given to Load and to Set:
// they must not change until Reset or the next Load. What Get returns is valid
// until then too. A Body belongs to one goroutine.
type Body struct {
	raw     []byte
	fields  []field // the client's [:n] in order, then the added ones sorted by key
	n       int
	tail    int // offset behind the last member's value, or behind '{'
	kind    Kind
	empty   bool
	changed bool
	arena   []byte // unescaped keys and strings, merged objects
	pieces  [][]byte
	glue    []byte // the bytes of Segments that are not in raw
	order   []int32
}

// Reset empties b. Buffers of up to 64 KiB are kept for the next document.
func (b *Body) Reset() {
	// The table is cleared to its capacity: a pooled Body must not hold on to
	// the bytes of an earlier request.
	fields, pieces := b.fields[:cap(b.fields)], b.pieces[:cap(b.pieces)]
	clear(fields)
	clear(pieces)
	const fieldSize, sliceSize = 80, 24
	*b = Body{
		fields: keep(fields, fieldSize),
		pieces: keep(pieces, sliceSize),
		arena:  keep(b.arena, 1),
		glue:   keep(b.glue, 1),
		order:  keep(b.order, 4),
	}
}

func keep[T any](s []T, size int) []T {
	if cap(s)*size > keepCap {
		return nil
	}
	return s[:0]
}

// Load makes b the document raw and forgets what b was. The error is a
// *SyntaxError and leaves b empty.
//
// Of equal keys the last one counts; all of them are sent as long as nothing
// changes. Beyond RFC 8259: at most 1000 levels, at most 65,536 top-level members.
func (b *Body) Load(raw []byte) error {
	b.clear()
	b.raw = raw
	at, w := b.walk(raw)
	if w == wantNone {
		return nil
	}
	b.clear()
	return syntaxError(raw, at, w)
}

// clear empties b for the next document; unlike Reset it assumes that b is in
// use again at once.
func (b *Body) clear() {
	b.raw, b.kind, b.empty, b.changed = nil, None, false, false
	b.fields, b.arena, b.n, b.tail = b.fields[:0], b.arena[:0], 0, 0
}

func (b *Body) walk(p []byte) (int, want) {
	i := skipSpace(p, 0)
	if i >= len(p) {
		return i, wantValue
	}
	b.kind = KindOf(p[i:])
	var w want
	if b.kind == Object {
		i, w = b.walkMembers(p, i+1)
	} else {
		if b.kind == Array {
			k := skipSpace(p, i+1)
			b.empty = k < len(p) && p[k] == ']'
		}
		i, w = skipValue(p, i, 0)
	}
	if w != wantNone {
		return i, w
	}
	if i = skipSpace(p, i); i < len(p) {
		return i, wantEnd
	}
	return i, wantNone
}

// walkMembers fills the table; i stands behind the opening brace.
func (b *Body) walkMembers(p []byte, i int) (int, want) {
	b.tail = i
	if i = skipSpace(p, i); i < len(p) && p[i] == '}' {
		b.empty = true
		return i + 1, wantNone
	}
	for {
		at := i
		val, w := skipKey(p, at)
		if w != wantNone {
			return val, w
		}
		end, w := skipValue(p, val, 1)
		if w != wantNone {
			return end, w
		}
		if len(b.fields) == maxFields {
			return at, tooMany
		}
		key, grown := unquoted(p[at:at+skipQuoted(p[at:])+1], b.arena)
		b.arena = grown
		b.fields = append(b.fields, field{key: key, val: p[val:end:end], at: at, valAt: val, end: end})
		b.tail = end
		i = skipSpace(p, end)
		if i < len(p) && p[i] == '}' {
			break
		}
		if i >= len(p) || p[i] != ',' {
			return i, wantObjectEnd
		}
		i = skipSpace(p, i+1)
	}
	b.n = len(b.fields)
	b.markDuplicates()
	return i + 1, wantNone
}

// markDuplicates lets the last of equal keys stand. Many keys are sorted, for
// a hostile body must not make this quadratic.
func (b *Body) markDuplicates() {
	fs := b.fields
	if len(fs) <= 32 {
		for i := 1; i < len(fs); i++ {
			for j := range i {
				if len(fs[i].key) == len(fs[j].key) && bytes.Equal(fs[i].key, fs[j].key) {
					fs[j].state = duplicate
				}
			}
		}
		return
	}
	b.order = b.order[:0]
	for i := range fs {
		b.order = append(b.order, int32(i))
	}
	slices.SortFunc(b.order, func(x, y int32) int {
		if c := bytes.Compare(fs[x].key, fs[y].key); c != 0 {
			return c
		}
		return cmp.Compare(x, y)
	})
	for k := 1; k < len(b.order); k++ {
		if x := &fs[b.order[k-1]]; bytes.Equal(x.key, fs[b.order[k]].key) {
			x.state = duplicate
		}
	}
}

// Kind is the kind of the whole document.
func (b *Body) Kind() Kind { return b.kind }

// Empty tells whether the document is {} or [] as the client sent it.
func (b *Body) Empty() bool { return b.empty }

// Raw returns the document as it was loaded, edits not applied.
func (b *Body) Raw() []byte { return b.raw }

// Changed tells whether an edit was made since Load.
func (b *Body) Changed() bool { return b.changed }

// find returns the index of the member that stands for key, -1 if there never
// was one; it may be deleted.
func (b *Body) find(key string) int {
	for i := range b.fields {
		if f := &b.fields[i]; string(f.key) == key && f.state != duplicate {
			return i
		}
	}
	return -1
}

// Get returns the JSON text of a top-level member. Documents that are no
// objects have none.
func (b *Body) Get(key string) (raw []byte, ok bool) {
	i := b.find(key)
	if i < 0 || b.fields[i].gone() {
		return nil, false
	}
	return b.fields[i].val, true
}

// GetString returns the text of a top-level member that is a string.
func (b *Body) GetString(key string) (s []byte, ok bool) {
	raw, ok := b.Get(key)
	if !ok || KindOf(raw) != String {
		return nil, false
	}
	s, b.arena = unquoted(raw, b.arena)
	return s, true
}

// IsTrue tells whether a top-level member is the JSON boolean true.
func (b *Body) IsTrue(key string) bool {
	raw, _ := b.Get(key)
	return KindOf(raw) == True
}
