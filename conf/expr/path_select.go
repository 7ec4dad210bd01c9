package expr

import (
	"bytes"
	"math/bits"
	"strconv"
)

// Select returns what the path leads to in doc, a valid JSON text: a value, or
// an array of all hits of a JSONPath; an absent value if there is nothing. The
// array is appended to dst. Arrays and objects among the hits are empty in it:
// no operator looks into them.
func (p *Path) Select(dst, doc []byte) Value { return p.from(0, dst, doc) }

// SelectIn is Select for the value of the member that Head names.
func (p *Path) SelectIn(dst, member []byte) Value { return p.from(1, dst, member) }

func (p *Path) from(k int, dst, doc []byte) Value {
	if p.plain {
		for i := range p.steps[k:] {
			if doc = lookup(doc, p.steps[k+i].names[0]); doc == nil {
				return Value{}
			}
		}
		return JSONValue(doc)
	}
	w := walk{p, doc, dst, len(dst)}
	if i := skipSpace(doc, 0); i < len(doc) {
		w.value(i, 1<<k)
	}
	if len(w.out) == w.at {
		return Value{}
	}
	return Value{Kind: Array, Bytes: append(w.out, ']')[w.at:]}
}

// lookup returns the member of an object, nil if it has none; of several with
// one name the last one counts, as for every JSON reader.
func lookup(doc []byte, name string) (val []byte) {
	i := skipSpace(doc, 0)
	if i >= len(doc) || doc[i] != '{' {
		return nil
	}
	for i = skipSpace(doc, i+1); i < len(doc) && doc[i] == '"'; {
		key, at := cutKey(doc, i)
		end := skipValue(doc, at)
		if end < 0 {
			return val
		}
		if keyIs(key, name) {
			val = doc[at:end]
		}
		i = nextItem(doc, end)
	}
	return val
}

// walk is one pass over a document in the steps of a path. Every value is
// visited once, together with the set of steps that its members may take: bit
// k stands for step k, the bit behind the last step for a hit. So the cost
// does not grow with the number of ways that lead to a value.
type walk struct {
	path *Path
	doc  []byte
	out  []byte
	at   int // where the result begins in out
}

// value visits the value at i and returns the index behind it, -1 if there is
// no end.
func (w *walk) value(i int, active uint64) int {
	if i >= len(w.doc) {
		return -1
	}
	switch w.doc[i] {
	case '{':
		return w.object(i, active)
	case '[':
		return w.array(i, active)
	}
	return skipValue(w.doc, i)
}

// object visits the members. All of one name count, where APISIX sees the last
// one only.
func (w *walk) object(i int, active uint64) int {
	i = skipSpace(w.doc, i+1)
	for i < len(w.doc) && w.doc[i] == '"' {
		key, at := cutKey(w.doc, i)
		end := w.child(at, w.next(active, func(s *step) bool { return s.hasKey(key) }))
		if end < 0 {
			return -1
		}
		i = nextItem(w.doc, end)
	}
	return closed(w.doc, i, '}')
}

func (w *walk) array(i int, active uint64) int {
	n := 0
	if w.counts(active) {
		n = count(w.doc, i)
	}
	i = skipSpace(w.doc, i+1)
	for at := 0; i < len(w.doc) && w.doc[i] != ']'; at++ {
		end := w.child(i, w.next(active, func(s *step) bool { return s.hasIndex(at, n) }))
		if end < 0 {
			return -1
		}
		if i = nextItem(w.doc, end); i == skipSpace(w.doc, end) {
			break // no comma
		}
	}
	return closed(w.doc, i, ']')
}

// next returns the steps that lead on from a member or element: those behind
// the steps that name it, and those that look at any depth.
func (w *walk) next(active uint64, names func(*step) bool) (set uint64) {
	for ; active != 0; active &= active - 1 {
		k := bits.TrailingZeros64(active)
		s := &w.path.steps[k]
		if s.deep {
			set |= 1 << k
		}
		if s.all || names(s) {
			set |= 2 << k
		}
	}
	return set
}

// child visits the value at i, which the steps of next lead into.
func (w *walk) child(i int, next uint64) int {
	hit := uint64(1) << len(w.path.steps)
	var end int
	if rest := next &^ hit; rest != 0 {
		end = w.value(i, rest)
	} else {
		end = skipValue(w.doc, i)
	}
	if end >= 0 && next&hit != 0 {
		w.emit(w.doc[i:end])
	}
	return end
}

func (w *walk) emit(val []byte) {
	if len(w.out) == w.at {
		w.out = append(w.out, '[')
	} else {
		w.out = append(w.out, ',')
	}
	switch val[0] {
	case '{':
		w.out = append(w.out, '{', '}')
	case '[':
		w.out = append(w.out, '[', ']')
	default:
		w.out = append(w.out, val...)
	}
}

// counts says whether a step needs the length of an array.
func (w *walk) counts(active uint64) bool {
	for ; active != 0; active &= active - 1 {
		for _, s := range w.path.steps[bits.TrailingZeros64(active)].slices {
			if s.from < 0 || s.to < 0 {
				return true
			}
		}
	}
	return false
}

func (s *step) hasKey(key []byte) bool {
	for _, name := range s.names {
		if keyIs(key, name) {
			return true
		}
	}
	return false
}

// hasIndex tells whether element at of n is meant. An index with a sign or
// leading zeros means none, as in APISIX's JSONPath.
func (s *step) hasIndex(at, n int) bool {
	for _, name := range s.names {
		if name != "" && len(name) < 10 && (name[0] != '0' || len(name) == 1) {
			if i, err := strconv.ParseUint(name, 10, 31); err == nil && int(i) == at {
				return true
			}
		}
	}
	for _, r := range s.slices {
		if r.has(at, n) {
			return true
		}
	}
	return false
}

func (s slice) has(at, n int) bool {
	from, to := s.from, s.to
	if from < 0 {
		from += n
	}
	if to < 0 {
		to += n
	}
	if s.by < 0 { // as APISIX's loop in Lua: down to one before to
		return !s.open && at <= from && at >= to-1 && (from-at)%-s.by == 0
	}
	return at >= from && (s.open || at < to) && (at-from)%s.by == 0
}

// cutKey returns the member name at i as it stands between its quotes, and
// where its value begins.
func cutKey(doc []byte, i int) (key []byte, val int) {
	end := skipString(doc, i)
	if end < 0 {
		return nil, len(doc)
	}
	val = skipSpace(doc, end+1)
	if val < len(doc) && doc[val] == ':' {
		val = skipSpace(doc, val+1)
	}
	return doc[i+1 : end], val
}

func keyIs(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	quoted := append(append(append(make([]byte, 0, len(key)+2), '"'), key...), '"')
	text, ok := unquote(quoted)
	return ok && string(text) == name
}

// nextItem returns where the next member or element begins, behind a comma, or
// the end of the container.
func nextItem(doc []byte, i int) int {
	if i = skipSpace(doc, i); i < len(doc) && doc[i] == ',' {
		i = skipSpace(doc, i+1)
	}
	return i
}

// closed returns the index behind the closing bracket at i.
func closed(doc []byte, i int, bracket byte) int {
	if i < len(doc) && doc[i] == bracket {
		return i + 1
	}
	return -1
}

// count returns the number of elements of the array at i.
func count(doc []byte, i int) (n int) {
	for i = skipSpace(doc, i+1); i < len(doc) && doc[i] != ']'; n++ {
		end := skipValue(doc, i)
		if end < 0 {
			return n
		}
		i = nextItem(doc, end)
	}
	return n
}
