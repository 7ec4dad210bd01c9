package driver

// chatOut writes a request of the chat protocol from nothing, for the
// converters that lead to it.
type chatOut struct {
	jsonOut
	src   *Body // the client's
	names *toolNames
}

// get is a top-level member of the client's body; null counts as absent.
func (q *chatOut) get(key string) []byte { return notNull(rawOf(q.src, key)) }

// copy writes the client's member from, if there is one, under another name.
func (q *chatOut) copy(name, from string) {
	if raw := q.get(from); raw != nil {
		q.member(name, raw)
	}
}

// open begins a message.
func (q *chatOut) open(role string) {
	q.next()
	q.dst = append(append(append(q.dst, `{"role":"`...), role...), '"')
}

// openAs begins a message with a role of the client's.
func (q *chatOut) openAs(role []byte) {
	q.next()
	q.dst = append(append(q.dst, `{"role":`...), role...)
}
