package driver

// members walks the members of an object; the zero value has none. It stops
// at the first fault, so that it may be used on bytes nobody has validated.
type members struct {
	p        []byte
	i        int
	key, val []byte // key without its quotes, escapes as they stand; both alias p
	at       int    // where the key's quote stands in p
}

// membersOf begins a walk over raw; anything but an object has no members.
func membersOf(raw []byte) members {
	if i := skipSpace(raw, 0); i < len(raw) && raw[i] == '{' {
		return members{p: raw, i: i + 1}
	}
	return members{}
}

// next moves to the next member.
func (m *members) next() bool {
	i := skipSpace(m.p, m.i)
	if m.val != nil {
		if i >= len(m.p) || m.p[i] != ',' {
			return false
		}
		i = skipSpace(m.p, i+1)
	}
	start, w := skipKey(m.p, i)
	if w != wantNone {
		return false
	}
	end, w := skipValue(m.p, start, 1)
	if w != wantNone {
		return false
	}
	m.at = i
	m.key = m.p[i+1 : i+skipQuoted(m.p[i:])]
	m.val = m.p[start:end]
	m.i = end
	return true
}

// skipQuoted returns the index of the quote that closes the valid string p.
func skipQuoted(p []byte) int {
	for i := 1; ; i++ {
		switch p[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
}

// elements walks the elements of an array in the manner of members.
type elements struct {
	p   []byte
	i   int
	val []byte
}

func elementsOf(raw []byte) elements {
	if i := skipSpace(raw, 0); i < len(raw) && raw[i] == '[' {
		return elements{p: raw, i: i + 1}
	}
	return elements{}
}

func (e *elements) next() bool {
	i := skipSpace(e.p, e.i)
	if e.val != nil {
		if i >= len(e.p) || e.p[i] != ',' {
			return false
		}
		i = skipSpace(e.p, i+1)
	}
	end, w := skipValue(e.p, i, 1)
	if w != wantNone {
		return false
	}
	e.val, e.i = e.p[i:end], end
	return true
}

// lookup returns the member key of the object raw, nil if it has none; of
// several the last one counts, as in any decoder.
func lookup(raw []byte, key string) (val []byte) {
	for m := membersOf(raw); m.next(); {
		if keyIs(m.key, key) {
			val = m.val
		}
	}
	return val
}
